"""Starts the mapping node, and RViz if asked: ros2 launch ig_ros mapping.launch.py image:=/camera/image_raw.

With several cameras a topic of one is given with its name in front: front/image:=/front_camera/image_raw.
"""

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

TOPICS = {
    "image": "colour image (image/compressed follows it)",
    "camera_info": "calibration of that image, with distortion",
    "depth": "depth, best registered to that image, 16UC1 mm or 32FC1 m (depth/compressedDepth follows it)",
    "depth_camera_info": "calibration of depth that is not registered; the node hears it as depth/camera_info",
    "pose": "geometry_msgs/PoseStamped, camera to map",
    "pose_with_covariance": "geometry_msgs/PoseWithCovarianceStamped, read when pose_source is pose_with_covariance",
    "odometry": "nav_msgs/Odometry, read when pose_source is odometry",
    "transform": "geometry_msgs/TransformStamped, read when pose_source is transform",
    "segmented_image": "ig_ros/SegmentedImage, masks from another node",
    "detections": "ig_ros/DetectionArray, boxes of an object detector, which name masks",
    "ignore": "mono8 image of pixels that are not the scene (arm, people)",
    "map_points": "sensor_msgs/PointCloud2, sparse points of the SLAM system",
    "pose_graph": "nav_msgs/Path, past poses of the camera as the SLAM system has corrected them",
}
NAMES = {"depth_camera_info": "depth/camera_info"}  # argument -> topic, where they differ
TRANSPORTS = {"image": "compressed", "depth": "compressedDepth"}
ARGUMENTS = {  # name -> default, description
    "config": (
        "mapping",
        "parameters: a file, or the name of one here: rtabmap, orbslam3, isaac_vslam, zed, realsense",
    ),
    "use_sim_time": ("false", "take the time from /clock"),
    "rviz": ("false", "show the map in RViz"),
    "viewer": ("false", "serve the map on a web page; decides over config"),
    "namespace": ("", "namespace of the node and its topics"),
}


def declared() -> list[DeclareLaunchArgument]:
    """Returns the arguments: those above, and one per topic."""
    topics = {topic: (NAMES.get(topic, topic), text) for topic, text in TOPICS.items()}
    return [DeclareLaunchArgument(n, default_value=d, description=t) for n, (d, t) in (ARGUMENTS | topics).items()]


def config_file(context: LaunchContext) -> str:
    """Returns the path of the parameters; a missing file raises, which ends the launch."""
    folder = Path(get_package_share_directory("ig_ros")) / "config"
    given = LaunchConfiguration("config").perform(context)
    path = Path(given).expanduser() if "/" in given or "." in given else folder / f"{given}.yaml"
    if path.is_file():
        return str(path)
    names = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
    raise RuntimeError(f"config:={given}: there is no file {path}. Give the path of one, or a name of these: {names}")


def remappings(context: LaunchContext) -> list[tuple[str, str]]:
    """Returns topic -> what the arguments say, those of single cameras (front/image) as well."""
    pairs = []
    for name, value in context.launch_configurations.items():
        camera, slash, topic = name.rpartition("/")
        if topic in TOPICS:
            heard = f"{camera}{slash}{NAMES.get(topic, topic)}"
            pairs.append((heard, value))
            if topic in TRANSPORTS:
                pairs.append((f"{heard}/{TRANSPORTS[topic]}", f"{value}/{TRANSPORTS[topic]}"))
    return pairs


def flag(name: str) -> dict[str, ParameterValue]:
    """Returns a boolean parameter with the value of the argument of that name."""
    return {name: ParameterValue(LaunchConfiguration(name), value_type=bool)}


def rviz(context: LaunchContext) -> list[Node]:
    """Returns RViz where it is asked for and installed; a robot without a screen needs none."""
    if LaunchConfiguration("rviz").perform(context).lower() not in ("true", "1"):
        return []
    try:
        get_package_share_directory("rviz2")
    except PackageNotFoundError:
        get_logger("ig_ros").warning(
            "rviz:=true, but rviz2 is not installed: going on without (apt install ros-$ROS_DISTRO-rviz2)"
        )
        return []
    view = Path(get_package_share_directory("ig_ros")) / "config" / "mapping.rviz"
    namespace, arguments = LaunchConfiguration("namespace"), ["-d", str(view)]
    common = {"name": "rviz", "namespace": namespace, "parameters": [flag("use_sim_time")]}
    return [Node(package="rviz2", executable="rviz2", arguments=arguments, **common)]


def node(context: LaunchContext, name: str, **parameters: object) -> Node:
    """Returns a node of ours with the parameters of `config` and these."""
    return Node(
        package="ig_ros",
        executable=name,
        name=name,
        namespace=LaunchConfiguration("namespace"),
        parameters=[config_file(context), flag("use_sim_time"), parameters],
        remappings=remappings(context),
        output="screen",
    )


def start(context: LaunchContext) -> list[Node]:
    """Returns what is started."""
    return [node(context, "mapping_node", **flag("viewer")), *rviz(context)]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declared(), OpaqueFunction(function=start)])
