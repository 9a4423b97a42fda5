"""Splitting sub-objects that lie across a concave crease: half of one on a wall, the other half on the ceiling.

Where few views look, masks do not tell the halves apart (purity.py needs many), and one wrong mask is enough for such a
sub-object to tie two large things. A thing meets what it stands on or hangs at in a concave crease (after LCCP, Stein
et al., CVPR 2014), whoever looks; convex ones are edges of one thing.
"""

from __future__ import annotations

import numpy as np

from ig_ros.types import BoolArray, FloatArray, IntArray

KNOWN = 0.5  # length from which on a normal is known
MAX_COSINE = 0.6  # of the normals of the two parts
CONCAVITY = 0.5  # least (normal - other normal) @ direction to the other part; boundary.py halves its belief below that
FLAT = 0.8  # least length of each part's mean normal: what is round has no two sides
MIN_POINTS, MIN_SHARE = 6, 0.1  # of the sub-object, in each part
STEPS = 3  # of the two-means


def crease_parts(labels: IntArray, xyz: FloatArray, normal: FloatArray) -> IntArray:
    """(n,) labels in which sub-objects with a concave crease inside are two; the second part's are counted on.

    labels (n,) from 0, xyz (n, 3) m, normal (n, 3) unit towards the cameras, zero = unknown. Normals of a sub-object
    are divided by a two-means that starts along their largest spread.
    """
    size = int(labels.max(initial=-1)) + 1
    known = (normal**2).sum(1) > KNOWN**2
    label, direction, place = labels[known].astype(np.int64), normal[known].astype(np.float64), xyz[known]
    second = _two_sides(label, direction, size)
    part = 2 * label + second
    count = np.bincount(part, minlength=2 * size)
    mean = _sums(part, direction, 2 * size) / np.maximum(count, 1)[:, None]
    center = (_sums(part, place, 2 * size) / np.maximum(count, 1)[:, None]).reshape(size, 2, 3)
    creased = _is_crease(count.reshape(size, 2), mean.reshape(size, 2, 3), center)
    side = np.zeros(len(labels), bool)
    side[known] = second
    other = np.flatnonzero(~known)  # these go to the nearer part
    distance = np.linalg.norm(xyz[other, None] - center[labels[other]], axis=2)
    side[other] = distance[:, 1] < distance[:, 0]
    return np.where(creased[labels] & side, size + labels, labels)


def _two_sides(label: IntArray, direction: FloatArray, size: int) -> BoolArray:
    """(n,) which of the two directions of its sub-object each normal (n, 3) is nearer to."""
    count = np.maximum(np.bincount(label, minlength=size), 1)[:, None]
    offset = direction - (_sums(label, direction, size) / count)[label]
    products = (offset[:, :, None] * offset[:, None, :]).reshape(-1, 9)
    axis = np.linalg.eigh(_sums(label, products, size).reshape(-1, 3, 3))[1][:, :, 2]
    second = (offset * axis[label]).sum(1) > 0
    for _ in range(STEPS):
        mean = _sums(2 * label + second, direction, 2 * size)
        mean = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
        second = (direction * (mean[2 * label + 1] - mean[2 * label])).sum(1) > 0
    return np.asarray(second)


def _is_crease(count: IntArray, mean: FloatArray, center: FloatArray) -> BoolArray:
    """(S,) from the points (S, 2), mean normals (S, 2, 3) and centres (S, 2, 3) of both parts."""
    length = np.linalg.norm(mean, axis=2)
    unit = mean / np.maximum(length, 1e-9)[..., None]
    way = center[:, 1] - center[:, 0]
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    turned = (unit[:, 0] * unit[:, 1]).sum(1) < MAX_COSINE
    concave = ((unit[:, 0] - unit[:, 1]) * way).sum(1) > CONCAVITY
    large = count.min(1) >= np.maximum(MIN_POINTS, MIN_SHARE * count.sum(1))
    return np.asarray(turned & concave & large & (length.min(1) > FLAT))


def _sums(label: IntArray, value: FloatArray, size: int) -> FloatArray:
    """(size, F) sums of value (n, F) by label (n,)."""
    return np.stack([np.bincount(label, column, size) for column in value.T], axis=1)
