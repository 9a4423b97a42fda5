"""Mapping a dataset without ROS: frames arrive while the map trains, as they would on a robot."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ig_ros.datasets import Dataset, Faults, SceneTruth, faults_of, sparse_points
from ig_ros.datasets.scannet_truth import nyu40_class
from ig_ros.errors import FrameError
from ig_ros.evaluation.average_precision import class_average_precision, instance_average_precision
from ig_ros.evaluation.held_out import HeldOutView, best_render_iou
from ig_ros.evaluation.label_transfer import transfer_by_vote, transfer_ids
from ig_ros.evaluation.metrics import instance_score, score_entry, semantic_score
from ig_ros.mapper import Mapper
from ig_ros.raster import device_name
from ig_ros.scaffold.keyframes import demand_usable
from ig_ros.types import IntArray, MapSnapshot

log = logging.getLogger(__name__)

ARRIVAL = 0.6  # all frames have arrived after this share of the budget; the rest is for training on all of them


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to map: seconds of wall time or training steps, exactly one of them positive."""

    seconds: float = 0.0
    steps: int = 0

    def spent(self, elapsed: float, steps: int) -> float:
        """Share of the budget used up, 1 = all."""
        return elapsed / self.seconds if self.seconds > 0 else steps / max(self.steps, 1)


@dataclass(frozen=True, slots=True)
class MappingProgress:
    """For a progress bar."""

    share: float  # of the budget
    frames: int
    steps: int
    loss: float
    anchors: int


