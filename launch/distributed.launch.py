"""Robot and server: the robot maps, the server segments; or both parts here. Run once on each machine.

    robot:   ros2 launch ig_ros distributed.launch.py part:=robot
    server:  ros2 launch ig_ros distributed.launch.py part:=server segmenter:=sam

Both find each other over DDS (same ROS_DOMAIN_ID). With `namespace:=robot1` every robot has a segmenter of its own, and
with `cameras:="[robot1, robot2]"` one map takes the images of them all (robot1/image, robot1/pose, ...).
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PythonExpression
from launch_ros.actions import Node

TOPICS = {
    "image": "colour image (image/compressed follows it)",
    "camera_info": "calibration of that image, with distortion",
    "depth": "depth registered to that image, 16UC1 mm or 32FC1 m",
    "pose": "geometry_msgs/PoseStamped, camera to map",
    "odometry": "nav_msgs/Odometry, read when pose_source is odometry",
    "map_points": "sensor_msgs/PointCloud2, sparse points of the SLAM system",
    "segmented_image": "ig_ros/SegmentedImage, what the server sends to the robot",
}


def generate_launch_description() -> LaunchDescription:
    share = Path(get_package_share_directory("ig_ros"))
    config = str(share / "config" / "mapping.yaml")
    part, namespace = LaunchConfiguration("part"), LaunchConfiguration("namespace")
    remappings = [(topic, LaunchConfiguration(topic)) for topic in TOPICS]
    remappings.append(("image/compressed", [LaunchConfiguration("image"), "/compressed"]))
    arguments = [
        DeclareLaunchArgument("part", default_value="both", description="robot: mapping; server: segmenting; both"),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the nodes and their topics"),
        DeclareLaunchArgument("config", default_value=config, description="file of node parameters, for both parts"),
        DeclareLaunchArgument("cameras", default_value="['']", description="namespaces of cameras that share the map"),
        DeclareLaunchArgument("segmenter", default_value="geometric", description="geometric, sam or sam2"),
        *(DeclareLaunchArgument(topic, default_value=topic, description=text) for topic, text in TOPICS.items()),
    ]
    profiles = [
        SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=str(share / "config" / "fastdds.xml")))
        for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    ]
    common = {"package": "ig_ros", "namespace": namespace, "remappings": remappings, "output": "screen"}
    mapping = Node(
        executable="mapping_node",
        name="mapping_node",
        parameters=[LaunchConfiguration("config"), {"segmenter": "none", "cameras": LaunchConfiguration("cameras")}],
        condition=IfCondition(PythonExpression(["'", part, "' != 'server'"])),
        **common,
    )
    segmenter = Node(
        executable="segmenter_node",
        name="segmenter_node",
        parameters=[LaunchConfiguration("config"), {"segmenter": LaunchConfiguration("segmenter")}],
        condition=IfCondition(PythonExpression(["'", part, "' != 'robot'"])),
        **common,
    )
    return LaunchDescription([*arguments, *profiles, mapping, segmenter])
