"""All figures of one labelled cloud against the truth of its scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.baselines import Material, Prediction
from benchmarks.quality.naming import classify, embed_instances, spread
from benchmarks.quality.views import UnseenView, render_iou
from ig_ros.datasets import SceneTruth
from ig_ros.datasets.scannet_truth import NYU40
from ig_ros.evaluation.average_precision import instance_average_precision
from ig_ros.evaluation.label_transfer import transfer_ids
from ig_ros.evaluation.metrics import InstanceScore, instance_score, semantic_score
from ig_ros.instances.visibility import Observations, observe
from ig_ros.types import FloatArray, IntArray

INSTANCE_FIGURES = ("miou", "ma50", "predicted", "true")  # those that sweeps show
# The NYU40 classes on which the papers compare themselves on ScanNet.
CLASSES_19 = (*range(1, 13), 14, 16, 24, 28, 33, 34, 36)
CLASSES_15 = (*range(1, 11), 12, 14, 16, 33, 34)
CLASSES_10 = (1, 2, *range(4, 11), 33)
SCANNET_LISTS = {"19": CLASSES_19, "15": CLASSES_15, "10": CLASSES_10}


@dataclass(frozen=True, slots=True)
class ClassList:
    """Names asked for, and which of them each truth point has."""

    name: str  # "all" or the number of classes
    texts: tuple[str, ...]
    truth: IntArray  # (P,) row of texts, -1 = none of them


def class_lists(truth: SceneTruth) -> list[ClassList]:
    """ScanNet's 19, 15 and 10 classes where points carry NYU40 labels, else all names of the scene."""
    if truth.classes is not None:
        return [
            ClassList(name, tuple(NYU40[i] for i in ids), spread(truth.classes, {c: row for row, c in enumerate(ids)}))
            for name, ids in SCANNET_LISTS.items()
        ]
    texts = tuple(sorted(set(truth.names.values())))
    rows = {i: texts.index(name) for i, name in truth.names.items()}
    return [ClassList("all", texts, spread(truth.ids, rows))]


@dataclass(slots=True)
class Cloud:
    """What rows on the same points share: it is looked up once."""

    xyz: FloatArray  # (N, 3) m
    of_truth: IntArray  # (P,) nearest row of each truth point, -1 = none in reach
    of_gaussian: IntArray  # (G,) nearest row of each Gaussian, -1 = none in reach
    observed: Observations  # mask of each point in each view


@dataclass(frozen=True, slots=True)
class Judged:
    """Figures of a row, ready for JSON, and the ids behind them."""

    figures: dict[str, Any]
    score: InstanceScore
    on_truth: IntArray  # (P,) instance of each truth point, -1 = none
    on_gaussians: IntArray  # (G,)


class Judge:
    """Compares any labelled cloud with one scene's truth."""

    def __init__(self, truth: SceneTruth, material: Material, views: Sequence[UnseenView]) -> None:
        self.truth = truth
        self.material = material
        self.views = views
        self.lists = class_lists(truth)
        self._gaussians = material.children.xyz
        self._clouds: list[Cloud] = []

    def judge(self, prediction: Prediction, embeddings: Mapping[int, FloatArray] | None = None) -> Judged:
        """Score a row; `embeddings` of its instances, None = by the association all rows share."""
        cloud = self.cloud(prediction.xyz)
        on_truth, on_gaussians = (picked(prediction.ids, rows) for rows in (cloud.of_truth, cloud.of_gaussian))
        score = instance_score(on_truth, self.truth.ids)
        figures: dict[str, Any] = {
            "miou": score.miou, "ma50": score.ma50, "ma25": score.ma25,
            "predicted": score.predicted, "true": score.true,
            "render_miou": render_iou(self.views, on_gaussians), **precision(on_truth, self.truth.ids),
        }  # fmt: skip
        if prediction.classes is None and self.material.encoder is not None:
            if embeddings is None:
                embeddings = embed_instances(prediction.ids, cloud.observed, self.material)
            figures["semantic"] = {c.name: self.semantics(on_truth, dict(embeddings), c) for c in self.lists}
        return Judged(figures, score, on_truth, on_gaussians)

    def instances(self, prediction: Prediction) -> dict[str, Any]:
        """Instance quality alone, which takes a fraction of the time: for sweeps."""
        score = instance_score(picked(prediction.ids, self.cloud(prediction.xyz).of_truth), self.truth.ids)
        return {name: getattr(score, name) for name in INSTANCE_FIGURES}

    def semantics(self, on_truth: IntArray, embeddings: dict[int, FloatArray], classes: ClassList) -> dict[str, float]:
        """Semantic figures of instances that take the class whose text is closest."""
        assert self.material.encoder is not None
        texts = self.material.encoder.encode_text(classes.texts)
        return class_score(spread(on_truth, classify(embeddings, texts)), classes.truth)

    def point_semantics(self, prediction: Prediction, classes: ClassList) -> dict[str, float]:
        """Semantic figures of a row that gives every point a class of the list itself."""
        assert prediction.classes is not None
        return class_score(picked(prediction.classes, self.cloud(prediction.xyz).of_truth), classes.truth)

    def cloud(self, xyz: FloatArray) -> Cloud:
        """Look-ups for points (N, 3), shared by all rows on the same ones."""
        for known in self._clouds:
            if known.xyz.shape == xyz.shape and np.array_equal(known.xyz, xyz):
                return known
        rows = np.arange(len(xyz))
        if xyz.shape == self._gaussians.shape and np.array_equal(xyz, self._gaussians):
            of_gaussian, observed = rows, self._observe(xyz)
        else:
            of_gaussian, observed = transfer_ids(xyz, rows, self._gaussians), self._observe_measured(xyz)
        self._clouds.append(Cloud(xyz, transfer_ids(xyz, rows, self.truth.points), of_gaussian, observed))
        return self._clouds[-1]

    def _observe_measured(self, xyz: FloatArray) -> Observations:
        """As `_observe`; what the material knows already of its own cloud is not computed again."""
        measured = self.material.measured
        return measured.observed if np.array_equal(xyz, measured.points.xyz) else self._observe(xyz)

    def _observe(self, xyz: FloatArray) -> Observations:
        return observe(xyz, self.material.views, self.material.config.instances.depth_tolerance)


def picked(values: IntArray, rows: IntArray) -> IntArray:
    """values at rows, -1 where the row is -1."""
    return np.append(values, -1)[rows]


def class_score(predicted: IntArray, truth: IntArray) -> dict[str, float]:
    """Percent IoU and accuracy, means over the classes in `truth` (P,); -1 is unknown in both."""
    score = semantic_score(predicted, truth)
    return {"miou": score.miou, "macc": score.macc}


def precision(ids: IntArray, truth: IntArray) -> dict[str, float]:
    """AP, AP50, AP25 of ids (P,); as most rows know no confidence, all rank their instances by size."""
    known, count = np.unique(ids[ids >= 0], return_counts=True)
    score = instance_average_precision(ids, dict(zip(known.tolist(), count.tolist(), strict=True)), truth)
    return {"ap": score.ap, "ap50": score.ap50, "ap25": score.ap25}
