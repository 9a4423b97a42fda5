"""The two references that the benchmark compares with are right themselves."""

from __future__ import annotations

import torch
from reference.raster import render, render_tiled
from reference.raster_numba import count_blends, render_numba
from reference.raster_scenes import camera, leaves, pose, room

FIELDS = ("means", "quats", "scales", "opacities", "features")


def test_plain_loops_and_tiled_torch_equal_the_slow_truth() -> None:
    view, T = camera(48, 32), pose()
    g = room(300, 4, size=3.0)
    random = torch.Generator().manual_seed(1)
    upstream = [torch.rand(*shape, generator=random) for shape in ((32, 48, 4), (32, 48), (32, 48))]
    results, gradients = [], []
    for draw in (lambda own: render(own, T, view).result, lambda own: render_tiled(own, T, view)):
        own = leaves(g)
        results.append(draw(own))
        torch.autograd.backward((results[-1].features, results[-1].depth, results[-1].alpha), upstream)
        gradients.append(own)
    own = leaves(g)
    found = render_numba(own, T, view)
    torch.autograd.backward((found.features, found.depth, found.alpha), upstream)
    for result, gradient in zip(results, gradients, strict=True):
        for name in ("features", "depth", "alpha"):
            torch.testing.assert_close(getattr(found, name), getattr(result, name), atol=1e-4, rtol=1e-4)
        for name in FIELDS:
            torch.testing.assert_close(getattr(own, name).grad, getattr(gradient, name).grad, atol=2e-3, rtol=2e-2)


def test_what_is_blended_is_counted() -> None:
    view, T = camera(48, 32), pose()
    g = room(300, 4, size=3.0)
    weights = render(g, T, view).weights
    assert count_blends(g, T, view) == int((weights > 0).sum())
