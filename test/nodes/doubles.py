"""A small mapper with the interface of LiveMapper: every mask with a name becomes an object at its mean depth.

The node's tests are about ROS; with this in place of training they take seconds and have exact answers.
`python test/nodes/doubles.py --ros-args ...` runs the node with it.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ig_ros.config import Config
from ig_ros.errors import QueryError, StorageError
from ig_ros.geometry import back_project, transform
from ig_ros.ignored import union
from ig_ros.language import Scope
from ig_ros.mapper import NEAR
from ig_ros.nodes.mapping_node import run
from ig_ros.planning.removal import without
from ig_ros.scaffold.pose_correction import Correction
from ig_ros.scaffold.pose_refinement import MapCorrection
from ig_ros.types import (
    Detections,
    Frame,
    GaussianBatch,
    Instances,
    MapSnapshot,
    Masks,
    ObjectInstance,
    QueryHit,
    QueryResult,
    QueryStatus,
)


class Stats:
    """The attributes of LiveStats."""

    def __init__(self, frames: int, stamp: int, has_depth: bool, has_masks: bool, objects: int) -> None:
        self.frames_in, self.frames_used, self.keyframes = frames, frames, frames
        self.dropped = {"with_depth": int(has_depth), "with_masks": int(has_masks), "newest_stamp": stamp}
        self.steps, self.steps_per_second, self.anchors, self.gaussians = 0, 0.0, 0, 0
        self.loss, self.instantiation_age, self.instantiation_duration = 0.0, None, 0.0
        self.objects, self.memory_bytes, self.error = objects, 0, ""
        self.restarts, self.silence, self.anchors_on_disk, self.device, self.depth_warning = 0, 0.0, 0, "cpu", ""
        self.poses, self.correction = {}, MapCorrection()


class MaskMapper:
    """Remembers the frames and turns named masks into objects on demand."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.frames: list[Frame] = []
        self.boxes: list[tuple[int, Detections, int]] = []
        self.points = 0
        self.moved = MapCorrection()
        self._snapshot: MapSnapshot | None = None

    def start(self) -> None:
        """Nothing runs."""

    def pause(self, paused: bool = True) -> None:
        """Nothing runs."""

    def stop(self, timeout: float = 2.0) -> None:
        """Nothing runs."""

    def submit(self, frame: Frame) -> None:
        self.frames.append(frame)

    def submit_masks(self, stamp: int, masks: Masks) -> None:
        self.frames = [replace(f, masks=masks) if f.stamp == stamp else f for f in self.frames]

    def submit_detections(self, stamp: int, detections: Detections, width: int) -> None:
        self.boxes.append((stamp, detections, width))

    def submit_ignored(self, stamp: int, ignored: np.ndarray) -> None:
        own = {f.stamp: union(f.ignored, ignored) for f in self.frames if f.stamp == stamp}
        self.frames = [replace(f, ignored=own[stamp]) if f.stamp == stamp else f for f in self.frames]

    def submit_points(self, xyz: np.ndarray, _rgb: np.ndarray | None) -> Future[int]:
        self.points += len(xyz)
        return _done(len(xyz))

    def snapshot(self) -> MapSnapshot | None:
        return self._snapshot

    def view(self, stamp: int | None = None, source: str | None = None) -> Frame:
        frames = [f for f in self.frames if source in (None, f.source)]
        if not frames:
            raise QueryError("no image has been mapped yet")
        frame = frames[-1] if stamp is None else min(frames, key=lambda f: abs(f.stamp - stamp))
        if stamp is not None and abs(frame.stamp - stamp) > NEAR:
            raise QueryError(f"no image is near to {stamp}")
        return frame

    def correct_poses(self, correction: Correction) -> Future[int]:
        poses = correction.apply({f.stamp: f.T_world_camera for f in self.frames if correction.concerns(f.source)})
        self.frames = [replace(f, T_world_camera=poses.get(f.stamp, f.T_world_camera)) for f in self.frames]
        return _done(len(poses))

    def correction(self) -> MapCorrection:
        return self.moved

    def remove_object(self, number: int) -> Future[int]:
        if all(o.id != number for o in self._snapshot.instances.objects):
            return _failed(QueryError(f"object {number} is not in the map"))
        self._snapshot = without(self._snapshot, number)
        return _done(1)

    def query(
        self, text: str, max_results: int = 1, _min_score: float = 0.0, scope: Scope | None = None
    ) -> QueryResult:
        if self._snapshot is None:
            return QueryResult(
                QueryStatus.NOT_READY, (), "no instantiation yet: wait for the first images to be mapped"
            )
        if text == "QUERY ERROR":
            raise QueryError("refused by the mapper")
        admitted = (scope or Scope()).admits(self._snapshot.instances)
        objects = [o for o, inside in zip(self._snapshot.instances.objects, admitted, strict=True) if inside]
        hits = [QueryHit(o, 0.9) for o in objects if o.label in text or not text]
        found = QueryStatus.FOUND if hits else QueryStatus.ABSENT
        return QueryResult(found, tuple(hits[:max_results]), "" if hits else f"no object fits '{text}'")

    def instantiate(self) -> Future[MapSnapshot]:
        frame = next(f for f in reversed(self.frames) if f.masks is not None and f.depth is not None)
        version = self._snapshot.version + 1 if self._snapshot else 1
        self._snapshot = _snapshot(frame, version)
        return _done(self._snapshot)

    def reset(self) -> Future[None]:
        self.frames, self._snapshot = [], None
        return _done(None)

    def save(self, directory: Path) -> Future[Path]:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "map").write_text("a map")
        return _done(directory)

    def load(self, directory: Path) -> Future[None]:
        if not (directory / "map").is_file():
            return _failed(StorageError(f"{directory} is not a map"))
        if directory.name != "slow":
            return _done(None)
        loading: Future[None] = Future()
        threading.Timer(1.0, loading.set_result, [None]).start()
        return loading

    def stats(self) -> Stats:
        frames = self.frames
        last = frames[-1] if frames else None
        objects = len(self._snapshot.instances.objects) if self._snapshot else 0
        depth, masks = (last is not None and x is not None for x in (last and last.depth, last and last.masks))
        return Stats(len(frames), last.stamp if last else 0, depth, masks, objects)


