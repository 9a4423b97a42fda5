"""Plane sweep: how well the pixels of one keyframe match others if they lie at a given inverse depth.

Costs live on every stride-th pixel of the keyframe. A partner's cost is the truncated difference of brightness and of
its gradient, averaged over 3 x 3 costs; a pixel's cost is the mean of its two best partners, so that what one side of
an object hides the views from the other side still explain (Kang, Szeliski & Chai, CVPR 2001, temporal selection).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.geometry import inverse
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.types import FloatArray

Image8 = npt.NDArray[np.uint8]

TRUNCATION = (20.0, 24.0, 24.0, 255.0)  # grey levels; the last channel is "inside the picture"
# The weights add up to 255 for a pixel outside the picture, in saturated uint8, and to WORST at most for one inside.
SUM = np.array([[1.0, 1.0, 1.0, 255.0]], np.float32)
WORST = sum(TRUNCATION[:3])
UNSEEN = 15.0  # cost of a hypothesis that no partner sees: neither good nor bad
WINDOW = (3, 3)
SMOOTHING = 0.7  # px, against aliasing on the strided grid
OUTSIDE: dict[str, Any] = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": (0, 0, 0, 0)}


def channels(rgb: Image8) -> Image8:
    """(H, W, 4) brightness, its gradient in x and y (around 128) and 255 everywhere, of an image (H, W, 3)."""
    gray = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), SMOOTHING)
    slopes = [cv2.Sobel(gray, cv2.CV_16S, dx, 1 - dx, ksize=3) for dx in (1, 0)]
    shifted = [np.clip(s // 2 + 128, 0, 255).astype(np.uint8) for s in slopes]
    merged: Any = cv2.merge([gray, *shifted, np.full_like(gray, 255)])
    return np.asarray(merged, np.uint8)


@dataclass(frozen=True, slots=True)
class Partner:
    """One keyframe to compare with: its channels and where a grid cell at inverse depth r falls in it."""

    image: Image8  # (H, W, 4)
    far: FloatArray  # (3, 3) homography from grid cells to pixel indices of this image at inverse depth 0
    near: FloatArray  # (3, 3) what each 1/m of inverse depth adds


class Sweep:
    """The matching problem of one keyframe: `cost` for planes parallel to the image, `cost_of` for any depth map."""

    def __init__(self, new: Keyframe, partners: Sequence[Keyframe], stride: int) -> None:
        self.image = np.ascontiguousarray(channels(new.rgb.numpy())[::stride, ::stride])
        self.shape = self.image.shape[:2]
        grid_to_pixel = np.array([[stride, 0, 0.5], [0, stride, 0.5], [0, 0, 1.0]])
        ray = np.linalg.inv(new.camera.K) @ grid_to_pixel
        index = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1.0]])  # OpenCV counts from pixel centres
        self.partners = []
        for old in partners:
            T_old_new = inverse(old.T_world_camera) @ new.T_world_camera
            K = index @ old.camera.K
            shift = np.outer(T_old_new[:3, 3], [0.0, 0.0, 1.0])
            self.partners.append(Partner(channels(old.rgb.numpy()), K @ T_old_new[:3, :3] @ ray, K @ shift @ ray))
        rows, cols = np.indices(self.shape, np.float32)
        self._cells = np.stack([cols, rows, np.ones_like(rows)], axis=-1)

    def cost(self, inverse_depth: float) -> FloatArray:
        """(h, w) float32 cost if everything lay at one inverse depth, 1/m."""
        size = self.shape[::-1]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return self._best_two(
            cv2.warpPerspective(p.image, p.far + inverse_depth * p.near, size, flags=flags, **OUTSIDE)
            for p in self.partners
        )

    def cost_of(self, inverse_depth: FloatArray) -> FloatArray:
        """(h, w) float32 cost of an inverse depth map (h, w) in 1/m."""
        return self._best_two(self._warped(p, inverse_depth) for p in self.partners)

    def _warped(self, partner: Partner, inverse_depth: FloatArray) -> Any:
        far, near = (self._cells @ m.T.astype(np.float32) for m in (partner.far, partner.near))
        where = far + inverse_depth[..., None].astype(np.float32) * near
        where /= np.maximum(where[..., 2:], 1e-6)
        return cv2.remap(partner.image, where[..., 0], where[..., 1], cv2.INTER_LINEAR, **OUTSIDE)

    def _best_two(self, images: Iterable[Any]) -> FloatArray:
        first = np.full(self.shape, 255, np.uint8)
        second = first.copy()
        for image in images:
            difference = cv2.min(cv2.absdiff(self.image, image), TRUNCATION)
            cost = cv2.boxFilter(cv2.transform(difference, SUM), -1, WINDOW)
            second = cv2.min(second, cv2.max(first, cost))
            first = cv2.min(first, cost)
        # One partner's word counts as much as two: a price on it would make bare walls choose what two can see.
        second = np.where(second > WORST, first, second)
        mean = 0.5 * (first.astype(np.float32) + second)
        return np.where(first > WORST, UNSEEN, mean).astype(np.float32)
