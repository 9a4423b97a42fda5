"""All textures of a scene in one flat array, each with its pyramid of halved sizes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ig_ros.simulation.textures import Texture
from ig_ros.types import FloatArray, IntArray


class Atlas:
    """Repeating square textures with power-of-two sides, sampled at the pyramid level that fits the pixel."""

    def __init__(self, textures: Sequence[Texture]) -> None:
        unique = {id(texture): texture for texture in textures}
        place = {key: i for i, key in enumerate(unique)}
        self._place = np.array([place[id(texture)] for texture in textures])
        sides = np.array([texture.shape[0] for texture in unique.values()])
        self._levels = np.log2(sides).round().astype(np.int64)
        self.sizes = sides[self._place]  # (number of textures,) side in texels
        self._offset = np.zeros((len(sides), int(self._levels.max()) + 1), np.int64)
        texels: list[Texture] = []
        total = 0
        for i, texture in enumerate(unique.values()):
            image = texture.astype(np.float32)
            for level in range(int(self._levels[i]) + 1):
                self._offset[i, level] = total
                total += image.shape[0] ** 2
                texels.append(image.round().astype(np.uint8).reshape(-1, 3))
                if image.shape[0] > 1:
                    image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        self._texels = np.concatenate(texels)

    def sample(self, texture: IntArray, uv: FloatArray, footprint: FloatArray) -> FloatArray:
        """(N, 3) float32 in [0, 1], bilinear. texture: (N,) index; uv: (N, 2); footprint: (N,) texels per pixel."""
        place = self._place[texture]
        level = np.log2(np.maximum(footprint, 1)).round().astype(np.int64).clip(0, self._levels[place])
        side = np.int64(1) << (self._levels[place] - level)
        offset, last = self._offset[place, level], side - 1
        x = uv[:, 0] * side - np.float32(0.5)
        y = uv[:, 1] * side - np.float32(0.5)
        x0, y0 = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        fx, fy = (x - x0).astype(np.float32)[:, None], (y - y0).astype(np.float32)[:, None]
        left, right = x0 & last, (x0 + 1) & last
        top, bottom = offset + (y0 & last) * side, offset + ((y0 + 1) & last) * side
        upper = self._texels[top + left] * (1 - fx) + self._texels[top + right] * fx
        lower = self._texels[bottom + left] * (1 - fx) + self._texels[bottom + right] * fx
        color: FloatArray = (upper * (1 - fy) + lower * fy) * np.float32(1 / 255)
        return color
