"""A map's results as a rosbag2 recording: the messages the node would publish, for who has no node running."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path as PathMessage

from ig_ros.nodes.clouds import snapshot_cloud
from ig_ros.nodes.conversions import header, pose_message
from ig_ros.nodes.objects import array_message, markers_message
from ig_ros.nodes.recording import BagRecorder
from ig_ros.nodes.visuals import frusta_message, in_object_colors
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.types import MapSnapshot


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
            bag.write(topic, snapshot.stamp, message)
    return len(messages)
