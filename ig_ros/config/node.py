"""Parameters of the ROS node: topics, frames, waiting times, and the largest messages it takes."""

from __future__ import annotations

from dataclasses import dataclass, field

from ig_ros.config.core import Config
from ig_ros.config.schema import param
from ig_ros.errors import ConfigError
from ig_ros.registries import POSE_SOURCES


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """The largest message of each kind that the node takes; a larger one is refused with a count or an answer."""

    image_pixels: int = param(40_000_000, "of an image received; above 2.1 million it is reduced", 1, 1_000_000_000)
    masks: int = param(2000, "masks of one image, object ids in one request", 1, 65535)
    embedding: int = param(4096, "numbers in the embedding of a mask", 1, 1_000_000)
    cloud_points: int = param(1_000_000, "points of one map_points cloud", 1, 1_000_000_000)
    path_poses: int = param(100_000, "poses of one pose_graph", 1, 100_000_000)
    text: int = param(500, "characters of a query, label, encoder or map name", 1, 1_000_000)


TRUTHS = {"": None, "true": True, "false": False}
RECTIFIED = ("auto", "true", "false")


@dataclass(frozen=True, slots=True)
class EachCameraConfig:
    """Lists in the order of `cameras`, where these differ; an empty text, or no entry, = the value for all cameras."""

    pose_source: tuple[str, ...] = param(("",), f"of each camera: {', '.join(POSE_SOURCES)}; empty = pose_source")
    camera_frame: tuple[str, ...] = param(("",), "of each camera: its optical frame for tf; empty = camera_frame")
    pose_is_optical: tuple[str, ...] = param(("",), "of each camera: 'true' or 'false'; empty = pose_is_optical")

    def source(self, place: int, common: str) -> str:
        """Returns the pose source of the camera at a place of `cameras`. Raises ConfigError for an unknown one."""
        value = _entry(self.pose_source, place)
        if value not in ("", *POSE_SOURCES):
            raise ConfigError(f"parameter 'each.pose_source' has {value!r}: must be of {', '.join(POSE_SOURCES)}")
        return value or common

    def frame(self, place: int, common: str) -> str:
        """Returns the optical frame of that camera, empty = that of its images."""
        return _entry(self.camera_frame, place) or common

    def optical(self, place: int, common: bool | None) -> bool | None:
        """Returns whether that camera's poses are of the optical frame, else `common`. Raises ConfigError."""
        value = _entry(self.pose_is_optical, place).lower()
        if value not in TRUTHS:
            raise ConfigError(f"parameter 'each.pose_is_optical' has {value!r}: must be of 'true', 'false'")
        own = TRUTHS[value]
        return common if own is None else own

    def check(self, cameras: int) -> None:
        """Raises ConfigError for more entries than cameras."""
        for name in ("pose_source", "camera_frame", "pose_is_optical"):
            count = len(getattr(self, name))
            if count > max(cameras, 1):
                raise ConfigError(f"parameter 'each.{name}' has {count} entries for {cameras} cameras")


def _entry(values: tuple[str, ...], place: int) -> str:
    return values[place] if place < len(values) else ""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Parameters of the ROS node alone; those of `core` are declared beside them without the prefix."""

    cameras: tuple[str, ...] = param(("",), "namespaces of cameras, each with topics of its own; an empty name = none")
    autostart: bool = param(True, "configure and activate at once; false: a lifecycle manager does it")
    pose_source: str = param("pose", "where camera poses come from", choices=tuple(POSE_SOURCES))
    map_frame: str = param("map", "frame of the map, of every output and default of queries")
    camera_frame: str = param("", "optical frame of the camera for tf; empty = header.frame_id of the image")
    pose_is_optical: bool = param(True, "poses are of the optical frame (z forward), not of a body frame (x forward)")
    image_is_rectified: str = param(
        "auto", "images have no distortion any more, P is their camera; auto = by the topic's name", choices=RECTIFIED
    )
    ignore_mask: tuple[str, ...] = param(
        ("",), "path of an image whose pixels other than 0 never show the scene (the robot itself); one per camera"
    )
    pose_timeout: float = param(1.0, "an image waits this long for its pose, s", 0.0, 60.0)
    pose_max_gap: float = param(0.5, "poses further apart than this are not interpolated, s", 0.001, 60.0)
    sync_tolerance: float = param(
        0.02, "depth and masks belong to an image within this time, s; equal stamps go first", 0.0, 10.0
    )
    depth_timeout: float = param(0.2, "an image waits this long for its depth once depth has been seen, s", 0.0, 60.0)
    mask_timeout: float = param(2.0, "an image waits this long for its masks once masks have been seen, s", 0.0, 600.0)
    queue_size: int = param(30, "frames waiting for pose, depth or masks at most; the oldest is dropped", 1, 10000)
    publish_period: float = param(1.0, "seconds between looks for something new to publish", 0.05, 3600.0)
    diagnostics_period: float = param(1.0, "seconds between diagnostics", 0.1, 3600.0)
    max_cloud_points: int = param(500000, "the published cloud is thinned evenly to this size", 1, 100_000_000)
    map_directory: str = param("~/.ros/ig_ros", "save_map and load_map work inside this directory only")
    resume: str = param("", "name of a map to load at start, if it is there; empty = begin with nothing")
    save_interval: float = param(0.0, "seconds between saves under the name of resume, 0 = never", 0.0, 86400.0)
    viewer: bool = param(False, "serve the map on a web page (needs viser)")
    viewer_host: str = param("127.0.0.1", "who may open the page: 0.0.0.0 = every machine, without a password")
    viewer_port: int = param(8080, "port of the page, 0 = any free one", 0, 65535)
    odom_frame: str = param("odom", "tf: a jump of this frame in the map corrects the keyframes since the last one")
    each: EachCameraConfig = field(default_factory=EachCameraConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    core: Config = field(default_factory=Config)
