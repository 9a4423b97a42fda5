"""A recording through the mapping node: ros2 launch ig_ros replay.launch.py bag:=BAG.mcap image:=/camera/image_raw ...

`ros2 bag play` gives its topics and its clock; datasets and simulated scenes go through demo.launch.py.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

TOPICS = {
    "image": "colour image of the bag (image/compressed follows it)",
    "camera_info": "calibration of that image",
    "depth": "depth registered to that image",
    "pose": "geometry_msgs/PoseStamped, camera to map",
    "odometry": "nav_msgs/Odometry, read when pose_source is odometry",
    "segmented_image": "ig_ros/SegmentedImage",
    "map_points": "sensor_msgs/PointCloud2",
}


def generate_launch_description() -> LaunchDescription:
    share = Path(get_package_share_directory("ig_ros"))
    arguments = [
        DeclareLaunchArgument("bag", description="rosbag2 folder or file"),
        DeclareLaunchArgument("rate", default_value="0.5", description="speed of playing, 1 = as recorded"),
        DeclareLaunchArgument("config", default_value="mapping", description="parameters, see mapping.launch.py"),
        DeclareLaunchArgument("rviz", default_value="true", description="show the map in RViz"),
        *(DeclareLaunchArgument(topic, default_value=topic, description=text) for topic, text in TOPICS.items()),
    ]
    passed = {name: LaunchConfiguration(name) for name in ("config", "rviz", *TOPICS)}
    mapping = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share / "launch" / "mapping.launch.py")),
        launch_arguments={**passed, "use_sim_time": "true"}.items(),
    )
    speed = ["--rate", LaunchConfiguration("rate"), "--clock", "100"]
    play = ExecuteProcess(cmd=["ros2", "bag", "play", LaunchConfiguration("bag"), *speed], output="screen")
    return LaunchDescription([*arguments, mapping, play])
