"""All losses of one rendered view by compiled kernels; each writes its part of the gradient."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import conv2d

from ig_ros.errors import RasterError
from ig_ros.raster.library import Library, address, load, threads
from ig_ros.types import RenderResult

RADIUS, SIGMA = 5, 1.5
C1, C2 = 0.01**2, 0.03**2


def image_loss(
    rendered: torch.Tensor, target: torch.Tensor, ssim_weight: float, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Scalar (1 - w) L1 + w (1 - SSIM), differentiable with respect to `rendered`; `target` is a constant.

    rendered, target (H, W, 3) in [0, 1]; mask (H, W) weighs the pixels of both terms (the window still sees pixels of
    weight 0); an all-zero mask gives 0. Compiled kernels on the CPU, torch elsewhere. Raises RasterError.
    """
    if rendered.shape != target.shape or rendered.ndim != 3 or rendered.shape[2] != 3:
        raise RasterError(
            f"image_loss needs two (H, W, 3) images, got {tuple(rendered.shape)} and {tuple(target.shape)}"
        )
    if mask is not None and mask.shape != rendered.shape[:2]:
        raise RasterError(f"mask has shape {tuple(mask.shape)}, the images are {tuple(rendered.shape[:2])}")
    if rendered.device.type != "cpu":
        return image_loss_torch(rendered, target, ssim_weight, mask)
    return compiled_image_loss(load(), rendered, target, ssim_weight, mask)


def compiled_image_loss(
    library: Library, rendered: torch.Tensor, target: torch.Tensor, ssim_weight: float, mask: torch.Tensor | None
) -> torch.Tensor:
    """image_loss() by the kernels of one library; CPU tensors only."""
    arguments = (library, rendered, target.detach(), ssim_weight, mask)
    loss: torch.Tensor = _ImageLoss.apply(*arguments)  # type: ignore[no-untyped-call]
    return loss


def image_loss_gradient(
    library: Library,
    rendered: torch.Tensor,
    target: torch.Tensor,
    ssim_weight: float,
    mask: torch.Tensor | None,
    gradient: torch.Tensor | None,
) -> float:
    """The loss as a number; its gradient is written into `gradient` (H, W, 3), which may be part of a wider image.

    `target` (H, W, 3) may be uint8: 0 .. 255 then stand for 0 .. 1. Otherwise as compiled_image_loss.
    """
    height, width, _ = rendered.shape
    bytes_ = target.contiguous() if target.dtype == torch.uint8 else None
    x, y = _pixels(rendered), None if bytes_ is not None else _pixels(target)
    weight = None if mask is None else mask.detach().float().contiguous()
    total = float(height * width) if weight is None else float(weight.sum())
    struct = _Input(
        *map(address, (x, y, weight, bytes_)),
        *(x.stride(1), 3 if y is None else y.stride(1), 3 if gradient is None else gradient.stride(1)),
        *(height, width, threads(), ssim_weight, 1 / max(3 * total, 1e-8)),
    )
    loss = ctypes.c_double()
    library.call("ig_image_loss", struct, ctypes.c_void_p(address(gradient)), ctypes.byref(loss))
    return loss.value


def image_loss_torch(
    rendered: torch.Tensor, target: torch.Tensor, ssim_weight: float, mask: torch.Tensor | None
) -> torch.Tensor:
    """The same function in plain torch, on any device and dtype."""
    x, y = rendered.movedim(2, 0), target.detach().to(rendered).movedim(2, 0)
    mu_x, mu_y, xx, yy, xy = _blur(torch.stack([x, y, x * x, y * y, x * y]))
    covariance, variances = xy - mu_x * mu_y, xx - mu_x**2 + yy - mu_y**2
    ssim = (2 * mu_x * mu_y + C1) * (2 * covariance + C2) / ((mu_x**2 + mu_y**2 + C1) * (variances + C2))
    error = (1 - ssim_weight) * (x - y).abs() + ssim_weight * (1 - ssim)
    weight = torch.ones_like(x[0]) if mask is None else mask.to(rendered)
    loss: torch.Tensor = (error * weight).sum() / (3 * weight.sum()).clamp_min(1e-8)
    return loss


class _Input(ctypes.Structure):
    """Mirror of ImageLossInput in native/image_loss.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("rendered", "target", "mask", "target_bytes")),
        *(
            (name, ctypes.c_int32)
            for name in ("rendered_stride", "target_stride", "gradient_stride", "height", "width", "threads")
        ),
        *((name, ctypes.c_float) for name in ("ssim_weight", "scale")),
    ]


class _ImageLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        library: Library,
        rendered: torch.Tensor,
        target: torch.Tensor,
        ssim_weight: float,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        gradient = torch.empty(rendered.shape) if ctx.needs_input_grad[1] else None
        ctx.gradient = gradient
        return rendered.new_tensor(image_loss_gradient(library, rendered, target, ssim_weight, mask, gradient))

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, ctx.gradient * upstream, None, None, None


def _pixels(image: torch.Tensor) -> torch.Tensor:
    """float32 view of an image (H, W, 3) whose rows follow each other without gaps; pixels may lie further apart."""
    image = image.detach().float()
    dense_rows = image.stride(0) == image.shape[1] * image.stride(1) and image.stride(2) == 1
    return image if dense_rows and image.stride(1) >= 3 else image.contiguous()


def _blur(images: torch.Tensor) -> torch.Tensor:
    """Separable Gaussian window with zero padding over the last two axes of (B, 3, H, W)."""
    taps = torch.exp(-(torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64) ** 2) / (2 * SIGMA**2))
    taps = (taps / taps.sum()).to(images)
    flat = images.reshape(-1, 1, *images.shape[-2:])
    flat = conv2d(flat, taps.view(1, 1, 1, -1), padding=(0, RADIUS))
    return conv2d(flat, taps.view(1, 1, -1, 1), padding=(RADIUS, 0)).view_as(images)


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
