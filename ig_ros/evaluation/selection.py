"""Select and render [IG 4.3]: a text chooses objects, which are drawn into annotated views."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np

from ig_ros.config import InputConfig
from ig_ros.datasets import Dataset
from ig_ros.datasets.selection import SelectionTruth
from ig_ros.evaluation.selection_metrics import SelectionScore, SelectionView, selection_score
from ig_ros.mapper import Mapper
from ig_ros.raster import top_contributor
from ig_ros.scaffold.keyframes import make_keyframe
from ig_ros.types import MapSnapshot, QueryResult


def selection_views(
    snapshot: MapSnapshot,
    ask: Callable[[str], QueryResult],
    dataset: Dataset,
    selection: SelectionTruth,
    config: InputConfig,
) -> Iterator[SelectionView]:
    """Every annotated text in every annotated view: the pixels whose top Gaussian is of an object that fits the text.

    `ask` answers with all objects that fit; views are drawn at the size of training and compared at that of the truth.
    Raises ValueError for a snapshot without Gaussians.
    """
    if snapshot.gaussians is None:
        raise ValueError("a snapshot without Gaussians cannot be drawn: instantiate first")
    answers: dict[str, list[int]] = {}
    for place in selection.places:
        frame = dataset[place]
        view = make_keyframe(-1, frame, config)
        top = top_contributor(snapshot.gaussians, frame.T_world_camera, view.camera).cpu().numpy()
        drawn = np.append(snapshot.instances.point_ids, -1)[top]
        for text, mask in selection.masks(place).items():
            if text not in answers:
                answers[text] = [hit.object.id for hit in ask(text).hits]
            chosen = np.isin(drawn, answers[text]).astype(np.uint8)
            chosen = cv2.resize(chosen, mask.shape[::-1], interpolation=cv2.INTER_NEAREST)
            yield SelectionView(place, text, chosen > 0, mask)


def select_and_render(
    snapshot: MapSnapshot,
    ask: Callable[[str], QueryResult],
    dataset: Dataset,
    selection: SelectionTruth,
    config: InputConfig,
) -> SelectionScore:
    """mIoU and mAcc@0.25 of the paper's task, see `selection_views`."""
    return selection_score(selection_views(snapshot, ask, dataset, selection, config))


def selection_figures(
    mapper: Mapper, snapshot: MapSnapshot, dataset: Dataset, selection: SelectionTruth
) -> dict[str, Any]:
    """JSON-ready figures of the task, per cent, and how many (view, text) pairs were asked.

    The snapshot must be the mapper's latest, with its Gaussians: the mapper answers from what it has found last.
    """

    def ask(text: str) -> QueryResult:
        return mapper.query(text, max_results=0)

    score = select_and_render(snapshot, ask, dataset, selection, mapper.config.input)
    return {"miou": round(score.miou, 3), "macc25": round(score.macc25, 3), "pairs": len(score.iou)}
