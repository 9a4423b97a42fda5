"""What a decoded anchor looks like: shapes, ranges, ownership, and which of it may depend on the viewer."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from helpers import CAMERA, look_at
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ig_ros.config import ScaffoldConfig
from ig_ros.raster import rasterize
from ig_ros.scaffold import NewAnchors, Scaffold
from ig_ros.scaffold.model import NEAR

ABOVE = look_at((0.0, -0.3, 1.0), (0.0, 0.0, 0.0))
ASIDE = look_at((0.8, 0.4, 0.6), (0.0, 0.0, 0.0))


def scaffold(n: int = 40, **changes: object) -> Scaffold:
    made = Scaffold(dataclasses.replace(ScaffoldConfig(), **changes), torch.device("cpu"), seed=2)
    random = torch.Generator().manual_seed(0)
    position = (torch.rand(n, 3, generator=random) - 0.5) * 0.3
    made.anchors.append(
        NewAnchors(position, torch.rand(n, 3, generator=random), torch.full((n,), 0.02), torch.zeros(n))
    )
    made.anchors.parameters["embedding"].normal_(generator=random)
    return made


@pytest.mark.parametrize(("children", "feature"), [(5, 6), (1, 2), (3, 16)])
def test_shapes_ranges_and_owners(children: int, feature: int) -> None:
    model = scaffold(children=children, feature=feature)
    view = model.decode(CAMERA, ABOVE, with_feature=True)
    g, n = view.gaussians, len(view.rows)
    assert n == 40
    assert g.means.shape == (n * children, 3)
    assert g.quats.shape == (n * children, 4)
    assert g.scales.shape == (n * children, 3)
    assert g.opacities.shape == (n * children,)
    assert g.features.shape == (n * children, 3 + feature)
    assert torch.equal(g.anchors.view(n, children), view.rows[:, None].expand(n, children))
    assert bool((g.scales > 0).all())
    assert bool(((g.opacities >= 0) & (g.opacities <= 1)).all())
    assert bool(((g.features >= 0) & (g.features <= 1)).all())
    half = g.features[:, 3:] * 2 - 1
    assert torch.allclose(half.norm(dim=1), torch.ones(n * children), atol=1e-5)
    same = g.features[:, 3:].view(n, children, feature)
    assert torch.equal(same, same[:, :1].expand_as(same))  # one instance feature per anchor


def test_without_feature_only_colour_is_decoded() -> None:
    assert scaffold().decode(CAMERA, ABOVE, with_feature=False).gaussians.features.shape[1] == 3


def test_geometry_does_not_depend_on_the_view_but_colour_does() -> None:
    model = scaffold()
    a, b = (model.decode(CAMERA, T, with_feature=True).gaussians for T in (ABOVE, ASIDE))
    assert torch.equal(a.anchors, b.anchors)
    for name in ("means", "quats", "scales", "opacities"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    assert torch.equal(a.features[:, 3:], b.features[:, 3:])
    assert not torch.equal(a.features[:, :3], b.features[:, :3])


def test_a_new_anchor_shows_its_own_colour_and_is_visible() -> None:
    model = Scaffold(ScaffoldConfig(), torch.device("cpu"), seed=0)
    color = torch.tensor([[0.9, 0.2, 0.1]])
    model.anchors.append(NewAnchors(torch.zeros(1, 3), color, torch.tensor([0.05]), torch.zeros(1)))
    g = model.decode(CAMERA, ABOVE, with_feature=False).gaussians
    assert float((g.features.detach() - color).abs().max()) < 0.15
    assert float(g.opacities.detach().min()) > 0.1
    assert float((g.means.detach().abs() / 0.05).max()) <= 0.5 + 1e-6  # children start inside the anchor's voxel


def test_gradients_reach_every_leaf_of_the_anchors_in_view() -> None:
    model = scaffold()
    view = model.decode(CAMERA, ABOVE, with_feature=True)
    g = view.gaussians
    (g.means.square().sum() + g.scales.sum() + g.opacities.sum() + g.features.square().sum()).backward()
    for name, leaf in view.leaves.items():
        assert leaf.grad is not None, name
        assert bool(torch.isfinite(leaf.grad).all()), name
    # Norms of features are fixed, so only their direction may be asked to change.
    assert float((view.leaves["feature"].grad * view.leaves["feature"].detach()).sum(1).abs().max()) < 1e-4


def test_in_view_is_the_frustum() -> None:
    model = Scaffold(ScaffoldConfig(), torch.device("cpu"), seed=0)
    behind = ABOVE[:3, 3] - ABOVE[:3, 2]
    far_right = ABOVE[:3, 3] + ABOVE[:3, 2] + 3 * ABOVE[:3, 0]
    ahead = ABOVE[:3, 3] + ABOVE[:3, 2]
    points = torch.from_numpy(np.stack([behind, far_right, ahead])).float()
    model.anchors.append(NewAnchors(points, torch.rand(3, 3), torch.full((3,), 0.02), torch.zeros(3)))
    assert model.in_view(CAMERA, ABOVE).tolist() == [2]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
@example(64)
@example(245)  # anchors beside the image, whose children reach into it
def test_culling_before_decoding_changes_no_pixel(seed: int) -> None:
    """Whatever stands outside the frustum could as well have been decoded: the picture is the same."""
    rng = np.random.default_rng(seed)
    model = Scaffold(ScaffoldConfig(), torch.device("cpu"), seed)
    n = 300
    position = torch.from_numpy(rng.uniform(-2, 2, (n, 3))).float()
    edge = torch.from_numpy(rng.uniform(0.01, 0.08, n)).float()
    model.anchors.append(NewAnchors(position, torch.rand(n, 3), edge, torch.zeros(n)))
    T = look_at(tuple(rng.uniform(-1, 1, 3)), tuple(rng.uniform(-1, 1, 3)))
    culled = model.decode(CAMERA, T, with_feature=True)
    everything = model.decode(CAMERA, T, with_feature=True, rows=torch.arange(n))
    assert len(culled.rows) < n
    pictures = [rasterize(view.gaussians, T, CAMERA, near=NEAR) for view in (culled, everything)]
    for name in ("features", "depth", "alpha"):
        assert torch.allclose(getattr(pictures[0], name), getattr(pictures[1], name), atol=1e-6), name


def test_one_feature_per_anchor_is_its_own_mean() -> None:
    model = scaffold()
    expected = torch.nn.functional.normalize(model.anchors.parameters["feature"], dim=1)
    assert torch.equal(model.instance_features(), expected)


def test_canonical_exports_only_solid_children() -> None:
    model = scaffold()
    g = model.canonical()
    assert 0 < len(g.means) <= 200
    assert float(g.opacities.min()) > model.config.min_opacity
    assert not g.means.requires_grad
    assert bool((g.anchors < len(model.anchors)).all())


def test_an_empty_map_renders_nothing() -> None:
    model = Scaffold(ScaffoldConfig(), torch.device("cpu"), seed=0)
    assert len(model.canonical().means) == 0
    view = model.render(CAMERA, ABOVE)
    assert view.alpha.shape == (CAMERA.height, CAMERA.width)
    assert not view.alpha.any()
