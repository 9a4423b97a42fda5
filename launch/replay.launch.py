"""A recording through the mapping node: ros2 launch ig_ros replay.launch.py bag:=BAG.mcap image:=/camera/image_raw ...

`ros2 bag play` gives its topics and its clock, from when the node is ready: its state is told once models and maps are
loaded. All arguments of mapping.launch.py are arguments here. Datasets and simulated scenes go through demo.launch.py.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration


def generate_launch_description() -> LaunchDescription:
    share = Path(get_package_share_directory("ig_ros"))
    arguments = [
        DeclareLaunchArgument("bag", description="rosbag2 folder or file"),
        DeclareLaunchArgument("rate", default_value="0.5", description="speed of playing, 1 = as recorded"),
        DeclareLaunchArgument("rviz", default_value="true", description="show the map in RViz"),
    ]
    mapping = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share / "launch" / "mapping.launch.py")),
        launch_arguments={"rviz": LaunchConfiguration("rviz"), "use_sim_time": "true"}.items(),
    )
    speed = ["--rate", LaunchConfiguration("rate"), "--clock", "100"]
    play = ExecuteProcess(cmd=["ros2", "bag", "play", LaunchConfiguration("bag"), *speed], output="screen")
    state = [LaunchConfiguration("namespace"), "/mapping_node/get_state"]
    ready = ExecuteProcess(cmd=["ros2", "service", "call", state, "lifecycle_msgs/srv/GetState"])
    then = OnProcessExit(target_action=ready, on_exit=lambda event, _: [play] if event.returncode == 0 else [])
    return LaunchDescription([*arguments, mapping, RegisterEventHandler(then), ready])
