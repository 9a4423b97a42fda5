"""The voxel cloud of the keyframes' depth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from baselines.worlds import world

from benchmarks.baselines.cloud import COARSE, FINE, LARGE, depth_cloud, summed, voxel_for, voxel_key


def test_the_cloud_lies_on_the_ground_in_its_colours() -> None:
    material, _ = world()
    cloud = depth_cloud(material.keyframes, 0.03)
    assert np.abs(cloud.xyz[:, 2]).max() < 0.01
    red = (np.abs(cloud.xyz[:, :2] - [-0.25, 0]) < 0.1).all(1)
    blue = (np.abs(cloud.xyz[:, :2] - [0.25, 0]) < 0.1).all(1)
    assert (cloud.color[red, 0] > 2 * cloud.color[red, 2]).mean() > 0.9
    assert (cloud.color[blue, 2] > 2 * cloud.color[blue, 0]).mean() > 0.9


def test_every_voxel_stands_once_and_is_found() -> None:
    cloud = depth_cloud(world()[0].keyframes, 0.03)
    assert (np.diff(cloud.key) > 0).all()
    np.testing.assert_array_equal(cloud.find(cloud.xyz), np.arange(len(cloud.xyz)))
    assert cloud.find(np.array([[0.0, 0.0, 5.0]])).tolist() == [-1]


def test_a_cloud_of_other_keyframes_is_refused() -> None:
    material, other = world()[0], world()[0]
    with pytest.raises(ValueError, match="own keyframes"):
        dataclasses.replace(material, keyframes=other.keyframes)


def test_no_measured_depth_is_an_empty_cloud() -> None:
    cloud = depth_cloud(world(depth=False)[0].keyframes)
    assert cloud.xyz.shape == (0, 3)
    assert cloud.find(np.zeros((2, 3))).tolist() == [-1, -1]


@pytest.mark.parametrize(("extent", "edge"), [(1.0, FINE), (5.0, COARSE), (20.0, LARGE)])
def test_larger_scenes_get_coarser_voxels(extent: float, edge: float) -> None:
    assert voxel_for([np.random.default_rng(0).uniform(0, extent, (1000, 3))]) == edge
    assert voxel_for([]) == FINE


def test_sums_by_key_equal_a_plain_loop() -> None:
    random = np.random.default_rng(1)
    key, values = random.integers(0, 20, 300), random.standard_normal((300, 2))
    keys, total = summed(key, values)
    assert keys.tolist() == sorted(set(key.tolist()))
    for k, row in zip(keys, total, strict=True):
        np.testing.assert_allclose(row, values[key == k].sum(0))


def test_points_share_a_key_only_within_a_voxel() -> None:
    xyz = np.random.default_rng(2).uniform(-1, 1, (500, 3))
    cells = np.unique(np.floor(xyz / 0.25), axis=0)
    assert len(np.unique(voxel_key(xyz, 0.25))) == len(cells)
    with pytest.raises(ValueError, match="further than"):
        voxel_key(np.array([[1e9, 0, 0]]), 0.01)
