"""What may differ from camera to camera: two robots may share a map and not their way of telling poses."""

from __future__ import annotations

from dataclasses import dataclass

from ig_ros.errors import ConfigError
from ig_ros.schema import param

SOURCES = ("", "pose", "odometry", "tf")
TRUTHS = {"": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class EachCameraConfig:
    """Lists in the order of `cameras`, where these differ; an empty text, or no entry, = the value for all cameras."""

    pose_source: tuple[str, ...] = param(("",), "of each camera: pose, odometry or tf; empty = pose_source")
    camera_frame: tuple[str, ...] = param(("",), "of each camera: its optical frame for tf; empty = camera_frame")
    pose_is_optical: tuple[str, ...] = param(("",), "of each camera: 'true' or 'false'; empty = pose_is_optical")

    def source(self, place: int, common: str) -> str:
        """Where the poses of the camera at a place of `cameras` come from. Raises ConfigError for a strange one."""
        value = _entry(self.pose_source, place)
        if value not in SOURCES:
            raise ConfigError(f"parameter 'each.pose_source' has {value!r}: must be of {', '.join(SOURCES[1:])}")
        return value or common

    def frame(self, place: int, common: str) -> str:
        """Its optical frame, empty = that of its images."""
        return _entry(self.camera_frame, place) or common

    def optical(self, place: int, common: bool) -> bool:
        """Whether its poses are of the optical frame. Raises ConfigError for what is neither true nor false."""
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
