"""All losses of one rendered view on the CPU: every kernel writes its part of the gradient where autograd takes it up.

Colour, depth and instance features share one rendered image; asked apart, autograd would pad and add images of zeros.
The truth it is tested against is `ig_ros.scaffold.losses` and the torch version of the image loss.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch

from ig_ros.raster.image_loss import image_loss_gradient
from ig_ros.raster.library import Library, address, load, threads
from ig_ros.types import RenderResult

COLORS = 3  # channels; those behind them are the instance feature
MIN_ALPHA = 0.7  # pixels the model hardly covers say nothing about instances [OG]
MAX_DEPTH_ERROR = 0.3  # relative; what is further off pulls no more


@dataclass(frozen=True, slots=True)
class FeatureTerms:
    """How the instance features of a view are judged [OG eq. 1-2, IG eq. 3]."""

    min_pixels: int  # smaller masks do not count
    truncation: float | None  # masks whose means are further apart are left in peace
    contrast_weight: float
    smooth_weight: float


@dataclass(frozen=True, slots=True)
class Target:
    """What a view should look like. Without labels, or without feature channels, nothing is asked of features."""

    rgb: torch.Tensor  # (H, W, 3) uint8, or float in [0, 1]
    depth: torch.Tensor | None  # (H, W) m, 0 = not measured
    labels: torch.Tensor | None  # (H, W) integer mask ids, 0 = none


def view_loss(
    rendered: RenderResult, target: Target, ssim_weight: float, depth_weight: float, terms: FeatureTerms
) -> tuple[torch.Tensor, float]:
    """Weighted sum of a view's losses, differentiable with respect to `rendered`, and its colour loss alone.

    features (H, W, 3 + F) are colour and instance feature, float32 on the CPU. Raises MemoryError.
    """
    weights = (ssim_weight, depth_weight, terms)
    images = (rendered.features, rendered.depth, rendered.alpha)
    loss, color = _ViewLoss.apply(load(), target, weights, *images)  # type: ignore[no-untyped-call]
    return loss, float(color)


class _FeatureInput(ctypes.Structure):
    """Mirror of FeatureLossInput in native/feature_loss.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("feature", "alpha", "labels", "gradient")),
        *(
            (name, ctypes.c_int32)
            for name in ("pixels", "channels", "stride", "gradient_stride", "min_pixels", "threads")
        ),
        *((name, ctypes.c_float) for name in ("min_alpha", "truncation", "contrast_weight", "smooth_weight")),
    ]


def feature_loss_gradient(
    library: Library,
    feature: torch.Tensor,
    alpha: torch.Tensor,
    labels: torch.Tensor,
    terms: FeatureTerms,
    gradient: torch.Tensor,
) -> float:
    """Weighted contrast + smoothness of one view; the gradient of `feature` (H, W, F) is written into `gradient`.

    Both may be the last channels of a wider dense image. alpha (H, W), labels (H, W) integer with 0 = none.
    """
    labels = labels.int().contiguous()
    struct = _FeatureInput(
        *map(address, (feature, alpha, labels, gradient)),
        *(labels.numel(), feature.shape[2], feature.stride(1), gradient.stride(1)),
        *(terms.min_pixels, threads(), MIN_ALPHA),
        *(-1.0 if terms.truncation is None else terms.truncation, terms.contrast_weight, terms.smooth_weight),
    )
    loss = ctypes.c_double()
    library.call("ig_feature_loss", struct, ctypes.byref(loss))
    return loss.value


def depth_loss_gradient(
    library: Library,
    depth: torch.Tensor,
    alpha: torch.Tensor,
    measured: torch.Tensor,
    weight: float,
    gradients: tuple[torch.Tensor, torch.Tensor],
) -> float:
    """Weighted mean relative depth error where a depth was measured; writes the gradients of depth and alpha (H, W)."""
    loss = ctypes.c_double()
    measured = measured.float().contiguous()
    library.call(
        "ig_depth_loss", address(depth), address(alpha), address(measured), measured.numel(), weight, MAX_DEPTH_ERROR,
        threads(), *map(address, gradients), ctypes.byref(loss),
    )  # fmt: skip
    return loss.value


def scale_loss(scales: torch.Tensor, edge: torch.Tensor | None, children: int, weight: float) -> torch.Tensor:
    """weight x mean volume of Gaussians, scales (n * children, 3) m, in units of their anchors' edge (n,) m cubed.

    Without edge in m^3. Float32 on the CPU, differentiable with respect to `scales`.
    """
    loss: torch.Tensor = _ScaleLoss.apply(load(), scales, edge, children, weight)  # type: ignore[no-untyped-call]
    return loss


class _ViewLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        library: Library,
        target: Target,
        weights: tuple[float, float, FeatureTerms],
        features: torch.Tensor,
        depth: torch.Tensor,
        alpha: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ssim_weight, depth_weight, terms = weights
        features, depth, alpha = features.contiguous(), depth.contiguous(), alpha.contiguous()
        gradient = torch.empty_like(features)
        color = image_loss_gradient(
            library, features[..., :COLORS], target.rgb, ssim_weight, None, gradient[..., :COLORS]
        )
        total, deep = color, None
        if target.depth is not None and depth_weight:
            deep = (torch.empty_like(depth), torch.empty_like(alpha))
            total += depth_loss_gradient(library, depth, alpha, target.depth, depth_weight, deep)
        if features.shape[2] > COLORS:
            rest = gradient[..., COLORS:]
            if target.labels is None:
                rest.zero_()
            else:
                total += feature_loss_gradient(library, features[..., COLORS:], alpha, target.labels, terms, rest)
        ctx.gradients = (gradient, *(deep or (None, None)))
        reported = torch.tensor(color, dtype=torch.float64)
        ctx.mark_non_differentiable(reported)
        return features.new_tensor(total), reported

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, None, None, *(_scaled(g, upstream) for g in ctx.gradients)


class _ScaleLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, library: Library, scales: torch.Tensor, edge: torch.Tensor | None, children: int, weight: float
    ) -> torch.Tensor:
        scales, gradient, loss = scales.contiguous(), torch.empty_like(scales), ctypes.c_double()
        edge = None if edge is None else edge.contiguous()
        library.call(
            "ig_scale_loss", address(scales), address(edge), len(scales) // children, children, weight,
            threads(), address(gradient), ctypes.byref(loss),
        )  # fmt: skip
        ctx.gradient = gradient
        return scales.new_tensor(loss.value)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, _scaled(ctx.gradient, upstream), None, None, None


def _scaled(gradient: torch.Tensor | None, upstream: torch.Tensor) -> torch.Tensor | None:
    """The gradient times what reaches the loss: mostly 1, and then no pass over memory."""
    return gradient if gradient is None or float(upstream) == 1.0 else gradient * upstream
