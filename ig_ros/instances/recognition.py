"""Which groups are things: masks show them as one, in enough of the views that see them."""

from __future__ import annotations

import numpy as np

from ig_ros.config import InstanceConfig
from ig_ros.instances.histograms import MaskHistograms
from ig_ros.instances.votes import MaskMatch
from ig_ros.types import BoolArray, IntArray

MIN_IOU = 0.2  # a mask shows an object if its points and the object's visible ones overlap at least this much
SELDOM = 0.4  # of the views that see it on masks, in which a thing is recognised at least ...
ENOUGH = 5  # ... unless it is in so many: errors that repeat hide things in most views


def seldom_recognised(matches: list[MaskMatch], histograms: MaskHistograms, config: InstanceConfig) -> BoolArray:
    """(G,) groups that are rather patches of others: most views give what is there to a mask that shows more.

    Those that under min_views views recognise are left out: they are noise anyway, and their points hold on to each
    other. matches as of `assign_masks`, histograms of the groups.
    """
    labelled = (histograms.dominant >= 0).sum(1)
    views = recognitions(matches, len(labelled))
    seldom: BoolArray = (views >= config.min_views) & (views < np.minimum(SELDOM * labelled, ENOUGH))
    return seldom


def recognitions(matches: list[MaskMatch], groups: int) -> IntArray:
    """(G,) views in which a mask shows the group."""
    pairs = {(m.instance, m.view) for m in matches if m.iou > MIN_IOU}
    return np.bincount(np.array([group for group, _ in pairs], np.int64), minlength=groups)