def map_dataset(
    mapper: Mapper,
    dataset: Dataset,
    places: Sequence[int],
    budget: Budget,
    report: Callable[[MappingProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, int]:
    """Feed the frames at `places` evenly and train until the budget is spent; returns frames dropped by cause.

    Frames that cannot be read are counted by the dataset, see `faults_of`.

    Where frames come without depth, the dataset's triangulated points are planted with the first keyframe. `stop` is
    asked between two frames and two steps; where it says so, the mapper stays as it then is.
    """
    begin = time.perf_counter()
    dropped: dict[str, int] = {}
    fed, loss, faults = 0, 0.0, faults_of(dataset)
    unusable: list[str] = []  # why depth that was there is of no use

    def feed() -> None:
        nonlocal fed
        place, fed = places[fed], fed + 1
        frame = faults.attempt(lambda: dataset[place])
        if frame is None:
            return
        try:
            if frame.depth is not None and mapper.config.input.use_depth:
                demand_usable(frame.depth, mapper.config.input)
        except FrameError as error:
            unusable.append(str(error))
        try:
            taken = mapper.add_frame(frame)
            if taken and len(mapper.keyframes) == 1 and frame.depth is None and (points := sparse_points(dataset)):
                mapper.add_points(points.xyz, points.rgb)
        except FrameError as error:
            dropped[error.cause] = dropped.get(error.cause, 0) + 1

    while (share := budget.spent(time.perf_counter() - begin, mapper.trainer.step)) < 1.0 or fed < len(places):
        while fed < len(places) and share * len(places) >= fed * ARRIVAL and not stop():
            feed()
        if stop():
            break
        result = mapper.train_step()
        if result is None:
            if fed >= len(places):
                break
            feed()
            continue
        loss = 0.95 * loss + 0.05 * result.loss if loss else result.loss
        report(MappingProgress(min(share, 1.0), fed, mapper.trainer.step, loss, len(mapper.scaffold.anchors)))
    if unusable:
        log.warning(
            "%d of %d frames are used without their depth, the first because %s", len(unusable), fed, unusable[0]
        )
    return dropped


def score(mapper: Mapper, dataset: Dataset, snapshot: MapSnapshot, views: Mapping[int, HeldOutView]) -> dict[str, Any]:
    """Figures of a map: its size, its held-out views by place, and how it compares with the truth, if there is one."""
    figures: dict[str, Any] = {
        "frames": len(dataset),
        "keyframes": len(mapper.keyframes),
        "keyframes_with_depth": sum(k.depth is not None for k in mapper.keyframes.items),
        "keyframes_with_masks": sum(k.masks is not None for k in mapper.keyframes.items),
        "steps": mapper.trainer.step,
        "device": device_name(mapper.device),
        "anchors": len(mapper.scaffold.anchors),
        "gaussians": len(snapshot.xyz),
        "instances": len(snapshot.instances.objects),
    }
    if views:
        figures["psnr"] = round(sum(v.psnr for v in views.values()) / len(views), 3)
        figures["ssim"] = round(sum(v.ssim for v in views.values()) / len(views), 4)
    truth = dataset.truth
    if truth is not None:
        figures |= truth_score(snapshot, truth)
        images = instance_images(truth, views, faults_of(dataset))
        if images:
            best = best_render_iou([views[place] for place in images], list(images.values()))
            figures["render_miou"] = round(100 * sum(best.values()) / max(len(best), 1), 3)
        figures["names"] = {int(i): name for i, name in truth.names.items()}
    return figures


def instance_images(truth: SceneTruth, places: Iterable[int], faults: Faults) -> dict[int, IntArray]:
    """Returns the true instance images by place; none where there are no such images, broken ones are left out."""
    wanted = places if truth.has_images else ()
    images = {place: faults.attempt(partial(truth.instance_image, place)) for place in wanted}
    return {place: image for place, image in images.items() if image is not None}


def truth_score(snapshot: MapSnapshot, truth: SceneTruth) -> dict[str, Any]:
    """The snapshot's objects against the true ones, on the truth's points: best overlap and average precision."""
    moved = transfer_by_vote(snapshot.xyz, snapshot.instances.point_ids, truth.points)
    confidence = {thing.id: thing.confidence for thing in snapshot.instances.objects}
    figures: dict[str, Any] = {
        "instance": score_entry(instance_score(moved.ids, truth.ids)),
        "average_precision": score_entry(instance_average_precision(moved.ids, confidence, truth.ids)),
        "coverage": round(moved.coverage, 4),
    }
    if truth.classes is not None:
        figures["semantic"] = class_score(moved.ids, snapshot, truth)
    return figures


def class_score(ids: IntArray, snapshot: MapSnapshot, truth: SceneTruth) -> dict[str, float]:
    """Per cent over NYU40 classes, on the truth's points with the object ids (P,): each object has its name's class.

    `truth.classes` must be known.
    """
    assert truth.classes is not None
    things = snapshot.instances.objects
    classes = {thing.id: nyu40_class(thing.label) for thing in things if thing.label}
    predicted = np.array([classes.get(i, -1) for i in ids.tolist()], np.int64)
    semantic = semantic_score(predicted, np.where(truth.classes > 0, truth.classes, -1))
    confidence = {thing.id: thing.confidence for thing in things}
    by_class = class_average_precision(ids, confidence, classes, truth.ids, truth.instance_classes())
    figures = {"miou": semantic.miou, "macc": semantic.macc, "ap": by_class.ap, "ap50": by_class.ap50}
    return {name: round(value, 3) for name, value in figures.items()}


def query_score(mapper: Mapper, dataset: Dataset, snapshot: MapSnapshot) -> dict[str, Any]:
    """Asks every query of the truth: an answer is right if its object overlaps a true one of the asked name best."""
    truth = dataset.truth
    if truth is None:
        return {}
    ids = transfer_ids(snapshot.xyz, snapshot.instances.point_ids, truth.points)

    def answer(text: str) -> str | None:
        hits = mapper.query(text, 1).hits
        return named_by_most(truth.ids[ids == hits[0].object.id], truth) or "nothing" if hits else None

    return ask_all(truth, answer)


def ask_all(truth: SceneTruth, answer: Callable[[str], str | None]) -> dict[str, Any]:
    """Returns what was answered to every query of the truth, and in per cent how often it was right.

    `answer` gives the name of the true thing that was found for a text, None for nothing. A query for an absent thing
    is right if nothing is found.
    """
    asked: list[dict[str, Any]] = []
    for text, wanted in truth.queries:
        got, name = answer(text), truth.names[wanted]
        asked.append({"text": text, "wanted": name, "got": got or "", "right": got == name})
    refused: list[dict[str, Any]] = [{"text": text, "right": answer(text) is None} for text in truth.absent]
    return {
        "queries": asked,
        "absent": refused,
        "query_accuracy": round(100 * sum(a["right"] for a in asked) / max(len(asked), 1), 1),
        "absent_refused": round(100 * sum(a["right"] for a in refused) / max(len(refused), 1), 1),
    }


def named_by_most(ids: IntArray, truth: SceneTruth) -> str:
    """Returns the name of the true thing that most labelled points have, by their true ids (N,), "" without any."""
    found, count = np.unique(ids[ids > 0], return_counts=True)
    return truth.names.get(int(found[count.argmax()]), "") if len(found) else ""
