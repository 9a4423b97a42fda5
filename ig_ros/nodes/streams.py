"""Who is believed when a stream contradicts itself: one sender per topic, one calibration per camera."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo

from ig_ros.errors import FrameError
from ig_ros.rectification import Rectifier

SILENT = 5.0  # s: after so long without its messages a sender may be replaced by another one
SETTLE = 3.0  # s: a changed calibration must stay for so long to be believed


class OneSender:
    """The first frame_id of a topic is its own; messages of another one are refused while the first is heard."""

    def __init__(self) -> None:
        self._frame_id: str | None = None
        self._heard = 0.0

    def demand(self, topic: str, frame_id: str, now: float) -> None:
        """Raises FrameError `other_frame_id`; `now` is any clock in seconds."""
        if self._frame_id is None or frame_id == self._frame_id or now - self._heard > SILENT:
            self._frame_id, self._heard = frame_id, now
            return
        raise FrameError(
            "other_frame_id",
            f"{topic} comes from '{self._frame_id[:60]}' and now also from '{frame_id[:60]}': two publishers share a "
            "topic; remap one, or name it in the parameter cameras",
        )


class Calibration:
    """The camera_info in force. A new one is believed once it has stayed: one that flickers is a fault."""

    def __init__(self) -> None:
        self._believed: Rectifier | None = None
        self._content: tuple[object, ...] = ()
        self._candidate: tuple[object, ...] | None = None  # a change that has not stayed yet ...
        self._since = 0.0  # ... first seen then

    @property
    def known(self) -> bool:
        """Whether any usable camera_info has come."""
        return self._believed is not None

    @property
    def rectifier(self) -> Rectifier:
        """The calibration for the images of now. Raises FrameError while there is none to trust."""
        if self._believed is None:
            raise FrameError("no_camera_info", "image dropped: no usable camera_info")
        if self._candidate is not None:
            raise FrameError(
                "calibration_changed",
                f"image dropped: camera_info has changed; it is believed when it stays for {SETTLE:g} s",
            )
        return self._believed

    def is_news(self, info: CameraInfo) -> bool:
        """Whether `update` has anything to do: the usual camera_info repeats the one before."""
        return self._candidate is not None or content_of(info) != self._content

    def update(self, info: CameraInfo, now: float) -> None:
        """Take a camera_info in; FrameError for an unusable one, which leaves the earlier one in force."""
        content = content_of(info)
        if content == self._content:
            self._candidate = None
            return
        if self._believed is not None and content != self._candidate:
            Rectifier.from_info(info)
            self._candidate, self._since = content, now
        if self._believed is None or now - self._since >= SETTLE:
            self._believed, self._content, self._candidate = Rectifier.from_info(info), content, None


def content_of(info: CameraInfo) -> tuple[object, ...]:
    """What makes two camera_info messages equal; without their stamps."""
    return (info.width, info.height, info.distortion_model, tuple(info.k), tuple(info.d))
