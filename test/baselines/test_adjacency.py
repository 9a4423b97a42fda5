"""The voxel hash against looking at every pair."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from benchmarks.baselines.adjacency import components, voxel_components, voxel_edges

VOXEL = 0.1


def cloud(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.uniform(-0.6, 0.6, (n, 3)), random.integers(0, 12, n)


def touch(xyz: np.ndarray) -> np.ndarray:
    """(P, P) bool: same voxel or a common face."""
    cells = np.floor(xyz / VOXEL).astype(int)
    return np.abs(cells[:, None] - cells[None]).sum(axis=2) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_edges_are_those_of_all_pairs(seed: int) -> None:
    xyz, labels = cloud(seed)
    i, j = touch(xyz).nonzero()
    wanted = {(a, b) for a, b in zip(labels[i].tolist(), labels[j].tolist(), strict=True) if a < b}
    assert {tuple(e) for e in voxel_edges(xyz, labels, VOXEL).tolist()} == wanted


@pytest.mark.parametrize("seed", range(5))
def test_pieces_are_those_of_all_pairs(seed: int) -> None:
    xyz, labels = cloud(seed)
    labels = labels % 3 - 1
    _, wanted = connected_components(touch(xyz) & (labels[:, None] == labels[None]), directed=False)
    found = voxel_components(xyz, labels, VOXEL)
    assert (found[labels < 0] == -1).all()
    real = labels >= 0
    pairs = {(int(a), int(b)) for a, b in zip(found[real], wanted[real], strict=True)}
    assert len(pairs) == len(np.unique(found[real])) == len(np.unique(wanted[real]))


def test_nothing_touches_nothing() -> None:
    none = np.zeros((0, 3)), np.zeros(0, np.int64)
    assert voxel_edges(*none, VOXEL).shape == (0, 2)
    assert voxel_components(*none, VOXEL).shape == (0,)
    assert components(3, np.zeros((0, 2), np.int64)).tolist() == [0, 1, 2]


def test_a_point_beyond_the_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="further than"):
        voxel_edges(np.array([[1e6, 0, 0]]), np.array([0]), 0.1)
