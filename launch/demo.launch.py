"""A simulated robot camera, the mapping node and, where it is installed, RViz: ros2 launch ig_ros demo.launch.py."""

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

TOPICS = {
    "image": "what the player calls its images, and the node listens to",
    "camera_info": "the same for the calibration",
    "depth": "the same for depth",
    "pose": "the same for poses",
    "segmented_image": "the same for masks",
}


def rviz_installed() -> str:
    try:
        get_package_share_directory("rviz2")
    except PackageNotFoundError:
        return "false"
    return "true"


def generate_launch_description() -> LaunchDescription:
    share = Path(get_package_share_directory("ig_ros"))
    arguments = [
        DeclareLaunchArgument("scene", default_value="sim:tabletop?width=320", description="what `ig play` can open"),
        DeclareLaunchArgument("rate", default_value="5.0", description="images per second"),
        DeclareLaunchArgument("loops", default_value="3", description="times through the scene"),
        DeclareLaunchArgument("config", default_value="mapping", description="parameters, see mapping.launch.py"),
        DeclareLaunchArgument("rviz", default_value=rviz_installed(), description="show the map in RViz"),
        DeclareLaunchArgument("viewer", default_value="false", description="serve the map on a web page"),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of player, node and their topics"),
        *(DeclareLaunchArgument(topic, default_value=topic, description=text) for topic, text in TOPICS.items()),
    ]
    passed = ("config", "rviz", "viewer", "namespace", *TOPICS)
    mapping = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share / "launch" / "mapping.launch.py")),
        launch_arguments={name: LaunchConfiguration(name) for name in passed}.items(),
    )
    options = ["--rate", LaunchConfiguration("rate"), "--loops", LaunchConfiguration("loops")]
    player = Node(
        package="ig_ros",
        executable="player",
        namespace=LaunchConfiguration("namespace"),
        remappings=[(topic, LaunchConfiguration(topic)) for topic in TOPICS],
        arguments=[LaunchConfiguration("scene"), *options],
        output="screen",
    )
    return LaunchDescription([*arguments, mapping, player])
