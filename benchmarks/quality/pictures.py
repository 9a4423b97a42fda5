"""One picture per kind of scene: held-out views as photographs and in the instance colours of several rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.quality.scoring import Judged
from benchmarks.quality.views import UnseenView
from ig_ros.colors import id_colors
from ig_ros.errors import StorageError
from ig_ros.types import IntArray

COLUMNS = ("photograph", "truth", "ours", "training-free consensus", "mask fusion")
SHOWN = 3  # held-out views
TITLE = 22  # px
SPARE = 500  # colours from here on are no true instance's


def write_picture(path: Path, views: Sequence[UnseenView], rows: Mapping[str, Judged]) -> None:
    """Rows of photograph | truth | the rows of COLUMNS that ran, as PNG. Raises StorageError."""
    known = [v for v in views if v.truth is not None]
    if not known:
        return
    chosen = [known[i] for i in np.unique(np.linspace(0, len(known) - 1, SHOWN + 2).round().astype(int)[1:-1])]
    titles = [c for c in COLUMNS if c in rows or c in COLUMNS[:2]]
    images = [np.concatenate([column(c, v, known, rows) for c in titles], axis=1) for v in chosen]
    width = chosen[0].photograph.shape[1]
    head = np.full((TITLE, width * len(titles), 3), 255, np.uint8)
    for i, title in enumerate(titles):
        cv2.putText(head, title, (i * width + 4, TITLE - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), np.concatenate([head, *images])[..., ::-1]):
        raise StorageError(f"cannot write {path}")


def column(title: str, view: UnseenView, known: Sequence[UnseenView], rows: Mapping[str, Judged]) -> np.ndarray:
    """One tile (H, W, 3) u8."""
    if title == COLUMNS[0]:
        return view.photograph
    assert view.truth is not None
    if title == COLUMNS[1]:
        return painted(view.truth)
    ids = np.append(rows[title].on_gaussians, -1)
    predicted = np.concatenate([ids[v.top].ravel() for v in known])
    truth = np.concatenate([v.truth.ravel() for v in known if v.truth is not None])
    return painted(recolored(ids[view.top], predicted, truth))


def painted(ids: IntArray) -> np.ndarray:
    """(H, W, 3) u8 colour of each id, dark grey for ids <= 0."""
    return np.where((ids > 0)[..., None], id_colors(ids), np.uint8(40))


def recolored(ids: IntArray, predicted: IntArray, truth: IntArray) -> IntArray:
    """ids with every instance numbered as the true one it shares most pixels with, once; the rest from SPARE on.

    predicted and truth (P,) are all pixels the assignment is made on; an id < 0 becomes 0.
    """
    both = (predicted >= 0) & (truth > 0)
    pairs, count = np.unique(np.stack([predicted[both], truth[both]], axis=1), axis=0, return_counts=True)
    number: dict[int, int] = {}
    for mine, theirs in pairs[np.argsort(-count, kind="stable")].tolist():
        if mine not in number and theirs not in number.values():
            number[mine] = theirs
    known, place = np.unique(ids, return_inverse=True)
    table = [0 if i < 0 else number.get(i, SPARE + k) for k, i in enumerate(known.tolist())]
    return np.array(table, np.int64)[place].reshape(ids.shape)
