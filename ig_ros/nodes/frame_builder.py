"""From bundles of messages to Frames: decoding and undistortion, on a thread of its own behind a bounded queue."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sensor_msgs.msg import Image

from ig_ros.config import NodeConfig
from ig_ros.depth_images import aligned_depth, fitted_depth
from ig_ros.detections import detections_from_message, rectified
from ig_ros.errors import ConfigError, FrameError
from ig_ros.geometry import inverse
from ig_ros.ignored import IgnoreMask, union
from ig_ros.lens_distortion import Rectifier
from ig_ros.message_decoding import (
    depth_from_message,
    labels_from_image,
    masks_from_message,
    nanoseconds,
    rgb_from_message,
)
from ig_ros.msg import SegmentedImage
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.executor import JOBS, Worker
from ig_ros.nodes.message_checks import Calibration, MessageLimits
from ig_ros.nodes.pose_sources import TfLookup
from ig_ros.nodes.synchronizer import Bundle, Late
from ig_ros.scaffold.keyframes import demand_usable
from ig_ros.types import Array, BoolArray, Detections, FloatArray, Frame, Masks

FULL = ("decoder_full", "images come faster than they are decoded: lower the camera's rate or size")
INFO_REMEDY = "publish the camera_info of this image size (its binning and roi count)"
BLANK = 6  # grey levels: an image without any greater difference shows nothing
REMEMBERED = 100  # images, or boxes, that wait for each other at most


class LateSink(NamedTuple):
    """Takes what comes for frames that were submitted without it."""

    masks: Callable[[int, Masks], None]  # stamp (ns), masks
    ignored: Callable[[int, BoolArray], None]  # stamp (ns), pixels
    detections: Callable[[int, Detections, int], None]  # stamp (ns), boxes, columns of the image they are in


class FrameBuilder:
    """Decodes, undistorts and assembles; hands every usable frame to `submit`, masks, boxes and ignored pixels that
    came after their frame to `late`, and every problem to `problems`."""

    def __init__(
        self, config: NodeConfig, place: int, submit: Callable[[Frame], None],
        late: LateSink, problems: Problems, tf: TfLookup,
    ) -> None:  # fmt: skip
        """`place` is the camera's among the cameras; stamps are shifted by so many nanoseconds, so that those of
        several cameras triggered together stay unique."""
        width = config.core.input.max_width
        self.calibration, self.depth_calibration = Calibration(width), Calibration(width)
        self._name, self._shift, self._input = config.cameras[place], place, config.core.input
        self._submit, self._late, self._problems, self._tf = submit, late, problems, tf
        self._mask = ignore_mask(config, place)
        self._limits = MessageLimits(config.limits)
        self._tolerance = round(config.sync_tolerance * 1e9)
        self._built: deque[int] = deque(maxlen=REMEMBERED)  # stamps of images that have left, as they came
        self._boxes: dict[int, Any] = {}  # stamp -> boxes whose image has not left yet; all on the decoder's thread
        self._worker = Worker(f"decoder_{self._name}", JOBS, problems, FULL)
        self.stop = self._worker.stop
        self.clear = self._worker.clear

    def __len__(self) -> int:
        return len(self._worker)

    def put(self, bundle: Bundle) -> None:
        """Never blocks: the oldest waiting bundle makes room."""
        self._worker.put(lambda: self._submit(self.build(bundle)))

    def put_late(self, late: Late) -> None:
        """Masks of an image that was put without any. Never blocks: the oldest waiting bundle makes room."""
        self._worker.put(lambda: self._attach(late))

    def put_detections(self, message: Any) -> None:
        """Boxes of an image, before or after it. Never blocks: the oldest waiting bundle makes room."""
        self._worker.put(lambda: self._take_boxes(nanoseconds(message.header.stamp), message))

    def _take_boxes(self, stamp: int, message: Any) -> None:
        image = min(self._built, key=lambda built: abs(built - stamp), default=None)
        if image is not None and abs(image - stamp) <= self._tolerance:
            rectifier = self.calibration.at(image)
            found = rectified(detections_from_message(message), rectifier)
            self._late.detections(image + self._shift, found, rectifier.camera.width)
            return
        self._boxes[stamp] = message
        if len(self._boxes) > REMEMBERED:
            del self._boxes[next(iter(self._boxes))]
            text = "boxes came whose image is not known: stamp detections as their image, and remap both"
            self._problems.add("detections_alone", text)

    def _detections(self, stamp: int, rectifier: Rectifier) -> Detections | None:
        """Returns the boxes that have come for an image; unusable ones are reported and left out."""
        self._built.append(stamp)
        near = min(self._boxes, key=lambda boxes: abs(boxes - stamp), default=None)
        if near is None or abs(near - stamp) > self._tolerance:
            return None
        try:
            return rectified(detections_from_message(self._boxes.pop(near)), rectifier)
        except FrameError as error:
            self._problems.add(error.cause, f"{error} (the image is used without boxes)")
            return None

    def _attach(self, late: Late) -> None:
        rectifier = self.calibration.at(late.stamp)
        masks, ignored = self._masks(late.masks, rectifier), self._named(late.ignore, rectifier)
        if masks is not None:
            self._late.masks(late.stamp + self._shift, masks)
        if ignored is not None:
            self._late.ignored(late.stamp + self._shift, ignored)

    def build(self, bundle: Bundle) -> Frame:
        """The frame of a bundle. Unusable depth or masks are reported and left out; FrameError when the image is."""
        rectifier = self.calibration.at(bundle.stamp)
        rgb = rgb_from_message(bundle.image, rectifier.lens.reduction)
        demand_size("image_size", "image", rgb, rectifier, "camera_info says", INFO_REMEDY)
        if int(np.ptp(rgb[::4, ::4])) < BLANK:
            raise FrameError("image_blank", "image dropped: it is of one colour; check lens cap, exposure and light")
        depth, masks = self._depth(bundle, rectifier), self._masks(bundle.masks, rectifier)
        return Frame(
            bundle.stamp + self._shift, rectifier.color(rgb), rectifier.camera, bundle.T_world_camera, depth, masks,
            source=self._name, detections=self._detections(bundle.stamp, rectifier),
            ignored=union(self._static(rectifier), self._named(bundle.ignore, rectifier)),
        )  # fmt: skip

    def _static(self, rectifier: Rectifier) -> BoolArray | None:
        """Returns the camera's own mask, drawn on an image as published; FrameError for another shape."""
        if self._mask is None:
            return None
        own = self._mask.sized(rectifier.camera.width, rectifier.camera.height)
        return undistorted(own, rectifier)

    def _named(self, message: Image | None, rectifier: Rectifier) -> BoolArray | None:
        """Returns the pixels that a message ignores; FrameError where it cannot be told: nothing is guessed."""
        if message is None:
            return None
        pixels = rectifier.fitted(labels_from_image(message))
        demand_size("ignore_size", "ignore image", pixels, rectifier, "the image is", "publish it of the whole image")
        return undistorted(pixels != 0, rectifier)

    def _depth(self, bundle: Bundle, rectifier: Rectifier) -> FloatArray | None:
        if bundle.depth is None or not self._input.use_depth:
            return None
        try:
            depth = fitted_depth(depth_from_message(bundle.depth), rectifier)
            registered = depth.shape == (rectifier.camera.height, rectifier.camera.width)
            depth = aligned_depth(depth, rectifier, *self._mounting(bundle, registered))
            demand_usable(depth, self._input)
        except FrameError as error:
            self._problems.add(error.cause, f"{error} (the image is used without depth)")
            return None
        return depth

    def _mounting(self, bundle: Bundle, registered: bool) -> tuple[Rectifier | None, FloatArray | None]:
        """Returns the calibration of a depth camera of its own and T_color_depth (4, 4); None for registered depth.

        `registered` says whether depth has the image's size. Raises FrameError `depth_frame` where depth is of another
        frame and its camera_info or tf is missing.
        """
        assert bundle.depth is not None
        T_now_then = None
        if bundle.T_world_depth is not None:
            T_now_then = inverse(bundle.T_world_camera) @ bundle.T_world_depth
        color, depth = (message.header.frame_id.lstrip("/") for message in (bundle.image, bundle.depth))
        same, known = depth in ("", color), self.depth_calibration.known
        if same and (registered or not known):
            return None, T_now_then
        text = f"depth is of '{depth[:60]}', the image of '{color[:60]}'"
        remedy = "publish depth registered to the image, in its frame_id"
        if not known:
            raise FrameError("depth_frame", f"{text}, and no depth/camera_info has come: publish it, or {remedy}")
        own = self.depth_calibration.rectifier
        if same:
            return own, T_now_then
        try:
            T_color_depth = self._tf.matrix(color, depth, None)
        except FrameError as error:
            raise FrameError("depth_frame", f"{text}; {error}; or {remedy}") from error
        return own, T_color_depth if T_now_then is None else T_now_then @ T_color_depth

    def _masks(self, message: SegmentedImage | None, rectifier: Rectifier) -> Masks | None:
        if message is None:
            return None
        try:
            masks = masks_from_message(message)
            self._limits.labels(masks.labels)
            labels = rectifier.fitted(masks.labels)
            demand_size("mask_size", "label image", labels, rectifier, "the image is", "segment the full image")
        except FrameError as error:
            self._problems.add(error.cause, f"{error} (the image is used without masks)")
            return None
        return dataclasses.replace(masks, labels=np.asarray(rectifier.nearest(labels), np.int32))


