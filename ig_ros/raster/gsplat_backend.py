"""The CUDA backend: gsplat (1.5.x), one camera at a time."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from ig_ros.errors import RasterError
from ig_ros.raster.request import MAX_ALPHA, RasterRequest, ScreenStats
from ig_ros.types import GaussianBatch, RenderResult

BLUR = 0.3  # px^2, as in native/raster.h


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


def render(request: RasterRequest, screen: ScreenStats | None) -> RenderResult:
    """Rasterise with gsplat; see ig_ros.raster.rasterize.

    gsplat knows no geometry gate, so gated channels are drawn by a second call on the same Gaussians with their
    geometry's gradient scaled; the blending weights of both calls are the same numbers.
    """
    if request.max_alpha != MAX_ALPHA:
        raise RasterError(f"gsplat blends with a fixed largest alpha of {MAX_ALPHA}, {request.max_alpha} was asked for")
    gsplat, g, gated = require(), request.gaussians, request.gated
    if screen is not None:
        screen.gradient = None
    if request.gate is None or gated.start == gated.stop:
        features, depth, alpha = _draw(gsplat, request, g, "RGB+D", screen)
        return RenderResult(features, depth, alpha)
    before, inside, after = g.features[:, : gated.start], g.features[:, gated], g.features[:, gated.stop :]
    plain, depth, alpha = _draw(gsplat, request, _with_features(g, torch.cat([before, after], 1)), "RGB+D", screen)
    feature, _, _ = _draw(gsplat, request, _with_features(_gated(g, request.gate), inside), "RGB", screen, request.gate)
    mixed = torch.cat([plain[..., : gated.start], feature, plain[..., gated.start :]], 2)
    return RenderResult(mixed, depth, alpha)


def _draw(
    gsplat: Any,
    request: RasterRequest,
    g: GaussianBatch,
    mode: str,
    screen: ScreenStats | None,
    gate: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One gsplat call: features (H, W, F), depth (H, W; empty without it), alpha (H, W).

    Not packed: gsplat's packed form saves work where a camera sees a small part of what it is given, and is slower
    otherwise (its own note). Here only anchors in view have been decoded (`Scaffold.in_view`), so nearly all are seen.
    """
    camera, like = request.camera, g.means
    mode = "D" if mode == "RGB+D" and g.features.shape[1] == 0 else mode
    colors, alphas, info = gsplat.rasterization(
        means=g.means,
        quats=g.quats,
        scales=g.scales,
        opacities=g.opacities,
        colors=g.features,
        viewmats=torch.as_tensor(request.world_to_camera, dtype=like.dtype, device=like.device)[None],
        Ks=torch.as_tensor(camera.K, dtype=like.dtype, device=like.device)[None],
        width=camera.width,
        height=camera.height,
        near_plane=request.near,
        eps2d=BLUR,
        packed=False,
        render_mode=mode,
    )
    if screen is not None:
        _watch(screen, info, gate)
    count = g.features.shape[1]
    depth = colors[0, ..., -1] if mode.endswith("D") else colors.new_zeros(0)
    return colors[0, ..., :count] if mode != "D" else colors[0, ..., :0], depth, alphas[0, ..., 0]


def _watch(screen: ScreenStats, info: dict[str, Any], gate: torch.Tensor | None) -> None:
    """Note what is visible now, and add up the gradients of the projected means when they come."""
    radii = info["radii"][0]  # (N, 2) since gsplat 1.5, (N,) before
    screen.visible = (radii > 0).all(-1) if radii.ndim == 2 else radii > 0
    means = info["means2d"]
    if not means.requires_grad:
        return

    def add(gradient: torch.Tensor) -> None:
        own = gradient[0] if gate is None else gradient[0] * gate[:, None]
        screen.gradient = own if screen.gradient is None else screen.gradient + own

    means.register_hook(add)


def _with_features(g: GaussianBatch, features: torch.Tensor) -> GaussianBatch:
    return GaussianBatch(g.means, g.quats, g.scales, g.opacities, features, g.anchors, g.origin)


def _gated(g: GaussianBatch, gate: torch.Tensor) -> GaussianBatch:
    """The same geometry, through which only the share `gate` (N,) of a gradient passes."""

    def pass_share(tensor: torch.Tensor) -> torch.Tensor:
        share = gate.view(-1, *[1] * (tensor.ndim - 1))
        return tensor.detach() + share * (tensor - tensor.detach())  # the value stays the same to the last bit

    means, quats, scales, opacities = (pass_share(t) for t in (g.means, g.quats, g.scales, g.opacities))
    return GaussianBatch(means, quats, scales, opacities, g.features, g.anchors, g.origin)