def _snapshot(frame: Frame, version: int) -> MapSnapshot:
    rows, cols = np.nonzero((frame.masks.labels > 0) & (frame.depth > 0))
    xyz = transform(frame.T_world_camera, back_project(frame.depth, frame.camera, rows, cols)).astype(np.float32)
    ids = frame.masks.labels[rows, cols].astype(np.int32)
    objects = []
    for identity in np.unique(ids):
        own = xyz[ids == identity]
        T = np.eye(4)
        T[:3, 3] = (own.min(0) + own.max(0)) / 2
        name = frame.masks.names.get(int(identity), "")
        objects.append(ObjectInstance(int(identity), name, 0.8, 3, T, own.max(0) - own.min(0), len(own)))
    confidence = np.full(len(ids), 0.5, np.float32)
    instances = Instances(ids, confidence, tuple(objects))
    n, colors = len(ids), frame.rgb[rows, cols]
    gaussians = GaussianBatch(
        torch.from_numpy(xyz), torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1), torch.full((n, 3), 0.012),
        torch.full((n,), 0.9), torch.from_numpy(colors / np.float32(255)), torch.arange(n),
    )  # fmt: skip
    ones = np.ones(n, np.float32)
    return MapSnapshot(version, 1, frame.stamp, xyz, colors, ones, instances, frame.T_world_camera, gaussians)


def _done(value: object) -> Future:
    future: Future = Future()
    future.set_result(value)
    return future


def _failed(error: Exception) -> Future:
    future: Future = Future()
    future.set_exception(error)
    return future


if __name__ == "__main__":
    run(MaskMapper, sys.argv)
