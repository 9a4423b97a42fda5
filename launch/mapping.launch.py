"""Starts the mapping node, and RViz if asked: ros2 launch ig_ros mapping.launch.py image:=/camera/image_raw."""

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
    "segmented_image": "ig_ros/SegmentedImage, masks from another node",
    "map_points": "sensor_msgs/PointCloud2, sparse points of the SLAM system",
    "pose_graph": "nav_msgs/Path, past poses of the camera as the SLAM system has corrected them",
}


def generate_launch_description() -> LaunchDescription:
    share = Path(get_package_share_directory("ig_ros"))
    use_sim_time = {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}
    viewer = {"viewer": ParameterValue(LaunchConfiguration("viewer"), value_type=bool)}
    remappings = [(topic, LaunchConfiguration(topic)) for topic in TOPICS]
    remappings.append(("image/compressed", [LaunchConfiguration("image"), "/compressed"]))
    remappings.append(("depth/compressedDepth", [LaunchConfiguration("depth"), "/compressedDepth"]))
    arguments = [
        DeclareLaunchArgument(
            "config",
            default_value="mapping",
            description="parameters: a file, or the name of one here: rtabmap, orbslam3, isaac_vslam, zed, realsense",
        ),
        DeclareLaunchArgument("use_sim_time", default_value="false", description="take the time from /clock"),
        DeclareLaunchArgument("rviz", default_value="false", description="show the map in RViz"),
        DeclareLaunchArgument(
            "viewer", default_value="false", description="serve the map on a web page; decides over config"
        ),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the node and its topics"),
        *(DeclareLaunchArgument(topic, default_value=topic, description=text) for topic, text in TOPICS.items()),
    ]
    named, folder = (
        LaunchConfiguration("config"),
        share / "config",
    )  # a name of ours, or a path with a dot or slash
    path = ["'", named, "' if '/' in '", named, "' or '.' in '", named, f"' else '{folder}/' + '", named, "' + '.yaml'"]
    config = PythonExpression(path)
    mapping = Node(
        package="ig_ros",
        executable="mapping_node",
        name="mapping_node",
        namespace=LaunchConfiguration("namespace"),
        parameters=[config, use_sim_time, viewer],
        remappings=remappings,
        output="screen",
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", str(share / "config" / "mapping.rviz")],
        parameters=[use_sim_time],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription([*arguments, mapping, rviz])
