"""Publishers of the mapping node: cloud, objects, markers, camera path, diagnostics; each latest state is latched."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TransformStamped
from nav_msgs.msg import Path
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header

from ig_ros.config import NodeConfig
from ig_ros.geometry import inverse
from ig_ros.nodes.clouds import rounding, snapshot_cloud, thinned
from ig_ros.nodes.conversions import header, pose_message
from ig_ros.nodes.diagnostics import Diagnosis, Problems, mapping_error, mapping_state, mapping_values
from ig_ros.nodes.executor import Worker, steady_clock
from ig_ros.nodes.object_messages import array_message, markers_message
from ig_ros.nodes.subscriptions import Inputs
from ig_ros.nodes.topics import CLICKED, OUT, advertise
from ig_ros.nodes.visualization import (
    blank_images,
    frusta_message,
    highlight_message,
    in_object_colors,
    rendered_images,
)  # fmt: skip
from ig_ros.scaffold.pose_refinement import DOUBTFUL, MapCorrection, drift_warning
from ig_ros.types import Frame, Instances, MapSnapshot

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper

PATH_STEP = 0.03  # m: the path gets a new point after this much motion
COARSE = 0.005  # m: clouds rounded more than this are of no use to a gripper
PATH_LENGTH = 5000  # points; beyond, every second one goes
NOTHING = Instances(np.zeros(0, np.int32), np.zeros(0, np.float32))


class Outputs:
    """Publishes what is new, from timers; nothing here waits for the mapper.

    Clouds and pictures are made on a thread of their own: the executor's takes messages meanwhile.
    """

    def __init__(self, node: Node, config: NodeConfig, mapper: LiveMapper, inputs: Inputs, problems: Problems) -> None:
        self._node, self._config, self._mapper, self._inputs, self._problems = node, config, mapper, inputs, problems
        self._publishers = {topic.name: advertise(node, topic.name) for topic in OUT if topic.name != CLICKED}
        self.show = self._publishers["ig/query_markers"].publish
        self._diagnosis = Diagnosis(f"{node.get_fully_qualified_name()}: mapping")
        self._depth_warning = ""
        self._judged, self._doubtful = 0, 0  # keyframes whose poses have been reported, and those that lie on nothing
        self.open = False  # nothing but diagnostics is published while it is closed
        self._shown: MapSnapshot | None = None  # what was published last
        self._drawn: Image | None = None  # the last picture of it
        self.path = CameraPath(config.map_frame)  # fed by whoever receives the frames
        self._worker = Worker("outputs", 1, problems)
        self.stop = self._worker.stop
        group = MutuallyExclusiveCallbackGroup()
        node.create_timer(config.publish_period, self._tick, group, clock=steady_clock())
        node.create_timer(config.diagnostics_period, self._publish_diagnostics, group, clock=steady_clock())

    def _tick(self) -> None:
        if self.open:
            self._worker.put(self._publish_map)

    def begin_anew(self) -> None:
        """Forgets the path and the answer shown of a map that was emptied or replaced."""
        self.path.clear()
        self.show(highlight_message((), header(0, self._config.map_frame)))

    def _publish_map(self) -> None:
        """Publishes what has changed, heard or not: a later subscriber gets what is latched, so that must be newest."""
        path, snapshot = self.path.message(), self._mapper.snapshot()
        if path is not None:
            self._publish("ig/camera_path", path)
        if snapshot is self._shown:
            return
        self._shown = snapshot
        correction = self._mapper.correction()
        self._publish("ig/map_correction", correction_message(correction, snapshot, self._config.map_frame))
        placed = snapshot
        if snapshot is not None and self._config.core.poses.answer_frame == "robot":
            placed = correction.placed(snapshot)
        head = header(snapshot.stamp if snapshot else 0, self._config.map_frame)
        instances = placed.instances if placed else NOTHING  # after a reset
        self._publish("ig/objects", array_message(instances, head))
        self._publish("ig/markers", markers_message(instances.objects, head))
        cloud = self._cloud_message(placed, head)
        self._publish("ig/instance_cloud", cloud)
        self._publish("ig/instance_colors", in_object_colors(cloud))
        self._publish_views(snapshot, head)

    def _publish_views(self, snapshot: MapSnapshot | None, head: Header) -> None:
        """Where the cameras were, and the map as the newest of them sees it: black while there is none to be drawn."""
        if snapshot is not None and snapshot.gaussians is not None:
            newest = self._mapper.view()
            self._publish("ig/cameras", frusta_message(self.path.poses(), newest.camera, head))
            seen = header(newest.stamp, self._inputs.frame_id(newest.source))
            images = rendered_images(snapshot, newest.camera, newest.T_world_camera, seen)
        elif self._drawn is None:
            return
        else:
            self._publish("ig/cameras", highlight_message((), head))
            images = blank_images(self._drawn)
        self._drawn = images[0]
        for topic, image in zip(("ig/rendered_image", "ig/rendered_instances"), images, strict=True):
            self._publish(topic, image)

    def _publish(self, topic: str, message: Any) -> None:
        self._publishers[topic].publish(message)

    def _cloud_message(self, snapshot: MapSnapshot | None, head: Header) -> PointCloud2:
        rows = thinned(len(snapshot.xyz), self._config.max_cloud_points) if snapshot is not None else None
        if snapshot is not None and (step := rounding(snapshot.xyz)) > COARSE:
            text = (
                f"clouds are rounded to {step:.3f} m: the map is so far from the origin of '{self._config.map_frame}'"
            )
            self._problems.add(
                "far_from_origin", f"{text} (poses of objects are exact); use a map frame near the robot"
            )
        return snapshot_cloud(snapshot, head, rows)

    def _publish_diagnostics(self) -> None:
        stats = self._mapper.stats()
        values = mapping_values(stats) | {
            "frames waiting": str(self._inputs.waiting()),
            "callback delay p99 ms": f"{self._inputs.delays.p99_ms():.1f}",
        }
        values |= {f"{kind} without image": str(self._inputs.alone()[kind]) for kind in ("depth", "masks")}
        now, problems = self._node.get_clock().now().nanoseconds, self._problems.counts()
        state, error = mapping_state(stats, self.open), mapping_error(stats)
        self._publishers["/diagnostics"].publish(self._diagnosis.message(now, values, problems, state, error))
        keyframes = sum(stats.poses.values())
        if (text := drift_warning(stats.correction)) and keyframes != self._judged:
            self._problems.add("pose_drift", text)
        if (count := stats.poses.get("doubtful", 0)) > self._doubtful:
            self._problems.add("pose_doubtful", DOUBTFUL)
        self._judged, self._doubtful = keyframes, count
        if stats.depth_warning != self._depth_warning:
            self._problems.add("depth_beside_color", stats.depth_warning)
            self._depth_warning = stats.depth_warning
        if stats.error:
            self._problems.add("mapper_stopped", f"{stats.error}: save what you need and restart the node")


def correction_message(correction: MapCorrection, snapshot: MapSnapshot | None, map_frame: str) -> TransformStamped:
    """Returns the pose of the map's own frame, `MAP_FRAME_refined`, in the map frame of the poses."""
    pose = pose_message(inverse(correction.T_map_slam))
    message = TransformStamped(header=header(snapshot.stamp if snapshot else 0, map_frame))
    message.child_frame_id = f"{map_frame}_refined"
    message.transform.rotation = pose.orientation
    for axis in ("x", "y", "z"):
        setattr(message.transform.translation, axis, getattr(pose.position, axis))
    return message


