"""Gaussians for the browser keep their shape, their object and their share of the picture."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from viewer.shelf import FLOOR, shelf

from ig_ros.colors import id_colors
from ig_ros.viewer.splats import SplatStyle, covariances, make_splats, paint


def test_a_covariance_has_the_squared_scales_along_the_turned_axes() -> None:
    quarter = torch.tensor([[np.sqrt(0.5), 0, 0, np.sqrt(0.5)]], dtype=torch.float32)  # 90 degrees about z
    gaussians = dataclasses.replace(
        shelf().gaussians, quats=3 * quarter, scales=torch.tensor([[0.3, 0.2, 0.1]]), means=torch.zeros(1, 3)
    )
    assert covariances(gaussians)[0] == pytest.approx(np.diag([0.04, 0.09, 0.01]), abs=1e-6)


def test_without_its_gaussians_a_map_is_shown_as_dots() -> None:
    splats = make_splats(dataclasses.replace(shelf(), gaussians=None), 10**6)
    assert len(splats.rows) == len(shelf().xyz)
    assert (np.linalg.eigvalsh(splats.covariances) > 0).all()


@pytest.mark.parametrize("most", [1, 300, 2000])
def test_a_weak_browser_gets_no_more_than_it_can_show_and_things_before_floors(most: int) -> None:
    snapshot = shelf()
    splats = make_splats(snapshot, most)
    assert len(splats.rows) == most
    assert len(np.unique(splats.rows)) == most
    ids = snapshot.instances.point_ids
    kept = [np.isin(splats.rows, np.flatnonzero(ids == i)).sum() / (ids == i).sum() for i in (2, FLOOR)]
    assert most == 1 or 0 < kept[1] < kept[0] or kept[0] == pytest.approx(0.5 * most / (ids < FLOOR).sum(), rel=0.2)


def test_thinned_gaussians_grow_so_that_they_cover_as_much() -> None:
    whole, half = make_splats(shelf(), 10**6), make_splats(shelf(), 1500)
    area = [(np.linalg.det(s.covariances[:, :2, :2].astype(np.float64)) ** 0.5).sum() for s in (whole, half)]
    assert area[1] == pytest.approx(area[0], rel=0.01)


def test_phase_goes_from_the_photograph_to_the_objects_colours() -> None:
    snapshot, rows = shelf(), np.arange(10)
    photograph, _ = paint(snapshot, rows, SplatStyle(phase=0.0))
    objects, _ = paint(snapshot, rows, SplatStyle(phase=1.0))
    assert photograph == pytest.approx(snapshot.rgb[rows] / 255)
    assert objects == pytest.approx(id_colors(snapshot.instances.point_ids[rows]) / 255)
    between, _ = paint(snapshot, rows, SplatStyle(phase=0.5))
    assert between == pytest.approx((photograph + objects) / 2)


def test_what_is_lit_stands_out_and_the_rest_goes_pale() -> None:
    snapshot = shelf()
    rows = np.arange(len(snapshot.xyz))
    plain, solid = paint(snapshot, rows, SplatStyle())
    color, opacity = paint(snapshot, rows, SplatStyle(lit={2}))
    lit = snapshot.instances.point_ids == 2
    assert opacity[lit] == pytest.approx(solid[lit])
    assert (opacity[~lit] < 0.5 * solid[~lit]).all()
    book = snapshot.instances.point_ids == 1
    assert np.ptp(color[book], axis=1).max() < 0.5 * np.ptp(plain[book], axis=1).min(), "hardly any colour is left"
    assert (color[lit] != plain[lit]).any()


def test_opacity_is_a_factor() -> None:
    assert paint(shelf(), np.arange(5), SplatStyle(opacity=0.5))[1] == pytest.approx(0.475)
