"""Robot and server: the robot maps, the server segments; or both parts here. Run once on each machine.

    robot:   ros2 launch ig_ros distributed.launch.py part:=robot
    server:  ros2 launch ig_ros distributed.launch.py part:=server segmenter:=sam

Both find each other over DDS (same ROS_DOMAIN_ID). With `namespace:=robot1` every robot has a segmenter of its own, and
with `cameras:="[robot1, robot2]"` one map takes the images of them all (robot1/image, robot1/pose, ...).
All arguments of mapping.launch.py are arguments here.
"""

from pathlib import Path
from runpy import run_path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

MAPPING = run_path(str(Path(get_package_share_directory("ig_ros")) / "launch" / "mapping.launch.py"))


def start(context: LaunchContext) -> list[Node]:
    """Returns what is started on this machine."""
    part = LaunchConfiguration("part").perform(context)
    if part not in ("robot", "server", "both"):
        raise RuntimeError(f"part:={part}: give robot, server or both")
    nodes = []
    if part != "server":
        cameras = {"segmenter": "none", "cameras": LaunchConfiguration("cameras")}
        nodes += [MAPPING["node"](context, "mapping_node", **MAPPING["flag"]("viewer"), **cameras)]
        nodes += MAPPING["rviz"](context)
    if part != "robot":
        nodes.append(MAPPING["node"](context, "segmenter_node", segmenter=LaunchConfiguration("segmenter")))
    return nodes


def generate_launch_description() -> LaunchDescription:
    arguments = [
        DeclareLaunchArgument("part", default_value="both", description="robot: mapping; server: segmenting; both"),
        DeclareLaunchArgument("cameras", default_value="['']", description="namespaces of cameras that share the map"),
        DeclareLaunchArgument("segmenter", default_value="geometric", description="geometric, sam or sam2"),
        *MAPPING["declared"](),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
