"""A simulated scene as a dataset: frames rendered when asked for."""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np

from ig_ros.datasets.base import SceneTruth, stamp_of
from ig_ros.simulation.mask_noise import EXACT, NOISY, REPEATING, MaskNoise, View
from ig_ros.simulation.options import SimulationOptions
from ig_ros.simulation.render import Renderer, Rendering
from ig_ros.simulation.scene import Scene
from ig_ros.simulation.sensor import expose, measure_depth
from ig_ros.simulation.truth import scene_truth
from ig_ros.types import Camera, Frame, IntArray, Masks

FOCAL = 0.9  # of the image width: 58 degrees, as depth cameras have
KEPT = 16  # frames held in memory
RATES = {"noisy": NOISY, "repeating": REPEATING, "exact": EXACT}


class SimulatedDataset:
    """One scene recorded with one set of options; the same options give the same frames, bit for bit."""

    def __init__(self, scene: Scene, options: SimulationOptions) -> None:
        """Builds the ray caster (about a second); frames come on demand."""
        self.name = scene.name
        self.scene = scene
        self.options = options
        width, height = options.width, options.width * 3 // 4
        K = np.array([[FOCAL * width, 0, width / 2], [0, FOCAL * width, height / 2], [0, 0, 1.0]])
        self.camera = Camera(K, width, height)
        self.renderer = Renderer(scene)
        self._noise: MaskNoise | None = None
        if options.masks != "none":
            rates = RATES[options.masks].scaled(options.noise)
            self._noise = MaskNoise(scene.things, rates, options.seed)
        self._rendering = lru_cache(KEPT)(self._render)
        self._frame = lru_cache(KEPT)(self._record)

    @cached_property
    def truth(self) -> SceneTruth:
        """Exact instances; the surface points are computed at first use (seconds)."""
        return scene_truth(self.scene, self.renderer, self.camera, self._instance_image)

    def __len__(self) -> int:
        return len(self.scene.path)

    def __getitem__(self, i: int) -> Frame:
        return self._frame(range(len(self))[i])

    def _instance_image(self, i: int) -> IntArray:
        return self._rendering(range(len(self))[i]).ids

    def _render(self, i: int) -> Rendering:
        return self.renderer.render(self.camera, self.scene.path[i])

    def _record(self, i: int) -> Frame:
        ideal = self._rendering(i)
        random = np.random.default_rng([self.options.seed, 41, i])
        rgb = expose(ideal.rgb, random)
        depth = None
        if self.options.depth == "exact":
            depth = ideal.depth
        elif self.options.depth == "noisy":
            depth = measure_depth(ideal.depth, ideal.slant, random)
        return Frame(stamp_of(i), rgb, self.camera, self.scene.path[i], depth, self._masks(ideal, i), i)

    def _masks(self, ideal: Rendering, i: int) -> Masks | None:
        if self._noise is None:
            return None
        points = self.renderer.world_points(self.camera, self.scene.path[i], ideal.depth)
        return self._noise.masks(View(ideal.ids, points), i)
