"""What the node refuses: messages beyond the limits, second senders, calibrations that change."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from nav_msgs.msg import Path
from PIL import Image as Picture
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from ig_ros.config import LimitsConfig
from ig_ros.errors import FrameError, QueryError
from ig_ros.lens_distortion import MOST_KEPT, Lens, Rectifier, Rectifiers
from ig_ros.message_decoding import CONFIG, PNG, nanoseconds, rvl_size
from ig_ros.msg import SegmentedImage
from ig_ros.nodes.topics import SILENT
from ig_ros.types import IntArray

COEFFICIENTS = 14  # of the longest distortion model
POINT = 64  # bytes of a sparse point on average, padding included: the largest lidar drivers need 48
FIELDS = 32  # of a sparse point
FORMATS = ("JPEG", "PNG")  # of compressed images


class MessageLimits:
    """The limits as checks: messages raise FrameError `..._too_large`, requests raise QueryError."""

    def __init__(self, limits: LimitsConfig) -> None:
        self.limits = limits

    def image(self, message: Image | CompressedImage) -> None:
        """A colour or depth image, raw or compressed."""
        self._picture("image", message)

    def depth(self, message: Image | CompressedImage) -> None:
        """A depth image, raw or compressed."""
        self._picture("depth", message)

    def masks(self, message: SegmentedImage) -> None:
        """A label image with its masks, their names and embeddings."""
        self._raw("mask", message.labels)
        _demand("mask", "masks", len(message.masks), self.limits.masks, "limits.masks")
        longest = max((len(mask.embedding) for mask in message.masks), default=0)
        _demand("mask", "numbers in an embedding", longest, self.limits.embedding, "limits.embedding")
        text = max((len(mask.label) for mask in message.masks), default=0)
        _demand("mask", "characters in a label", max(text, len(message.encoder)), self.limits.text, "limits.text")

    def labels(self, labels: IntArray) -> None:
        """A decoded label image (H, W): masks without an entry in the message count too."""
        count = int(np.count_nonzero(np.bincount(labels.ravel())[1:]))
        _demand("mask", "masks", count, self.limits.masks, "limits.masks")

    def detections(self, message: Any) -> None:
        """Boxes of a detector, of ours or of vision_msgs."""
        _demand("detections", "boxes", len(message.detections), self.limits.masks, "limits.masks")

    def info(self, message: CameraInfo) -> None:
        """A calibration: undistortion maps of its size would be made."""
        self._pixels("camera_info", int(message.width), int(message.height))
        _demand("camera_info", "distortion coefficients", len(message.d), COEFFICIENTS, "OpenCV")

    def cloud(self, message: PointCloud2) -> None:
        """Sparse points."""
        points = int(message.width) * int(message.height)
        _demand("map_points", "points", points, self.limits.cloud_points, "limits.cloud_points")
        room = max(len(message.data), 1)  # rows without points would be walked one by one
        _demand("map_points", "rows", int(message.height), room, "its own data")
        _demand("map_points", "bytes", len(message.data), POINT * self.limits.cloud_points, "limits.cloud_points")
        _demand("map_points", "fields", len(message.fields), FIELDS, "the node")

    def path(self, message: Path) -> None:
        """A corrected trajectory."""
        _demand("pose_graph", "poses", len(message.poses), self.limits.path_poses, "limits.path_poses")

    def text(self, what: str, text: str) -> None:
        """A text of a request. Raises QueryError."""
        if len(text) > self.limits.text:
            raise QueryError(f"{what} has {len(text)} characters, limits.text allows {self.limits.text}: be brief")

    def ids(self, ids: Sequence[int]) -> None:
        """Object ids of a request. Raises QueryError."""
        if len(ids) > self.limits.masks:
            raise QueryError(f"request names {len(ids)} objects, limits.masks allows {self.limits.masks}: ask in parts")

    def view(self, width: int, height: int) -> None:
        """Size of a view to be drawn, which takes far more memory than an image does. Raises QueryError."""
        limit = min(MOST_KEPT, self.limits.image_pixels)
        if width * height > limit:
            raise QueryError(f"a view of {width}x{height} px exceeds the limits, {limit} pixels: ask for less")

    def _picture(self, what: str, message: Image | CompressedImage) -> None:
        if isinstance(message, CompressedImage):
            self._pixels(what, *compressed_size(what, message, 4 * self.limits.image_pixels))
        else:
            self._raw(what, message)

    def _raw(self, what: str, message: Image) -> None:
        self._pixels(what, int(message.width), int(message.height))
        most = 8 * self.limits.image_pixels  # rows may be padded
        _demand(what, "bytes", len(message.data), most, "limits.image_pixels")

    def _pixels(self, what: str, width: int, height: int) -> None:
        _demand(what, "pixels", width * height, self.limits.image_pixels, "limits.image_pixels")


def compressed_size(what: str, message: CompressedImage, most: int) -> tuple[int, int]:
    """Width and height that a JPEG, PNG or RVL of at most `most` bytes says it has, read from its header alone."""
    data: Any = message.data
    _demand(what, "bytes", len(data), most, "limits.image_pixels")
    if what == "depth" and "rvl" in message.format:
        return rvl_size(np.frombuffer(data, np.uint8))
    start = CONFIG if what == "depth" and bytes(data[: len(PNG)]) != PNG else 0
    try:
        with Picture.open(io.BytesIO(memoryview(data)[start:]), formats=FORMATS) as picture:
            return picture.size
    except Exception as error:  # Pillow has no common class: a broken header, a bomb, an unknown format
        remedy = "publish png or rvl" if what == "depth" else "publish jpeg or png"
        text = f"compressed {what} ('{message.format[:40]}', {len(data)} bytes) cannot be decoded: {remedy}"
        raise FrameError(f"{what}_data", text) from error


def _demand(cause: str, unit: str, count: int, most: int, name: str) -> None:
    if count > most:
        raise FrameError(f"{cause}_too_large", f"{count} {unit}, {name} allows {most}: send less, or raise the limit")


SETTLE = 3.0  # s: a changed calibration must stay for so long to be believed
RECENT = 300  # calibrations of a lens that focuses: of the images of ten seconds, as long as any waits


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
    """The camera_info in force. A new one is believed once it has stayed: one that flickers is a fault.

    One that differs as little as an autofocus changes it is believed at once, for the images from its stamp on.
    """

    rectified = False  # whether the images are undistorted already, so that P is their camera

    def __init__(self, least_width: int = 0) -> None:
        """Large images are reduced, to no less than `least_width` px."""
        self._least_width = least_width
        self._recent: tuple[tuple[int, Lens], ...] = ()  # stamp (ns) and lens of those believed lately
        self._rectifiers = Rectifiers()
        self._content: tuple[object, ...] = ()
        self._candidate: Lens | None = None  # a change that has not stayed yet ...
        self._since = 0.0  # ... first seen then

    @property
    def known(self) -> bool:
        """Whether any usable camera_info has come."""
        return bool(self._recent)

    @property
    def rectifier(self) -> Rectifier:
        """The calibration of now, see `at`."""
        return self.at(sys.maxsize)

    def at(self, stamp: int) -> Rectifier:
        """Returns the calibration of the image of a stamp (ns); computes undistortion maps where it needs new ones.

        Raises FrameError while there is none to trust.
        """
        if not self._recent:
            raise FrameError("no_camera_info", "image dropped: no usable camera_info")
        if self._candidate is not None:
            raise FrameError(
                "calibration_changed",
                f"image dropped: camera_info has changed; it is believed when it stays for {SETTLE:g} s",
            )
        before = (lens for since, lens in reversed(self._recent) if since <= stamp)
        return self._rectifiers.of(next(before, self._recent[-1][1]))

    def update(self, info: CameraInfo, now: float) -> None:
        """Take a camera_info in; FrameError for an unusable one, which leaves the earlier one in force."""
        content = content_of(info)
        if content == self._content:
            self._candidate = None
            return
        lens, recent = Lens.from_info(info, self.rectified, self._least_width), self._recent
        if recent and not lens.near(recent[-1][1]):
            if self._candidate is None or not lens.near(self._candidate):
                self._candidate, self._since = lens, now
            if now - self._since < SETTLE:
                return
            recent = ()
        self._recent = (*recent[-RECENT:], (nanoseconds(info.header.stamp), lens))
        self._content, self._candidate = content, None


def content_of(info: CameraInfo) -> tuple[object, ...]:
    """What makes two camera_info messages equal; without their stamps."""
    roi = info.roi
    window = (roi.x_offset, roi.y_offset, roi.width, roi.height, info.binning_x, info.binning_y)
    return (info.width, info.height, window, info.distortion_model, tuple(info.k), tuple(info.d), tuple(info.p))
