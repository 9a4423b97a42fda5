"""Which ray a pixel of a published image is: its camera, where that was at the stamp, and the lens undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ig_ros.errors import FrameError, QueryError
from ig_ros.nodes.conversions import nanoseconds
from ig_ros.nodes.subscriptions import Inputs
from ig_ros.srv import ObjectAt
from ig_ros.types import Camera, FloatArray

if TYPE_CHECKING:
    from ig_ros.live import LiveMapper


class Pixels:
    """Finds the undistorted camera, its pose and the pixel there for what an ObjectAt request names."""

    def __init__(self, mapper: LiveMapper, inputs: Inputs, cameras: tuple[str, ...]) -> None:
        """`cameras` are the names in the parameter of that name."""
        self._mapper, self._inputs, self._cameras = mapper, inputs, cameras

    def locate(self, request: ObjectAt.Request) -> tuple[Camera, FloatArray, float, float]:
        """Camera, pose (4, 4) in the map, column and row with pixel centres at +0.5. Raises QueryError."""
        name = self._camera(request.camera)
        stamp = nanoseconds(request.stamp) or None
        T = self._inputs.pose_at(name, stamp)
        if T is None:  # a map from disk, or an image of before the node's start
            _, T = self._mapper.view(stamp, name)
        u, v = request.u + 0.5, request.v + 0.5
        if not request.width:
            return self._mapper.view(None, name)[0], T, u, v
        try:
            lens = self._inputs.rectifier(name)
        except FrameError:  # nothing is known of the lens: take the pixel for one of the undistorted image
            camera, _ = self._mapper.view(None, name)
            scale = camera.width / request.width
            return camera, T, u * scale, v * scale
        scale = lens.camera.width / request.width
        return lens.camera, T, *lens.point(u * scale, v * scale)

    def _camera(self, name: str) -> str:
        if name in self._cameras:
            return name
        if not name and len(self._cameras) == 1:
            return self._cameras[0]
        known = ", ".join(f"'{camera}'" for camera in self._cameras)
        asked = f"unknown camera '{name[:60]}'" if name else "whose pixel?"
        raise QueryError(f"{asked}: set camera to one of {known}")
