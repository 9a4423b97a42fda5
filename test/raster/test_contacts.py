"""The kernel of contacts against its formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from ig_ros.raster import contacts

CREASE, STEP = (0.35, 8.0), (0.22, 20.0)


def slow(p, n, c, reach, owner, neighbor) -> np.ndarray:
    """Concave creases (LCCP) and steps of colour, for all pairs at once."""
    i = np.repeat(np.arange(len(p)), neighbor.shape[1])
    j = neighbor.ravel()
    distance = np.linalg.norm(p[j] - p[i], axis=1)
    concavity = ((n[i] - n[j]) * (p[j] - p[i])).sum(1) / np.maximum(distance, 1e-6)
    crease = 1 / (1 + np.exp(-CREASE[1] * (concavity - CREASE[0])))
    step = 1 / (1 + np.exp(-STEP[1] * (np.linalg.norm(c[i] - c[j], axis=1) - STEP[0])))
    none = (owner[i] == owner[j]) | (distance > np.maximum(reach[i], reach[j]))
    return np.where(none, -1.0, (1 - crease) * (1 - step)).reshape(neighbor.shape)


@pytest.mark.parametrize("seed", range(4))
def test_as_the_formulas(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = 400
    p, c = random.random((count, 3)), random.random((count, 3)) * 0.4
    n = random.normal(size=(count, 3))
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    n[::7] = 0
    owner, neighbor = random.integers(0, 5, count), random.integers(0, count, (count, 10))
    reach = random.random(count)
    args = (p, n, c, reach, owner, neighbor)
    found, truth = contacts(*args, CREASE, STEP), slow(*args)
    assert ((truth < 0).any(), (truth >= 0).any()) == (True, True)
    np.testing.assert_allclose(found, truth, atol=1e-5)


def test_two_points_in_one_place_touch() -> None:
    zero = np.zeros((2, 3))
    found = contacts(zero, zero, zero, np.zeros(2), np.arange(2), np.array([[0, 1], [1, 0]]), CREASE, STEP)
    np.testing.assert_allclose(found, [[-1, found[0, 1]], [-1, found[0, 1]]])
    assert 0.8 < found[0, 1] < 1


def test_nothing_has_no_contacts() -> None:
    empty = np.zeros((0, 3))
    assert contacts(empty, empty, empty, np.zeros(0), np.zeros(0), np.zeros((0, 4), int), CREASE, STEP).shape == (0, 4)
