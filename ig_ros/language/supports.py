"""What stands on, lies in and is beneath what: from the surfaces of the map's points, pair by pair."""

from __future__ import annotations

import functools
from weakref import WeakKeyDictionary, proxy

import numpy as np

from ig_ros.language.scene_geometry import CONTACT, SUPPORT_MARGIN, SceneGeometry
from ig_ros.types import BoolArray, FloatArray

FUZZ = 0.015  # m, width of the limit of touching
SUNK = 0.03  # m that a thing must be sunk in what contains it, or a quarter of its own height where that is less
SECTORS = 8  # directions around a thing; in one that contains it, walls stand in all but two
COMPARABLE = 8.0  # ground plans: a table is no part of the stack on it, whatever is larger by this factor


def logistic(x: FloatArray, width: float) -> FloatArray:
    """1 / (1 + exp(-x / width))."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x / width, -50.0, 50.0))))


class Supports:
    """Contacts of S objects, worked out once for a scene."""

    def __init__(self, scene: SceneGeometry) -> None:
        """Compares every two objects whose ground plans meet."""
        n = len(scene)
        self._scene: SceneGeometry = proxy(scene)  # which these go with
        self.beneath, self.inside = functools.cache(self._beneath), functools.cache(self._inside)
        self.share: FloatArray = np.stack([scene.share_over(b) for b in range(n)], axis=1) if n else np.zeros((0, 0))
        touching = np.zeros((n, n))
        for a, b in np.argwhere((self.share > 0.2) & (scene.low[:, None] > scene.low)).tolist():
            touching[a, b] = self._touch(a, b)
        held = touching >= 0.5
        self.on = touching  # (S, S) in [0, 1]: object a stands on b, and nothing else lies between them
        for a, b in np.argwhere(held).tolist():
            if (held[a] & held[:, b] & (self.share[a] > 0.6)).any():
                self.on[a, b] = 0.0
        for b in np.flatnonzero(self._upright()).tolist():
            fixed = logistic(CONTACT - scene.gaps(b), FUZZ) * (scene.low - scene.low[b] > 0.15)
            self.on[:, b] = np.maximum(self.on[:, b], fixed)
        np.fill_diagonal(self.on, 0.0)
        self.carried = self._closure()  # (S, S) bool: a stands on b, or on what stands on b

    def _upright(self) -> BoolArray:
        return np.asarray((self._scene.size[:, :2].min(1) < 0.3) & (self._scene.size[:, 2] > 1.0))

    def _touch(self, a: int, b: int) -> float:
        own = self._scene.points_of(b)
        below = self._scene.over(a, own, SUPPORT_MARGIN) & (own[:, 2] <= self._scene.low[a] + CONTACT)
        if not below.any():
            return 0.0
        gap = abs(self._scene.low[a] - np.percentile(own[below, 2], 95))
        overlap = logistic(self.share[a, b] - 0.5, 0.08)
        return float(logistic(np.asarray(CONTACT - gap), FUZZ) * overlap)

    def _closure(self) -> BoolArray:
        carried = self.on >= 0.5
        for _ in range(len(carried)):
            further = carried | (carried @ carried)
            if (further == carried).all():
                break
            carried = further
        return np.asarray(carried)

    def common(self, anchor: int) -> BoolArray:
        """(S,) bool: what one thing carries together with the anchor; true where it is unknown what carries either.

        The ground, which carries everything in the end, counts only for what stands on it.
        """
        direct, above_ground = self.on >= 0.5, self.carried & self.carried.any(1)
        shared = (direct & direct[anchor]).any(1) | (above_ground & above_ground[anchor]).any(1)
        shared |= self.carried[:, anchor] | self.carried[anchor]
        return np.asarray(shared | ~self.carried.any(1) | ~self.carried[anchor].any())

    def _beneath(self, a: int, b: int) -> float:
        """In [0, 1]: object a carries b, or lies under the surface of b without standing on it or in it."""
        if self.on[b, a] >= 0.5:
            return float(self.on[b, a])
        if a == b or self.on[a, b] >= 0.5 or self.inside(a, b) >= 0.5:
            return 0.0
        overlap = max(self.share[a, b], self.share[b, a])
        own = self._scene.points_of(b)
        over = own[self._scene.over(a, own, SUPPORT_MARGIN if overlap > 0 else 0.0), 2]
        above = over[over >= self._scene.high[a] - CONTACT / 2]
        if not len(above) or len(above) < 0.5 * len(over):
            return 0.0
        gap = max(0.0, float(np.percentile(above, 5) - self._scene.high[a]))
        stacked = 0.8 if self.carried[b, a] else 1.0  # what carries it by way of another thing is meant less
        return float(logistic(np.asarray(overlap - 0.3), 0.08) * (0.9 + 0.1 * np.exp(-gap / 0.2)) * stacked)

    def _inside(self, a: int, b: int) -> float:
        """In [0, 1]: walls of b stand around object a, or b is over it and carries it; a is the smaller one."""
        scene = self._scene
        if a == b or self.share[a, b] < 0.3 or scene.size[a, :2].prod() >= scene.size[b, :2].prod():
            return 0.0
        if scene.low[a] < scene.low[b] - CONTACT / 2:
            return 0.0
        own = scene.points_of(b)
        low = scene.low[a] + min(SUNK, 0.25 * scene.size[a, 2])
        walls = own[(own[:, 2] >= low) & (own[:, 2] <= scene.high[a])] - scene.center[a]
        sector = ((np.arctan2(walls[:, 1], walls[:, 0]) / (2 * np.pi) + 0.5) * SECTORS).astype(int) % SECTORS
        around = len(np.unique(sector)) if len(walls) >= SECTORS else 0
        covered = self.on[a, b] >= 0.5 and (scene.over(a, own) & (own[:, 2] > scene.high[a])).any()
        enclosed = 1.0 if around >= SECTORS - 2 or covered else 0.0
        return float(enclosed * logistic(np.asarray(self.share[a, b] - 0.6), 0.1))

    def end_of_stack(self, top: bool, members: BoolArray) -> FloatArray:
        """(S,) 1 for the highest (lowest) thing of every stack that members (S,) are part of."""
        plan = self._scene.size[:, :2].prod(1)
        stacked = (self.on >= 0.5) & (plan[None] < COMPARABLE * plan[:, None])  # a lies on b
        if top:
            return np.asarray((stacked[:, members].any(1) & ~stacked.any(0)).astype(float))
        return np.asarray((members & stacked.any(0) & ~stacked.any(1)).astype(float))


_SUPPORTS: WeakKeyDictionary[SceneGeometry, Supports] = WeakKeyDictionary()


def supports_of(scene: SceneGeometry) -> Supports:
    """The contacts of a scene, worked out at the first question that needs them."""
    known = _SUPPORTS.get(scene)
    if known is None:
        known = _SUPPORTS[scene] = Supports(scene)
    return known
