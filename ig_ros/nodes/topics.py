"""Every topic of the mapping node by name: its type, whether it is latched, what it carries.

The node makes its publishers and subscriptions from these tables; docs/interfaces.md is generated from them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped, PoseStamped, PoseWithCovarianceStamped, TransformStamped
from nav_msgs.msg import Odometry, Path
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from ig_ros.msg import DetectionArray, Object, ObjectArray, SegmentedImage

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic, relative to the node's namespace unless it begins with a slash."""

    name: str
    kind: Any  # message class
    doc: str
    latched: bool = False  # whoever subscribes late gets the last message
    depth: int = 1  # of the queue, where it is not latched


IN = (
    Topic("image", Image, "RGB, BGR, grey, of 8 or 16 bits, Bayer or YUV 4:2:2; of any size"),
    Topic(
        "image/compressed",
        CompressedImage,
        "the same as JPEG or PNG, heard where `image` is silent; launch files remap it with `image`",
    ),
    Topic("camera_info", CameraInfo, "calibration of the image; its distortion is removed"),
    Topic("pose", PoseStamped, "camera to map, where `pose_source` is `pose`; interpolated at the image's stamp"),
    Topic("pose_with_covariance", PoseWithCovarianceStamped, "the same, where `pose_source` is `pose_with_covariance`"),
    Topic("odometry", Odometry, "the same of `child_frame_id`, where `pose_source` is `odometry`"),
    Topic("transform", TransformStamped, "the same of `child_frame_id`, where `pose_source` is `transform`"),
    Topic("depth", Image, "optional: 16UC1 mm or 32FC1 m; of another frame_id or size than the image it is registered"),
    Topic(
        "depth/compressedDepth",
        CompressedImage,
        "the same as PNG or RVL, heard where `depth` is silent; launch files remap it with `depth`",
    ),
    Topic("depth/camera_info", CameraInfo, "calibration of depth that is not registered; tf tells how its frame lies"),
    Topic("segmented_image", SegmentedImage, "optional: masks from another node or machine"),
    Topic(
        "detections",
        DetectionArray,
        "optional: boxes of an object detector, which name masks; `vision_msgs/Detection2DArray` on `detections_2d`",
    ),
    Topic("ignore", Image, "optional: mono8 of the image's stamp; pixels other than 0 are not the scene (arm, people)"),
    Topic("map_points", PointCloud2, "optional: sparse points of the SLAM system, in the map frame"),
    Topic("pose_graph", Path, "optional: past poses as the SLAM system has corrected them, of the same frame"),
    Topic("clicked_point", PointStamped, "RViz's Publish Point: which object is there?"),
)
CLICKED = "ig/clicked_object"  # published by planning_services, the others by publishers
OUT = (
    Topic("ig/instance_cloud", PointCloud2, "x y z rgb instance_id confidence", latched=True),
    Topic("ig/objects", ObjectArray, "all objects; ids last over re-instantiations", latched=True),
    Topic("ig/instance_colors", PointCloud2, "the same points, each in the colour of its object's id", latched=True),
    Topic("ig/markers", MarkerArray, "boxes and labels", latched=True),
    Topic("ig/query_markers", MarkerArray, "the last answer, highlighted; namespace `query`", latched=True),
    Topic("ig/cameras", MarkerArray, "frusta along the path", latched=True),
    Topic("ig/camera_path", Path, "where the camera has been", latched=True),
    Topic(
        "ig/map_correction",
        TransformStamped,
        "pose of the map's own frame by the newest poses",
        latched=True,
    ),
    Topic("ig/rendered_image", Image, "rgb8: the map as the newest camera sees it", latched=True),
    Topic("ig/rendered_instances", Image, "rgb8: its objects, each in the colour of its id", latched=True),
    Topic(CLICKED, Object, "the object under `clicked_point`"),
    Topic("/diagnostics", DiagnosticArray, "frames in, used, dropped and why; steps/s; loss; memory", depth=10),
)
KINDS = {topic.name: topic.kind for topic in IN}


def vision_boxes() -> Any | None:
    """Returns the class vision_msgs/Detection2DArray, heard on `detections_2d`; None where the package is missing."""
    try:
        from vision_msgs.msg import Detection2DArray
    except ImportError:
        return None
    return Detection2DArray


def is_latched(node: Node, name: str) -> bool:
    """Whether anybody publishes a topic, named as the node does, for those who subscribe late."""
    publishers = node.get_publishers_info_by_topic(node.resolve_topic_name(name))
    return any(p.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in publishers)


def advertise(node: Node, name: str) -> Any:
    """The publisher of one of OUT."""
    topic = next(t for t in OUT if t.name == name)
    return node.create_publisher(topic.kind, name, LATCHED if topic.latched else topic.depth)


def topic_of(camera: str, topic: str) -> str:
    """Returns the name of a topic of one of `cameras`."""
    return f"{camera}/{topic}" if camera else topic


SILENT = 5.0  # s: a stream silent for longer is not waited for, and may get another sender
COMPRESSED = {"image": "image/compressed", "depth": "depth/compressedDepth"}  # as image_transport names them
SETTLED = 1.0  # s after which a topic that nobody has advertised is not expected to be


class RawOrCompressed:
    """Listens to raw images, or to compressed ones where only these are sent: never to both.

    A driver encodes compressed images only while somebody listens to them.
    """

    def __init__(self, node: Node, camera: str, topic: str, listen: Callable[[str], Any]) -> None:
        """The topic `image` or `depth` of a camera; `listen` makes a subscription to it or to its compressed copy."""
        self._node, self._camera, self._listen = node, camera, listen
        self._topic, self._other = topic, COMPRESSED[topic]
        self._subscription = listen(self._topic)
        self._heard = time.monotonic()
        node.create_timer(SETTLED / 2, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def note(self) -> None:
        """An image has come."""
        self._heard = time.monotonic()

    def _look(self) -> None:
        """Turns to the other topic where that one is sent and this one is silent."""
        silent = time.monotonic() - self._heard
        if silent < SETTLED or not self._senders(self._other) or (silent < SILENT and self._senders(self._topic)):
            return
        self._node.destroy_subscription(self._subscription)
        self._topic, self._other = self._other, self._topic
        self._subscription = self._listen(self._topic)
        self.note()

    def _senders(self, topic: str) -> int:
        return int(self._node.count_publishers(self._node.resolve_topic_name(topic_of(self._camera, topic))))
