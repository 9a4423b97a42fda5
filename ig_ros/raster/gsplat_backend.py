"""The CUDA backend: gsplat (1.5.x), one camera at a time."""

from __future__ import annotations

import importlib.util
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ig_ros.errors import RasterError
from ig_ros.raster.request import MAX_ALPHA, RasterRequest, ScreenStats
from ig_ros.types import RenderResult

log = logging.getLogger(__name__)

BLUR = 0.3  # px^2, as in native/raster.h
TILE = 16  # px, the side that gsplat is tested with


def installed() -> bool:
    """Whether the gsplat package is there (its kernels may still have to be compiled)."""
    return importlib.util.find_spec("gsplat") is not None


def require() -> Any:
    """The gsplat module. Raises RasterError when it is missing."""
    if not installed():
        raise RasterError(
            "gsplat is not installed: `pip install 'ig_ros[cuda]'` on a CUDA machine, or set device to cpu"
        )
    import gsplat  # here, because importing it may compile CUDA kernels

    return gsplat


def kernels() -> Any:
    """gsplat's compiled functions, compiled now (minutes) where they are not there yet; None where nvcc is missing."""
    require()
    if importlib.util.find_spec("gsplat.csrc") is None:  # not from a wheel that brings them
        from torch.utils.cpp_extension import _get_build_directory  # gsplat looks there

        if not (Path(_get_build_directory("gsplat_cuda", False)) / "gsplat_cuda.so").is_file():
            log.warning("compiling gsplat's kernels: minutes, once (`ig gpu` does it before a robot needs them)")
    from gsplat.cuda import _backend

    return _backend._C


def render(request: RasterRequest, screen: ScreenStats | None) -> RenderResult:
    """Rasterises with gsplat; see ig_ros.raster.rasterize.

    gsplat knows no geometry gate, so gated channels are blended by a second call, which returns a share of its gradient
    to the geometry. Both blend what was projected and sorted once.
    """
    if request.max_alpha != MAX_ALPHA:
        raise RasterError(f"gsplat blends with a fixed largest alpha of {MAX_ALPHA}, {request.max_alpha} was asked for")
    gsplat, g, gated = require(), request.gaussians, request.gated
    if not len(g.means):  # gsplat divides by their number: the process would die
        return _nothing(request, screen)
    shown, splats = _project(gsplat, request, screen)
    if request.gate is None or gated.start == gated.stop:
        image, alpha = _blend(gsplat, request, shown, splats, g.features)
        return RenderResult(image[..., :-1], image[..., -1], alpha)
    before, inside, after = g.features[:, : gated.start], g.features[:, gated], g.features[:, gated.stop :]
    image, alpha = _blend(gsplat, request, shown, splats, torch.cat([before, after], 1))
    means, conics, opacities = (_pass_share(t, request.gate) for t in (splats.means, splats.conics, splats.opacities))
    shares = Projected(means, conics, opacities, None)
    feature, _ = _blend(gsplat, request, shown, shares, inside)
    mixed = torch.cat([image[..., : gated.start], feature, image[..., gated.start : -1]], 2)
    return RenderResult(mixed, image[..., -1], alpha)


@dataclass(frozen=True, slots=True)
class Projected:
    """Gaussians on the image plane."""

    means: torch.Tensor  # (1, N, 2) px
    conics: torch.Tensor  # (1, N, 3) inverse covariance xx, xy, yy
    opacities: torch.Tensor  # (1, N)
    depths: torch.Tensor | None  # (1, N) m; None: depth is not wanted


@dataclass(frozen=True, slots=True)
class Tiles:
    """Which Gaussians reach which tile, front to back."""

    offsets: torch.Tensor  # (1, rows, columns) where a tile's entries begin
    entries: torch.Tensor  # rows of Gaussians


def _project(gsplat: Any, request: RasterRequest, screen: ScreenStats | None) -> tuple[Tiles, Projected]:
    """Projects and sorts the Gaussians, and notes what `screen` wants to know of them.

    Not packed: gsplat's packed form saves work where a camera sees a small part of what it is given, and is slower
    otherwise (its own note). Here only anchors in view have been decoded (`Scaffold.in_view`), so nearly all are seen.
    """
    camera, g = request.camera, request.gaussians
    view = torch.as_tensor(request.world_to_camera, dtype=g.means.dtype, device=g.means.device)[None]
    K = torch.as_tensor(camera.K, dtype=g.means.dtype, device=g.means.device)[None]
    radii, means, depths, conics, _ = gsplat.fully_fused_projection(
        g.means, None, g.quats, g.scales, view, K, camera.width, camera.height,
        eps2d=BLUR, near_plane=request.near, opacities=g.opacities,
    )  # fmt: skip
    columns, rows = math.ceil(camera.width / TILE), math.ceil(camera.height / TILE)
    _, ids, entries = gsplat.isect_tiles(means, radii, depths, TILE, columns, rows)
    offsets = gsplat.isect_offset_encode(ids, 1, columns, rows).reshape(1, rows, columns)
    if screen is not None:
        _watch(screen, radii[0], means)
    return Tiles(offsets, entries), Projected(means, conics, g.opacities[None], depths)


def _blend(
    gsplat: Any, request: RasterRequest, tiles: Tiles, splats: Projected, values: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns `values` (N, C), and depth where it is known, blended: (H, W, C or C + 1); and alpha (H, W)."""
    colors = values[None] if splats.depths is None else torch.cat([values[None], splats.depths[..., None]], 2)
    image, alpha = gsplat.rasterize_to_pixels(
        splats.means, splats.conics, colors, splats.opacities, request.camera.width, request.camera.height, TILE,
        tiles.offsets, tiles.entries,
    )  # fmt: skip
    return image[0], alpha[0, ..., 0]


def _watch(screen: ScreenStats, radii: torch.Tensor, means: torch.Tensor) -> None:
    """Notes what is visible now, and the gradient of the projected means when it comes."""
    screen.gradient, screen.visible = None, (radii > 0).all(-1)

    def keep(gradient: torch.Tensor) -> None:
        screen.gradient = gradient[0]

    if means.requires_grad:
        means.register_hook(keep)  # type: ignore[no-untyped-call]


def _nothing(request: RasterRequest, screen: ScreenStats | None) -> RenderResult:
    """The picture of no Gaussians."""
    camera, features = request.camera, request.gaussians.features
    if screen is not None:
        screen.gradient, screen.visible = None, features.new_zeros(0, dtype=torch.bool)
    empty = features.new_zeros(camera.height, camera.width)
    return RenderResult(features.new_zeros(camera.height, camera.width, features.shape[1]), empty, empty.clone())


def _pass_share(tensor: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
    """The same values to the last bit, through which only the share `gate` (N,) of a gradient passes."""
    share = gate.view(1, -1, *[1] * (tensor.ndim - 2))
    return tensor.detach() + share * (tensor - tensor.detach())
