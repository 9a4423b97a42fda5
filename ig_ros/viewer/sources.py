"""Where a page gets its map from: one that was saved, or one that is being made."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ig_ros.config import Config
from ig_ros.evaluation.metrics import psnr
from ig_ros.language import Encoder, rank
from ig_ros.live import LiveMapper, LiveStats
from ig_ros.raster import rasterize
from ig_ros.scaffold.keyframes import Keyframe, make_keyframe
from ig_ros.types import Frame, GaussianBatch, MapSnapshot, QueryResult

WATCHED = 4  # pictures by which a live map is judged


class Source(Protocol):
    """What a page needs to know; every method may be called from any thread and waits for nothing."""

    @property
    def title(self) -> str:
        """One line that says what is shown."""

    def snapshot(self) -> MapSnapshot | None:
        """The newest map, None before there is one."""

    def query(self, text: str, max_results: int) -> QueryResult:
        """Objects that fit the text, best first. Raises QueryError for an unusable text."""

    def stats(self) -> LiveStats | None:
        """How the training goes, None where nothing trains."""

    def quality(self, snapshot: MapSnapshot) -> float | None:
        """PSNR (dB) of the snapshot against pictures that are watched, None where there are none."""


@dataclass(frozen=True, slots=True)
class SavedSource:
    """A map from disk; it does not change."""

    title: str
    saved: MapSnapshot
    encoder: Encoder | None
    config: Config

    def snapshot(self) -> MapSnapshot:
        return self.saved

    def query(self, text: str, max_results: int) -> QueryResult:
        return rank(self.saved, text, self.encoder, self.config.language, max_results)

    def stats(self) -> None:
        return None

    def quality(self, snapshot: MapSnapshot) -> None:  # noqa: ARG002  # there are no pictures to judge it by
        return None


class LiveSource:
    """A map that is being made; the newest pictures that `watch` was given judge it."""

    def __init__(self, title: str, mapper: LiveMapper) -> None:
        self.title = title
        self._mapper = mapper
        self._watched: deque[Keyframe] = deque(maxlen=WATCHED)
        self._lock = threading.Lock()

    def watch(self, frame: Frame) -> None:
        """Judge the map by this frame too; the oldest of four goes. Costs a resize, no rendering."""
        keyframe = make_keyframe(-1, frame, self._mapper.config.input)
        with self._lock:
            self._watched.append(keyframe)

    def snapshot(self) -> MapSnapshot | None:
        return self._mapper.snapshot()

    def query(self, text: str, max_results: int) -> QueryResult:
        return self._mapper.query(text, max_results)

    def stats(self) -> LiveStats:
        return self._mapper.stats()

    def quality(self, snapshot: MapSnapshot) -> float | None:
        with self._lock:
            watched = list(self._watched)
        if snapshot.gaussians is None or not watched:
            return None
        return float(np.mean([_psnr(snapshot.gaussians, keyframe) for keyframe in watched]))


def _psnr(gaussians: GaussianBatch, keyframe: Keyframe) -> float:
    """dB, of the Gaussians' colour as the keyframe's camera sees it."""
    rendered = rasterize(gaussians, keyframe.T_world_camera, keyframe.camera)
    color = rendered.features[..., :3].detach().cpu().numpy().clip(0, 1)
    return float(psnr(color, keyframe.rgb.numpy() / np.float32(255)))
