"""The instantiation beside HDBSCAN, beside training, and beside itself on a map that trains on."""

from __future__ import annotations

import dataclasses
import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
from sklearn.cluster import HDBSCAN

from benchmarks.bench.clock import seconds
from benchmarks.bench.maps import ROOM, trained
from ig_ros.instances import Children, Instantiator, LabelledView, ObjectTracker, PointSet
from ig_ros.mapper import Mapper
from ig_ros.named_objects import labelled_view, spread
from ig_ros.types import FloatArray

GAUSSIANS, SUB_OBJECTS = 200_000, 1000
STEPS_BETWEEN = 50  # training steps between two runs: as many as a live map takes in the pause between them
LIMIT = 300.0  # s given to HDBSCAN
REPEATS = 5  # of what is timed: the median counts, single runs vary by a fifth


@dataclass(frozen=True, slots=True)
class Scene:
    """What is instantiated."""

    points: PointSet
    children: Children
    views: tuple[LabelledView, ...]


def measure(quick: bool) -> dict[str, float]:
    """200,000 Gaussians of a room, S = 1000."""
    mapper = trained(ROOM, 20 if quick else 500, 24 if quick else 400)
    scene = cut(scene_of(mapper), 20_000 if quick else GAUSSIANS)
    config = dataclasses.replace(mapper.config.instances, sub_objects=SUB_OBJECTS)

    def run(memory: Instantiator, s: Scene) -> float:
        begin = time.perf_counter()
        memory.run(s.points, s.children, s.views, ObjectTracker(), config)
        return time.perf_counter() - begin

    memory, first, again = Instantiator(), [], []
    run(memory, scene)
    for _ in range(REPEATS):  # the same map with and without a memory of the run before it, in turns
        for _ in range(5 if quick else STEPS_BETWEEN):
            mapper.train_step()
        later = cut(scene_of(mapper), 20_000 if quick else GAUSSIANS)
        first.append(run(Instantiator(), later))
        again.append(run(memory, later))
    full, rerun = float(np.median(first)), float(np.median(again))
    steps = 10 if quick else 30
    step = seconds(mapper.train_step, steps, 3)
    other = hdbscan_seconds(scene.points.feature[scene.children.anchor], LIMIT)
    return {
        "instantiation_s": full,
        "instantiation_gaussians": len(scene.children.xyz),
        "instantiation_views": len(scene.views),
        "hdbscan_s": other,
        "hdbscan_finished": float(other < LIMIT),
        "instantiation_vs_hdbscan": other / full,
        "instantiation_vs_500_steps": full / (500 * step),
        "incremental_s": rerun,
        "incremental_vs_full": full / rerun,
    }


def scene_of(mapper: Mapper) -> Scene:
    """What the mapper would instantiate now."""
    frozen = mapper.freeze()
    shown = [k for k in frozen.keyframes if k.masks is not None]
    places = spread(len(shown), mapper.config.instances.max_views).tolist()
    views: list[LabelledView] = [labelled_view(shown[i], frozen.gaussians) for i in places]
    children = Children(frozen.gaussians.means.cpu().numpy(), frozen.gaussians.anchors.cpu().numpy())
    return Scene(frozen.points, children, tuple(views))


def cut(scene: Scene, gaussians: int) -> Scene:
    """The scene without some of its anchors, evenly, so that about `gaussians` remain."""
    share = gaussians / max(len(scene.children.xyz), 1)
    if share >= 1:
        return scene
    stay = np.random.default_rng(0).random(len(scene.points.xyz)) < share
    place = np.cumsum(stay) - 1
    own = stay[scene.children.anchor]
    points = PointSet(*(getattr(scene.points, f.name)[stay] for f in dataclasses.fields(scene.points)))
    children = Children(scene.children.xyz[own], place[scene.children.anchor[own]])
    return Scene(points, children, scene.views)


def tiled(scene: Scene, size: int) -> Scene:
    """At least `size` Gaussians: copies of the scene side by side along x, each seen by its own copy of the views."""
    points, children = scene.points, scene.children
    copies = -(-size // len(children.xyz))
    step = float(np.ptp(points.xyz[:, 0])) + 1.0
    shifts = np.array([[step * i, 0.0, 0.0] for i in range(copies)])
    many = {f.name: np.concatenate([getattr(points, f.name)] * copies) for f in dataclasses.fields(points)}
    many["xyz"] = np.concatenate([points.xyz + s for s in shifts])
    many["uid"] = np.arange(len(many["xyz"]))
    owner = np.concatenate([children.anchor + i * len(points.xyz) for i in range(copies)])
    xyz = np.concatenate([children.xyz + s for s in shifts])
    views = [dataclasses.replace(v, T_world_camera=_moved(v.T_world_camera, s)) for s in shifts for v in scene.views]
    return Scene(PointSet(**many), Children(xyz, owner), tuple(views))


def _moved(T: FloatArray, shift: FloatArray) -> FloatArray:
    there = T.copy()
    there[:3, 3] += shift
    return there


def hdbscan_seconds(feature: FloatArray, limit: float) -> float:
    """Wall time of scikit-learn's HDBSCAN on features (G, F), `limit` if it has not come to an end by then."""
    receiver, sender = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_cluster, args=(sender, feature))
    process.start()
    sender.close()
    try:
        return float(receiver.recv()) if receiver.poll(limit) else limit
    finally:
        process.kill()
        process.join()


def _cluster(sender: Connection, feature: FloatArray) -> None:
    begin = time.perf_counter()
    HDBSCAN(min_cluster_size=20, copy=True).fit(feature)
    sender.send(time.perf_counter() - begin)
