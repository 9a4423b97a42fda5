"""Robot and server: the robot maps, the server segments; or both parts here. Run once on each machine.

    robot:   ros2 launch ig_ros distributed.launch.py part:=robot
    server:  ros2 launch ig_ros distributed.launch.py part:=server segmenter:=sam

Both find each other over DDS (same ROS_DOMAIN_ID). With `namespace:=robot1` every robot has a segmenter of its own, and
with `cameras:="[robot1, robot2]"` one map takes the images of them all (robot1/image, robot1/pose, ...).
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

TOPICS = {
    "image": "colour image (image/compressed follows it)",
    "camera_info": "calibration of that image, with distortion",
    "depth": "depth registered to that image, 16UC1 mm or 32FC1 m",
    "pose": "geometry_msgs/PoseStamped, camera to map",
    "odometry": "nav_msgs/Odometry, read when pose_source is odometry",
    "map_points": "sensor_msgs/PointCloud2, sparse points of the SLAM system",
    "segmented_image": "ig_ros/SegmentedImage, what the server sends to the robot",
    "pose_graph": "nav_msgs/Path, past poses of the camera as the SLAM system has corrected them",
}


def generate_launch_description() -> LaunchDescription:
    share = Path(get_package_share_directory("ig_ros"))
    part, namespace = LaunchConfiguration("part"), LaunchConfiguration("namespace")
    remappings = [(topic, LaunchConfiguration(topic)) for topic in TOPICS]
    remappings.append(("image/compressed", [LaunchConfiguration("image"), "/compressed"]))
    remappings.append(("depth/compressedDepth", [LaunchConfiguration("depth"), "/compressedDepth"]))
    arguments = [
        DeclareLaunchArgument("part", default_value="both", description="robot: mapping; server: segmenting; both"),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the nodes and their topics"),
        DeclareLaunchArgument(
            "config", default_value="mapping", description="parameters of both parts: a file or a name, as in mapping"
        ),
        DeclareLaunchArgument("use_sim_time", default_value="false", description="take the time from /clock"),
        DeclareLaunchArgument("rviz", default_value="false", description="show the map in RViz, not on the server"),
        DeclareLaunchArgument(
            "viewer", default_value="false", description="serve the map on a web page; decides over config"
        ),
        DeclareLaunchArgument("cameras", default_value="['']", description="namespaces of cameras that share the map"),
        DeclareLaunchArgument("segmenter", default_value="geometric", description="geometric, sam or sam2"),
        *(DeclareLaunchArgument(topic, default_value=topic, description=text) for topic, text in TOPICS.items()),
    ]
    common = {"package": "ig_ros", "namespace": namespace, "remappings": remappings, "output": "screen"}
    named, folder = (
        LaunchConfiguration("config"),
        share / "config",
    )  # a name of ours, or a path with a dot or slash
    path = ["'", named, "' if '/' in '", named, "' or '.' in '", named, f"' else '{folder}/' + '", named, "' + '.yaml'"]
    config = PythonExpression(path)
    use_sim_time = {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}
    viewer = {"viewer": ParameterValue(LaunchConfiguration("viewer"), value_type=bool)}
    cameras = {"segmenter": "none", "cameras": LaunchConfiguration("cameras")}
    mapping = Node(
        executable="mapping_node",
        name="mapping_node",
        parameters=[config, use_sim_time, viewer, cameras],
        condition=IfCondition(PythonExpression(["'", part, "' != 'server'"])),
        **common,
    )
    segmenter = Node(
        executable="segmenter_node",
        name="segmenter_node",
        parameters=[config, use_sim_time, {"segmenter": LaunchConfiguration("segmenter")}],
        condition=IfCondition(PythonExpression(["'", part, "' != 'robot'"])),
        **common,
    )
    shown = ["'", part, "' != 'server' and '", LaunchConfiguration("rviz"), "'.lower() in ('true', '1')"]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        namespace=namespace,
        arguments=["-d", str(share / "config" / "mapping.rviz")],
        parameters=[use_sim_time],
        condition=IfCondition(PythonExpression(shown)),
    )
    return LaunchDescription([*arguments, mapping, segmenter, rviz])
