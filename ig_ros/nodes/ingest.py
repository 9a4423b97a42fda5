"""From bundles of messages to Frames: decoding and undistortion in a thread of its own, behind a bounded queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import numpy as np
from sensor_msgs.msg import CameraInfo

from ig_ros.errors import FrameError
from ig_ros.nodes.conversions import depth_from_image, rgb_from_message
from ig_ros.nodes.diagnostics import Problems
from ig_ros.nodes.objects import masks_from_message
from ig_ros.nodes.rectification import Rectifier
from ig_ros.nodes.synchronizer import Bundle
from ig_ros.types import Array, Camera, FloatArray, Frame, Masks

CAPACITY = 8  # bundles waiting to be decoded; the oldest is dropped


class Calibration:
    """The newest usable camera_info; its undistortion maps are computed again only when it changes."""

    def __init__(self) -> None:
        self.rectifier: Rectifier | None = None
        self._content: tuple[object, ...] = ()

    def update(self, info: CameraInfo) -> None:
        """Take over a camera_info; FrameError leaves the earlier one in force."""
        content = (info.width, info.height, info.distortion_model, tuple(info.k), tuple(info.d))
        if content != self._content:
            self.rectifier = Rectifier.from_info(info)
            self._content = content


class FrameBuilder:
    """Decodes, undistorts and assembles; hands every usable frame to `submit` and every problem to `problems`."""

    def __init__(self, calibration: Calibration, submit: Callable[[Frame], None], problems: Problems) -> None:
        self._calibration = calibration
        self._submit = submit
        self._problems = problems
        self._queue: queue.Queue[Bundle | None] = queue.Queue(CAPACITY)
        self._thread = threading.Thread(target=self._work, name="frame_builder", daemon=True)
        self._thread.start()

    def put(self, bundle: Bundle) -> None:
        """Never blocks: the oldest waiting bundle makes room."""
        while True:
            try:
                self._queue.put_nowait(bundle)
                return
            except queue.Full:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        try:
            self._queue.get_nowait()
        except queue.Empty:
            return
        self._problems.add("decoder_full", "images come faster than they are decoded: lower the camera's rate or size")

    def stop(self) -> None:
        """End the thread after the bundle it works on."""
        while not self._queue.empty():
            self._drop_silently()
        self._queue.put(None)
        self._thread.join(1.0)

    def _drop_silently(self) -> None:
        try:
            self._queue.get_nowait()
        except queue.Empty:
            return

    def _work(self) -> None:
        while (bundle := self._queue.get()) is not None:
            try:
                self._submit(self.build(bundle))
            except FrameError as error:
                self._problems.add_error(error)
            except Exception as error:  # the border: one bad image must not end the stream
                self._problems.add("internal", f"image dropped by an internal error: {type(error).__name__}: {error}")

    def build(self, bundle: Bundle) -> Frame:
        """The frame of a bundle. Unusable depth or masks are reported and left out; FrameError when the image is."""
        rectifier = self._calibration.rectifier
        if rectifier is None:
            raise FrameError("no_camera_info", "image dropped: no usable camera_info")
        rgb = rgb_from_message(bundle.image)
        _demand_size(
            "image_size",
            "image",
            rgb,
            rectifier.camera,
            "camera_info says",
            "publish the camera_info of this image size",
        )
        depth, masks = self._depth(bundle, rectifier), self._masks(bundle, rectifier)
        return Frame(bundle.stamp, rectifier.color(rgb), rectifier.camera, bundle.T_world_camera, depth, masks)

    def _depth(self, bundle: Bundle, rectifier: Rectifier) -> FloatArray | None:
        if bundle.depth is None:
            return None
        try:
            depth = depth_from_image(bundle.depth)
            _demand_size(
                "depth_size", "depth", depth, rectifier.camera, "the image is", "publish depth registered to the image"
            )
        except FrameError as error:
            self._problems.add(error.cause, f"{error} (the image is used without depth)")
            return None
        return np.asarray(rectifier.nearest(depth), np.float32)

    def _masks(self, bundle: Bundle, rectifier: Rectifier) -> Masks | None:
        if bundle.masks is None:
            return None
        try:
            masks = masks_from_message(bundle.masks)
            _demand_size(
                "mask_size", "label image", masks.labels, rectifier.camera, "the image is", "segment the full image"
            )
        except FrameError as error:
            self._problems.add(error.cause, f"{error} (the image is used without masks)")
            return None
        return Masks(
            np.asarray(rectifier.nearest(masks.labels), np.int32),
            masks.names,
            masks.scores,
            masks.embeddings,
            masks.encoder,
        )


def _demand_size(cause: str, what: str, pixels: Array, camera: Camera, other: str, remedy: str) -> None:
    height, width = pixels.shape[:2]
    if (width, height) != (camera.width, camera.height):
        raise FrameError(cause, f"{what} is {width}x{height}, {other} {camera.width}x{camera.height}: {remedy}")
