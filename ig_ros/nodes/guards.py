"""What the node refuses to look at: messages beyond the limits, before anything is allocated for them.

DDS has delivered such a message already; here it ends, counted by its cause or answered with the reason.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from nav_msgs.msg import Path
from PIL import Image as Picture
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from ig_ros.errors import FrameError, QueryError
from ig_ros.limits import LimitsConfig
from ig_ros.msg import SegmentedImage
from ig_ros.types import IntArray

COEFFICIENTS = 14  # of the longest distortion model
POINT = 64  # bytes of a sparse point on average, padding included: the largest lidar drivers need 48
FIELDS = 32  # of a sparse point
FORMATS = ("JPEG", "PNG")  # of compressed images


class Guard:
    """The limits as checks: messages raise FrameError `..._too_large`, requests raise QueryError."""

    def __init__(self, limits: LimitsConfig) -> None:
        self.limits = limits

    def image(self, message: Image | CompressedImage) -> None:
        """A colour or depth image, raw or compressed."""
        if isinstance(message, CompressedImage):
            self._pixels("image", *compressed_size(message, 4 * self.limits.image_pixels))
        else:
            self._raw("image", message)

    def depth(self, message: Image) -> None:
        """A depth image."""
        self._raw("depth", message)

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
        if len(ids) > self.limits.ids:
            raise QueryError(f"request names {len(ids)} objects, limits.ids allows {self.limits.ids}: ask in parts")

    def view(self, width: int, height: int) -> None:
        """Size of a view to be drawn. Raises QueryError."""
        if width * height > self.limits.view_pixels:
            limit = self.limits.view_pixels
            raise QueryError(f"a view of {width}x{height} px is larger than limits.view_pixels = {limit}: ask for less")

    def _raw(self, what: str, message: Image) -> None:
        self._pixels(what, int(message.width), int(message.height))
        most = 8 * self.limits.image_pixels  # rows may be padded
        _demand(what, "bytes", len(message.data), most, "limits.image_pixels")

    def _pixels(self, what: str, width: int, height: int) -> None:
        _demand(what, "pixels", width * height, self.limits.image_pixels, "limits.image_pixels")


def compressed_size(message: CompressedImage, most: int) -> tuple[int, int]:
    """Width and height that a JPEG or PNG of at most `most` bytes says it has, read from its header alone."""
    data: Any = message.data
    _demand("image", "bytes", len(data), most, "limits.image_pixels")
    try:
        with Picture.open(io.BytesIO(memoryview(data)), formats=FORMATS) as picture:
            return picture.size
    except Exception as error:  # Pillow has no common class: a broken header, a bomb, an unknown format
        text = f"compressed image ('{message.format[:40]}', {len(data)} bytes) cannot be decoded: publish jpeg or png"
        raise FrameError("image_data", text) from error


def _demand(cause: str, unit: str, count: int, most: int, name: str) -> None:
    if count > most:
        raise FrameError(f"{cause}_too_large", f"{count} {unit}, {name} allows {most}: send less, or raise the limit")
