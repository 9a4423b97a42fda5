"""The compiled rasteriser against the slow float64 reference, on every variant this processor can run."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from reference import raster as reference
from reference.raster_scenes import camera, leaves, pose, room

from ig_ros.errors import RasterError
from ig_ros.raster import ScreenStats, cpu_backend, library, rasterize
from ig_ros.raster.request import make_request
from ig_ros.types import GaussianBatch, RenderResult

VARIANTS = library.available_variants()
GEOMETRY = ("means", "quats", "scales", "opacities")


def test_all_supported_variants_are_built() -> None:
    assert library.supported_variants() == VARIANTS, f"not built: {library.BUILD_COMMAND}"


def loss(r: RenderResult, weights: list[torch.Tensor]) -> torch.Tensor:
    """A random linear function of all output images."""
    f, d, a = (w.to(r.depth.dtype) for w in weights)
    return (r.features * f).sum() + (r.depth * d).sum() + (r.alpha * a).sum()


def agreeing(r: RenderResult, truth: RenderResult, tolerance: float) -> torch.Tensor:
    """(H, W) 1 where both agree. The renders jump where an alpha crosses 1/255 or a pixel is declared finished, and
    float32 may fall on the other side: at most one pixel in 200 may, and by no more than such a jump."""
    values = [
        (torch.cat([x.features, x.depth[..., None], x.alpha[..., None]], -1)).detach().double() for x in (r, truth)
    ]
    error = (values[0] - values[1]).abs().amax(-1)
    assert torch.isfinite(error).all()
    assert error.max() < 0.05 * max(1.0, float(values[1].abs().max()))
    off = error > tolerance * max(1.0, float(values[1].abs().max()))
    assert int(off.sum()) <= off.numel() / 200, (
        f"{int(off.sum())} of {off.numel()} pixels differ, by {float(error.max())}"
    )
    return (~off).float()


def assert_close(found: torch.Tensor | None, truth: torch.Tensor | None, name: str, tolerance: float = 1e-4) -> None:
    assert found is not None
    assert truth is not None
    assert torch.isfinite(found).all(), name
    error = float((found.double() - truth).norm() / truth.norm().clamp_min(1e-12))
    assert error < tolerance, f"{name}: relative error {error:.1e}"


def compare(
    variant: str,
    g: GaussianBatch,
    width: int,
    height: int,
    gate: torch.Tensor | None = None,
    channels: slice | None = None,
) -> None:
    view, T = camera(width, height), pose()
    ours, truth, screen = leaves(g), leaves(g, torch.float64), ScreenStats()
    result = cpu_backend.render(make_request(ours, T, view, 0.05, channels, gate), screen, library.load(variant))
    if gate is None or channels is None:
        full = reference.render(truth, T, view)
        expected, means, gated_means = full.result, full.projected_means, None
    else:
        expected, means, gated_means = reference.render_gated(truth, T, view, channels, gate.double())
    mask = agreeing(result, expected, 1e-4)
    generator = torch.Generator().manual_seed(5)
    shapes = (result.features.shape, result.depth.shape, result.alpha.shape)
    weights = [torch.randn(s, generator=generator) * mask.view(*mask.shape, *[1] * (len(s) - 2)) for s in shapes]
    loss(result, weights).backward()
    loss(expected, weights).backward()
    for name in (*GEOMETRY, "features"):
        if getattr(ours, name).numel():
            assert_close(getattr(ours, name).grad, getattr(truth, name).grad, name)
    moved = means.grad
    if gated_means is not None and gate is not None and gated_means.grad is not None:
        moved = moved + gate.double()[:, None] * gated_means.grad
    assert_close(screen.gradient, moved, "screen gradient")


@pytest.mark.parametrize("variant", VARIANTS)
class TestAgainstReference:
    @pytest.mark.parametrize(
        ("n", "size", "width", "height"), [(1500, 1.0, 80, 50), (300, 3.0, 67, 41), (400, 8.0, 48, 48)]
    )
    def test_forward_and_all_gradients(self, variant: str, n: int, size: float, width: int, height: int) -> None:
        compare(variant, room(n, 9, seed=n, size=size), width, height)

    @pytest.mark.parametrize("channels", range(21))
    def test_any_number_of_channels(self, variant: str, channels: int) -> None:
        compare(variant, room(300, channels, seed=channels, size=2.0), 40, 24)

    @pytest.mark.parametrize(
        ("channels", "gated"),
        [(9, slice(3, None)), (9, slice(2, 5)), (24, slice(3, 22)), (6, slice(0, 6)), (9, slice(4, 4))],
    )
    def test_geometry_gate(self, variant: str, channels: int, gated: slice) -> None:
        gate = torch.rand(500, generator=torch.Generator().manual_seed(1))
        gate[::3], gate[1::3] = 0.0, 1.0
        compare(variant, room(500, channels, seed=2, size=2.0), 50, 40, gate, gated)

    def test_nearly_opaque(self, variant: str) -> None:
        g = room(600, 4, seed=3, size=2.0)
        compare(variant, dataclasses.replace(g, opacities=torch.full((600,), 0.98)), 50, 40)

    def test_quaternions_need_not_be_normalised(self, variant: str) -> None:
        g = room(300, 3, seed=4, size=2.0)
        compare(variant, dataclasses.replace(g, quats=g.quats * 7), 40, 30)

    def test_top_contributor(self, variant: str) -> None:
        g, view, T = room(800, 3, seed=6, size=2.0), camera(70, 45), pose()
        found = cpu_backend.top(make_request(g, T, view, 0.05, None, None), library.load(variant)).reshape(-1)
        truth = reference.render(leaves(g, torch.float64), T, view)
        weights = truth.weights.detach()
        drawn = weights.sum(1) > 0
        assert torch.equal(found >= 0, drawn)
        column = torch.empty(len(g.means), dtype=torch.long)
        column[truth.order] = torch.arange(len(truth.order))
        chosen = weights[drawn].gather(1, column[found[drawn].long()][:, None])[:, 0]
        assert (chosen >= weights[drawn].amax(1) - 1e-4).all()

    def test_one_pixel_image(self, variant: str) -> None:
        compare(variant, room(300, 3, seed=7, size=6.0), 1, 1)

    def test_without_gradients_is_the_same_picture(self, variant: str) -> None:
        request = make_request(room(500, 5, size=2.0), pose(), camera(50, 40), 0.05, None, None)
        with torch.no_grad():
            still = cpu_backend.render(request, None, library.load(variant))
        moving = dataclasses.replace(request, gaussians=leaves(request.gaussians))
        assert torch.equal(still.features, cpu_backend.render(moving, None, library.load(variant)).features.detach())


def test_cap_of_alpha_stops_the_gradient() -> None:
    g = GaussianBatch(
        torch.tensor([[0.0, 0, 2]]),
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.full((1, 3), 0.5),
        torch.ones(1),
        torch.ones(1, 1),
        torch.zeros(1),
    )
    ours = leaves(g)
    request = make_request(ours, torch.eye(4), camera(9, 9), 0.05, None, None)
    result = cpu_backend.render(dataclasses.replace(request, max_alpha=0.5), None)
    assert float(result.alpha.detach().max()) == 0.5
    result.alpha[4, 4].backward()
    assert ours.opacities.grad is not None
    assert float(ours.opacities.grad) == 0.0


def test_only_some_outputs_in_the_loss() -> None:
    g, view, T = room(300, 3, size=2.0), camera(40, 30), pose()
    whole, part = leaves(g), leaves(g)
    a, b = rasterize(whole, T, view), rasterize(part, T, view)
    (a.depth.sum() + 0 * a.features.sum() + 0 * a.alpha.sum()).backward()
    b.depth.sum().backward()
    assert whole.means.grad is not None
    assert torch.equal(whole.means.grad, part.means.grad)


def test_two_renders_before_one_backward() -> None:
    """Each render keeps its own lists: a second one must not disturb the first one's gradient."""
    g, view, T = room(300, 3, size=2.0), camera(40, 30), pose()
    alone, together = leaves(g), leaves(g)
    rasterize(alone, T, view).features.sum().backward()
    first = rasterize(together, T, view)
    rasterize(leaves(room(900, 7, seed=9)), pose(2.0), camera(90, 70)).features.sum().backward()
    first.features.sum().backward()
    assert alone.scales.grad is not None
    assert torch.equal(alone.scales.grad, together.scales.grad)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"T_world_camera": torch.eye(3)}, "T_world_camera"),
        ({"near": 0.0}, "near"),
        ({"geometry_gate": torch.ones(5)}, "belong together"),
        ({"gated_channels": slice(0, 1), "geometry_gate": torch.ones(4)}, "geometry_gate has shape"),
        ({"gated_channels": slice(0, 3, 2), "geometry_gate": torch.ones(5)}, "plain range"),
    ],
)
def test_impossible_arguments(arguments: dict[str, object], message: str) -> None:
    call = {"gaussians": room(5, 3), "T_world_camera": pose(), "camera": camera(8, 8), **arguments}
    with pytest.raises(RasterError, match=message):
        rasterize(**call)  # type: ignore[arg-type]


def test_wrong_shapes_are_named() -> None:
    g = dataclasses.replace(room(5, 3), scales=torch.ones(5, 2))
    with pytest.raises(RasterError, match="scales has shape"):
        rasterize(g, pose(), camera(8, 8))


def test_missing_library_names_the_build(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    library.load.cache_clear()
    try:
        with pytest.raises(RasterError, match="make build"):
            rasterize(room(5, 3), pose(), camera(8, 8))
    finally:
        library.load.cache_clear()