class CameraPath:
    """Where the camera has been: bounded, thread safe."""

    def __init__(self, frame_id: str) -> None:
        self._frame_id = frame_id
        self._poses: list[PoseStamped] = []
        self._last: tuple[float, ...] | None = None
        self._changed = False
        self._lock = threading.Lock()

    def add(self, frame: Frame) -> None:
        """Append the frame's pose if the camera has moved by PATH_STEP."""
        position = frame.T_world_camera[:3, 3]
        with self._lock:
            if self._last is not None and np.linalg.norm(position - np.array(self._last)) < PATH_STEP:
                return
            self._last = tuple(position)
            self._poses.append(
                PoseStamped(header=header(frame.stamp, self._frame_id), pose=pose_message(frame.T_world_camera))
            )
            if len(self._poses) > PATH_LENGTH:
                self._poses = self._poses[::2]
            self._changed = True

    def poses(self) -> list[PoseStamped]:
        """The poses of the path, oldest first."""
        with self._lock:
            return list(self._poses)

    def clear(self) -> None:
        """Forget the path."""
        with self._lock:
            self._poses, self._last, self._changed = [], None, True

    def message(self) -> Path | None:
        """The path, or None when it has not changed since the last call."""
        with self._lock:
            if not self._changed:
                return None
            self._changed = False
            stamp = self._poses[-1].header.stamp if self._poses else header(0, "").stamp
            path = Path(poses=list(self._poses))
            path.header.stamp, path.header.frame_id = stamp, self._frame_id
            return path
