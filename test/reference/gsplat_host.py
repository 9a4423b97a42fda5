"""gsplat's compiled functions (1.5.3) on the host, by the slow reference's maths: all of its Python runs as on a GPU.

The names, argument orders, shapes and refusals are those of gsplat's `ext.cpp`; what differs is where the numbers are
computed. Gradients are autograd's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from reference import raster as reference

from ig_ros.types import Camera, GaussianBatch

EXTENT = 3.33  # standard deviations that a Gaussian is drawn to, less for a faint one


def projection_ewa_3dgs_fused_fwd(
    means: torch.Tensor, covars: None, quats: torch.Tensor, scales: torch.Tensor, opacities: torch.Tensor,
    viewmats: torch.Tensor, Ks: torch.Tensor, width: int, height: int, eps2d: float, near: float, far: float,
    radius_clip: float, calc_compensations: bool, camera_model: object,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """Returns radii (1, N, 2) px, means2d (1, N, 2), depths (1, N), conics (1, N, 3) and no compensations."""
    assert covars is None
    assert not calc_compensations
    batches(means)
    p = projected(means, quats, scales, viewmats, Ks, width, height, eps2d)
    reach = torch.sqrt(2 * torch.log(opacities / reference.MIN_ALPHA).clamp_min(0)).clamp_max(EXTENT)
    radii = torch.ceil(reach[:, None] * p.covariance[:, [0, 2]].sqrt()).nan_to_num()
    low, high = p.means - radii, p.means + radii
    seen = (high > 0).all(1) & (low[:, 0] < width) & (low[:, 1] < height) & (p.depth > near) & (p.depth < far)
    radii[~(seen & (radii > radius_clip).any(1) & (opacities >= reference.MIN_ALPHA))] = 0
    return radii.int()[None], p.means[None], p.depth[None], p.inverse[None], torch.zeros(0)


def projection_ewa_3dgs_fused_bwd(
    means: torch.Tensor, covars: None, quats: torch.Tensor, scales: torch.Tensor, viewmats: torch.Tensor,
    Ks: torch.Tensor, width: int, height: int, eps2d: float, camera_model: object, radii: torch.Tensor,
    conics: torch.Tensor, compensations: None, v_means2d: torch.Tensor, v_depths: torch.Tensor,
    v_conics: torch.Tensor, v_compensations: None, viewmats_requires_grad: bool,
) -> tuple[torch.Tensor | None, ...]:  # fmt: skip
    """Returns the gradients of means, covars, quats, scales and viewmats; culled Gaussians have none."""
    batches(means)
    seen = (radii[0] > 0).all(1)
    inputs = [t.detach()[seen].requires_grad_() for t in (means, quats, scales)]
    with torch.enable_grad():
        p = projected(*inputs, viewmats, Ks, width, height, eps2d)
        outputs = [p.means, p.depth, p.inverse]
        upstream = [v[0][seen] for v in (v_means2d, v_depths, v_conics)]
        found = torch.autograd.grad(outputs, inputs, upstream) if len(inputs[0]) else inputs
    whole = [torch.zeros_like(t).index_put_((seen,), g) for t, g in zip((means, quats, scales), found, strict=True)]
    return whole[0], None, whole[1], whole[2], None


def projected(
    means: torch.Tensor, quats: torch.Tensor, scales: torch.Tensor, viewmats: torch.Tensor, Ks: torch.Tensor,
    width: int, height: int, eps2d: float,
) -> reference.Projected:  # fmt: skip
    """The Gaussians on the image plane of the one camera."""
    assert viewmats.shape == (1, 4, 4)
    assert Ks.shape == (1, 3, 3)
    assert eps2d == reference.BLUR
    none = torch.zeros(len(means))
    batch = GaussianBatch(means, quats, scales, none, none[:, None], none)
    return reference.project(
        batch, torch.linalg.inv(viewmats[0].double()).numpy(), Camera(Ks[0].numpy(), width, height)
    )


def intersect_tile(
    means2d: torch.Tensor, radii: torch.Tensor, depths: torch.Tensor, image_ids: None, gaussian_ids: None,
    images: int, tile: int, columns: int, rows: int, sort: bool, segmented: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """Returns tiles per Gaussian (1, N), and for every tile of each its id (tile, then depth) and its Gaussian."""
    assert images == 1
    assert sort
    batches(means2d)
    low, high = (means2d[0] - radii[0]) / tile, (means2d[0] + radii[0]) / tile
    limit = torch.tensor([columns, rows])
    first = torch.minimum(low.floor().long().clamp_min(0), limit)
    last = torch.minimum(high.ceil().long().clamp_min(0), limit)
    count = ((last - first).prod(1) * (radii[0] > 0).all(1)).int()
    owner = torch.repeat_interleave(torch.arange(len(count)), count.long())
    place = torch.arange(len(owner)) - (count.cumsum(0) - count)[owner]
    width = (last - first)[owner, 0].clamp_min(1)
    number = (first[owner, 1] + place // width) * columns + first[owner, 0] + place % width
    ids = number << 32 | depths[0][owner].contiguous().view(torch.int32).long()
    ids, order = torch.sort(ids, stable=True)
    return count[None], ids, owner[order].int()


def intersect_offset(ids: torch.Tensor, images: int, columns: int, rows: int) -> torch.Tensor:
    """Returns (1, rows, columns): where the entries of each tile begin."""
    return torch.searchsorted(ids >> 32, torch.arange(rows * columns)).int().view(images, rows, columns)


def rasterize_to_pixels_3dgs_fwd(
    means2d: torch.Tensor, conics: torch.Tensor, colors: torch.Tensor, opacities: torch.Tensor, backgrounds: None,
    masks: None, width: int, height: int, tile: int, offsets: torch.Tensor, ids: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """Returns the image (1, H, W, C), alpha (1, H, W, 1) and the last Gaussian of each pixel (not kept here)."""
    assert backgrounds is None
    assert masks is None
    image, alpha = blended(means2d, conics, colors, opacities, (width, height, tile), offsets, ids)
    return image[None], alpha[None, ..., None], torch.zeros(1, height, width, dtype=torch.int32)


def rasterize_to_pixels_3dgs_bwd(
    means2d: torch.Tensor, conics: torch.Tensor, colors: torch.Tensor, opacities: torch.Tensor, backgrounds: None,
    masks: None, width: int, height: int, tile: int, offsets: torch.Tensor, ids: torch.Tensor, alphas: torch.Tensor,
    last_ids: torch.Tensor, v_colors: torch.Tensor, v_alphas: torch.Tensor, absgrad: bool,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """Returns no absolute gradient, and the gradients of means2d, conics, colors and opacities."""
    assert not absgrad
    inputs = [t.detach().clone().requires_grad_() for t in (means2d, conics, colors, opacities)]
    with torch.enable_grad():
        image, alpha = blended(*inputs, (width, height, tile), offsets, ids)
        value = (image * v_colors[0]).sum() + (alpha * v_alphas[0, ..., 0]).sum()
        value = value + sum(0 * t.sum() for t in inputs)  # a picture of nothing has a gradient too
        return torch.zeros(0), *torch.autograd.grad(value, inputs)


def blended(
    means2d: torch.Tensor, conics: torch.Tensor, colors: torch.Tensor, opacities: torch.Tensor,
    size: tuple[int, int, int], offsets: torch.Tensor, ids: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Image (H, W, C) and alpha (H, W), tile by tile."""
    width, height, tile = size
    ends = torch.cat([offsets.flatten(), torch.tensor([len(ids)])]).tolist()
    shown = []
    for row in range(offsets.shape[1]):
        cells = []
        for column in range(offsets.shape[2]):
            number = row * offsets.shape[2] + column
            own = ids[ends[number] : ends[number + 1]].long()
            part = (min(tile, height - row * tile), min(tile, width - column * tile))
            p = reference.Projected(means2d[0][own], conics[0][own], conics[0][own], own)
            pixels = reference.pixel_centers(row * tile, column * tile, *part, means2d)
            weights = reference.blend_weights(p, opacities[0][own], pixels)
            cells.append(torch.cat([weights @ colors[0][own], weights.sum(1, keepdim=True)], 1).view(*part, -1))
        shown.append(torch.cat(cells, 1))
    image = torch.cat(shown)
    return image[..., :-1], image[..., -1]


