"""How a training went: what the curves of a report are drawn from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ig_ros.evaluation.metrics import psnr
from ig_ros.evaluation.offline import MappingProgress
from ig_ros.mapper import Mapper
from ig_ros.scaffold.keyframes import Keyframe, make_keyframe
from ig_ros.types import Frame

MOMENTS = 300  # points of a curve at most
PROBES = 24  # times that unseen views are rendered, over the whole budget


@dataclass(frozen=True, slots=True)
class Moment:
    """One point of the curves that cost nothing."""

    step: int
    seconds: float  # since the mapping began
    loss: float  # running mean of the training views' loss
    anchors: int


@dataclass(frozen=True, slots=True)
class Probe:
    """One point of the curves that cost a rendering."""

    step: int
    seconds: float
    psnr: float  # dB, mean over the unseen views that are watched
    gaussians: int  # worth exporting


class History:
    """Collects moments and probes while a map trains; evenly over the budget, whatever its length."""

    def __init__(self, mapper: Mapper, unseen: Sequence[Frame]) -> None:
        """Watch `mapper` and how it renders the `unseen` frames, which must not be trained on."""
        self._mapper = mapper
        self._unseen: list[Keyframe] = [make_keyframe(-1, frame, mapper.config.input) for frame in unseen]
        self._begin = time.perf_counter()
        self.moments: list[Moment] = []
        self.probes: list[Probe] = []

    def note(self, p: MappingProgress) -> None:
        """Call it after every training step."""
        seconds = time.perf_counter() - self._begin
        if p.share * MOMENTS >= len(self.moments):
            self.moments.append(Moment(p.steps, seconds, p.loss, p.anchors))
        if self._unseen and p.share * PROBES >= len(self.probes):
            gaussians = len(self._mapper.scaffold.canonical().means)
            quality = float(np.mean([self._psnr(view) for view in self._unseen]))
            self.probes.append(Probe(p.steps, seconds, quality, gaussians))

    def _psnr(self, view: Keyframe) -> float:
        rendered = self._mapper.scaffold.render(view.camera, view.T_world_camera)
        color = rendered.features[..., :3].cpu().numpy().clip(0, 1)
        return float(psnr(color, view.rgb.numpy() / np.float32(255)))
