"""How much a pixel without a mask says: that a segmenter missed something, or that nothing it looks for is there.

A segmenter that masks everything leaves out a thing now and then: such a pixel says little. A detector of some kinds of
things leaves out the rest of the scene in every view: there it says as much as a mask does (docs/method.md, section 4).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ig_ros.instances.visibility import UNLABELLED, Observations
from ig_ros.types import BoolArray, IntArray

BACKGROUND = -1  # label of the columns of what is on no mask
FEW = 3  # views that must see a point before it is said to be masked seldom
SELDOM = 0.25  # share of them with a mask, below which it is: segmenters that err miss less than half
TARGETS = 0.15  # share of such points in a map, from which on the segmenter looks for some things only


def seldom_masked(mask: IntArray) -> tuple[BoolArray, float]:
    """Returns which points (N,) are on a mask in hardly any view, and their share of those that enough views see.

    mask (K, N) of `Observations`.
    """
    on, off = np.zeros(mask.shape[1], np.int32), np.zeros(mask.shape[1], np.int32)
    for row in mask:
        on += row > UNLABELLED
        off += row == UNLABELLED
    seen = on + off >= FEW
    seldom: BoolArray = seen & (on < SELDOM * (on + off))
    return seldom, float(seldom.sum() / max(int(seen.sum()), 1))


def with_background(observed: Observations, exhaustive: str) -> Observations:
    """Returns observations in which what is on no mask is on one of the background, where that is what it says.

    exhaustive "true": nowhere; "false": everywhere; "auto": at points that are seldom masked, if these are many.
    """
    if exhaustive == "true" or not len(observed.mask):
        return observed
    every = np.ones(observed.mask.shape[1], bool)
    if exhaustive == "auto":
        every, share = seldom_masked(observed.mask)
        if share < TARGETS:
            return observed
    views = len(observed.mask)
    columns = np.bincount(observed.view_of_column[1:], minlength=views)
    last = np.cumsum(columns) + np.arange(1, views + 1)  # of each view the background's column, behind its masks
    mask = np.empty_like(observed.mask)
    for k, row in enumerate(observed.mask):
        mask[k] = np.where(row > UNLABELLED, row + k, np.where((row == UNLABELLED) & every, last[k], row))
    behind = np.cumsum(columns) + 1  # where the columns of each view end
    return dataclasses.replace(
        observed,
        mask=mask,
        view_of_column=np.insert(observed.view_of_column, behind, np.arange(views)).astype(np.int32),
        label_of_column=np.insert(observed.label_of_column, behind, BACKGROUND).astype(np.int32),
        pixels=np.insert(observed.pixels, behind, 0),
    )
