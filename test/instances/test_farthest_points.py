"""Farthest point sampling against fpsample, and against its definition."""

from __future__ import annotations

import fpsample
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from ig_ros.instances.over_segmentation import farthest_points


@pytest.mark.parametrize(("size", "dims"), [(1, 1), (63, 2), (64, 3), (65, 12), (3000, 12)])
def test_as_fpsample(size: int, dims: int) -> None:
    random = np.random.default_rng(size)
    points = random.normal(size=(size, dims)).astype(np.float32)
    count = max(1, size // 7)
    seeds, _ = farthest_points(points, count)
    np.testing.assert_array_equal(seeds, fpsample.fps_sampling(points, count, start_idx=0))


def test_each_seed_is_as_far_from_those_before_it_as_can_be() -> None:
    points = np.random.default_rng(5).random((300, 4)).astype(np.float32)
    seeds, radius = farthest_points(points, 40)
    distance = cdist(points, points[seeds])
    assert np.isinf(radius[0])
    for s in range(1, 40):
        assert radius[s] == pytest.approx(distance[:, :s].min(1).max(), rel=1e-5)
        assert radius[s] == pytest.approx(distance[seeds[s], :s].min(), rel=1e-5)
