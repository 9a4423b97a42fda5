"""A map's results as a rosbag2 recording: the messages the node would publish, for who has no node running."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ament_index_python.packages import get_package_prefix
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path as PathMessage
from rclpy.serialization import serialize_message
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from ig_ros.errors import StorageError
from ig_ros.nodes.clouds import snapshot_cloud
from ig_ros.nodes.conversions import header, pose_message
from ig_ros.nodes.object_messages import array_message, markers_message
from ig_ros.nodes.visualization import frusta_message, in_object_colors
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.types import MapSnapshot

FOREVER = QosTime(0x7FFFFFFF, 0xFFFFFFFF)  # no deadline, lifespan or lease
LATCHED = Qos(
    QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, FOREVER, FOREVER,
    QosLiveliness.AUTOMATIC, FOREVER, False,
)  # fmt: skip


class BagRecorder:
    """Writes OUT.mcap, one file, or the folder OUT as `ros2 bag record` would. Use it as a context."""

    def __init__(self, path: Path) -> None:
        """Raises StorageError when something is there already: recordings are never overwritten."""
        if path.exists():
            raise StorageError(f"{path} exists already: choose another name")
        self._path = path
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._connections: dict[str, Any] = {}
        self._types = get_typestore(Stores.ROS2_JAZZY)
        for definition in sorted((_prefix() / "share" / "ig_ros" / "msg").glob("*.msg")):
            self._types.register(get_types_from_msg(definition.read_text(), f"ig_ros/msg/{definition.stem}"))

    def __enter__(self) -> BagRecorder:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        folder = self._path
        if self._path.suffix == ".mcap":
            self._scratch = tempfile.TemporaryDirectory(dir=self._path.parent)
            folder = Path(self._scratch.name) / self._path.stem
        self._writer = Writer(folder, version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        if self._scratch is not None:
            shutil.move(next(self._writer.path.glob("*.mcap")), self._path)
            self._scratch.cleanup()

    def write(self, topic: str, stamp: int, message: Any, latched: bool = False) -> None:
        """One message (any of rclpy's) received on an absolute topic at a time (ns); latched for who comes late."""
        if topic not in self._connections:
            package = type(message).__module__.partition(".")[0]
            msgtype = f"{package}/msg/{type(message).__name__}"
            self._connections[topic] = self._writer.add_connection(
                topic, msgtype, typestore=self._types, offered_qos_profiles=[LATCHED] if latched else []
            )
        self._writer.write(self._connections[topic], stamp, serialize_message(message))


def _prefix() -> Path:
    """Where ig_ros is installed: what a sourced ROS says, else this environment."""
    return Path(get_package_prefix("ig_ros") if os.environ.get("AMENT_PREFIX_PATH") else sys.prefix)


def write_results(path: Path, snapshot: MapSnapshot, keyframes: Sequence[Keyframe], frame_id: str = "map") -> int:
    """Write OUT.mcap, or a folder as of `ros2 bag record`, with one message per topic; returns how many.

    All carry the stamp of the newest frame in the map. Raises StorageError when something is there already.
    """
    head = header(snapshot.stamp, frame_id)
    objects = snapshot.instances.objects
    poses = [
        PoseStamped(header=header(k.stamp, frame_id), pose=pose_message(k.T_world_camera))
        for k in sorted(keyframes, key=lambda k: k.stamp)
    ]
    messages = {
        "/ig/instance_cloud": snapshot_cloud(snapshot, head),
        "/ig/instance_colors": in_object_colors(snapshot_cloud(snapshot, head)),
        "/ig/objects": array_message(snapshot.instances, head),
        "/ig/markers": markers_message(objects, head),
        "/ig/camera_path": PathMessage(header=head, poses=poses),
    }
    if poses:
        messages["/ig/cameras"] = frusta_message(poses, keyframes[-1].camera, head)
    with BagRecorder(path) as bag:
        for topic, message in messages.items():
            bag.write(topic, snapshot.stamp, message, latched=True)
    return len(messages)