def undistorted(ignored: BoolArray, rectifier: Rectifier) -> BoolArray:
    """Returns the pixels (H, W) of an undistorted image that are ignored in the distorted one."""
    return np.asarray(rectifier.nearest(ignored.astype(np.uint8)), bool)


def ignore_mask(config: NodeConfig, place: int) -> IgnoreMask | None:
    """Returns the mask of the camera at a place of `cameras`. Raises ConfigError for one that cannot be read."""
    if len(config.ignore_mask) > max(len(config.cameras), 1):
        raise ConfigError(f"'ignore_mask' has {len(config.ignore_mask)} entries for {len(config.cameras)} cameras")
    path = config.ignore_mask[place] if place < len(config.ignore_mask) else ""
    return IgnoreMask.read(path) if path else None


def demand_size(cause: str, what: str, pixels: Array, rectifier: Rectifier, other: str, remedy: str) -> None:
    """Raises FrameError unless pixels (H, W, ...) have the size of the camera's images."""
    camera, n, (height, width) = rectifier.camera, rectifier.lens.reduction, pixels.shape[:2]
    if (width, height) != (camera.width, camera.height):
        once = n if what == "image" else 1  # what has not been reduced
        size, wanted = f"{width * once}x{height * once}", f"{camera.width * n}x{camera.height * n}"
        raise FrameError(cause, f"{what} is {size}, {other} {wanted}: {remedy}")