def batches(means: torch.Tensor) -> int:
    """Batches as gsplat counts them before its empty check. Raises ZeroDivisionError where it dies of SIGFPE."""
    return means.numel() // (means.shape[-2] * means.shape[-1])


FUNCTIONS = (
    projection_ewa_3dgs_fused_fwd, projection_ewa_3dgs_fused_bwd, intersect_tile, intersect_offset,
    rasterize_to_pixels_3dgs_fwd, rasterize_to_pixels_3dgs_bwd,
)  # fmt: skip


@contextmanager
def host_kernels(wrap: Callable[[Any], Any] = lambda function: function) -> Iterator[None]:
    """gsplat runs on these functions while the context lasts, each through `wrap` (for tensors that pretend)."""
    functions = {f.__name__: wrap(f) for f in FUNCTIONS}
    compiled = SimpleNamespace(CameraModelType=None, PINHOLE="pinhole", **functions)  # enums are exported flat
    backend = ModuleType("gsplat.cuda._backend")
    backend._C = compiled  # type: ignore[attr-defined]
    with patch.dict(sys.modules, {backend.__name__: backend}):
        yield


def called(log: list[str]) -> Callable[[Any], Any]:
    """A `wrap` that notes the names of the functions called."""

    def wrap(function: Any) -> Any:
        def noted(*arguments: Any) -> Sequence[torch.Tensor]:
            log.append(function.__name__)
            result: Sequence[torch.Tensor] = function(*arguments)
            return result

        return noted

    return wrap
