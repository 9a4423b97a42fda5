"""Contacts of points of different groups, and how smoothly the surface goes on across them, against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest

from ig_ros.instances.region_graph import COLOR_STEP, CREASE, contacts, smoothness


def slow(p, n, c, reach, owner, neighbor) -> dict[tuple[int, int], float]:
    """Concave creases (LCCP) and steps of colour, one pair after the other."""
    found = {}
    for i, row in enumerate(neighbor):
        for j in row:
            distance = np.linalg.norm(p[j] - p[i])
            if owner[i] == owner[j] or distance > max(reach[i], reach[j]):
                continue
            concavity = (n[i] - n[j]) @ (p[j] - p[i]) / max(distance, 1e-6)
            crease = 1 / (1 + np.exp(-CREASE[1] * (concavity - CREASE[0])))
            step = 1 / (1 + np.exp(-COLOR_STEP[1] * (np.linalg.norm(c[i] - c[j]) - COLOR_STEP[0])))
            found[i, int(j)] = (1 - crease) * (1 - step)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_as_the_formulas(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = 400
    p, c = random.random((count, 3)), random.random((count, 3)) * 0.4
    n = random.normal(size=(count, 3))
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    n[::7] = 0
    owner = random.integers(0, 5, count)
    neighbor = np.argsort(random.random((count, count)))[:, :10]
    reach = random.random(count)
    i, j = contacts(p, reach, owner, neighbor)
    truth = slow(p, n, c, reach, owner, neighbor)
    assert 0 < len(truth) < neighbor.size
    found = dict(zip(zip(i.tolist(), j.tolist(), strict=True), smoothness(p, n, c, i, j), strict=True))
    assert found.keys() == truth.keys()
    assert found == pytest.approx(truth, abs=1e-6)


def test_two_points_in_one_place_touch() -> None:
    zero = np.zeros((2, 3))
    i, j = contacts(zero, np.zeros(2), np.arange(2), np.array([[0, 1], [1, 0]]))
    assert (i.tolist(), j.tolist()) == ([0, 1], [1, 0])
    assert ((smoothness(zero, zero, zero, i, j) > 0.8) & (smoothness(zero, zero, zero, i, j) < 1)).all()


def test_nothing_has_no_contacts() -> None:
    i, j = contacts(np.zeros((0, 3)), np.zeros(0), np.zeros(0), np.zeros((0, 4), int))
    assert len(i) == len(j) == 0
