"""Select-and-render quality [IG 4.3]: the pixels a text selects in a view, against annotated ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SelectionView:
    """One query in one annotated view."""

    place: int  # of the view in its dataset
    query: str
    predicted: BoolArray  # (H, W), all False where nothing was found
    truth: BoolArray  # (H, W), not empty


@dataclass(frozen=True, slots=True)
class SelectionScore:
    """Percent, over all (view, query) pairs alike."""

    miou: float  # 0 without a pair
    macc25: float  # share of pairs with IoU > 0.25, the paper's mAcc@0.25
    iou: Mapping[tuple[int, str], float]  # (place, query) -> IoU in [0, 1]


def selection_score(views: Iterable[SelectionView]) -> SelectionScore:
    """Score every pair. Raises ValueError for masks of two sizes, an empty true mask and a pair that comes twice."""
    iou: dict[tuple[int, str], float] = {}
    for view in views:
        name = f"'{view.query}' in view {view.place}"
        if view.predicted.shape != view.truth.shape:
            raise ValueError(f"{name}: predicted mask is {view.predicted.shape}, the true one {view.truth.shape}")
        if not view.truth.any():
            raise ValueError(f"{name}: the true mask is empty, so there is nothing to select")
        if (view.place, view.query) in iou:
            raise ValueError(f"{name} comes twice")
        union = int((view.predicted | view.truth).sum())
        iou[view.place, view.query] = int((view.predicted & view.truth).sum()) / union
    if not iou:
        return SelectionScore(0.0, 0.0, {})
    values = np.array(list(iou.values()))
    return SelectionScore(100 * float(values.mean()), 100 * float((values > 0.25).mean()), iou)
