"""Colour and feature losses of a rendered view by compiled kernels, which write the gradient beside the value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import conv2d

from ig_ros.raster.library import Library, load, threads
from ig_ros.types import RenderResult

RADIUS, SIGMA = 5, 1.5  # px, of the Gaussian window of SSIM
C1, C2 = 0.01**2, 0.03**2  # keep the quotients of SSIM finite [Wang et al. 2004]
COLORS = 3  # channels; those behind them are the instance feature
MIN_ALPHA = 0.7  # pixels the model hardly covers say nothing about instances [OG]


def image_loss_gradient(
    library: Library,
    rendered: torch.Tensor,
    target: torch.Tensor,
    ssim_weight: float,
    gradient: torch.Tensor,
    ignored: torch.Tensor | None = None,
) -> float:
    """Returns (1 - w) L1 + w (1 - SSIM) of two images; writes the gradient of `rendered` into `gradient`.

    Pixels that are ignored (H, W) bool say nothing, and windows of SSIM that reach them take both images to be equal
    there: what they compare is the rest.

    rendered, target, gradient (H, W, 3), values in [0, 1], on the CPU; rendered and gradient may be part of a wider
    image. A uint8 target means 0 .. 1 by 0 .. 255.
    """
    height, width, _ = rendered.shape
    mask = None
    if ignored is not None:
        target, mask = without(ignored, rendered, target), (~ignored).float()
    bytes_ = target.contiguous() if target.dtype == torch.uint8 else None
    x, y = _pixels(rendered), None if bytes_ is not None else _pixels(target)
    loss = np.empty(1)
    struct = library.struct(
        "ImageLossInput",
        rendered=x,
        target=y,
        mask=mask,
        target_bytes=bytes_,
        rendered_stride=x.stride(1),
        target_stride=COLORS if y is None else y.stride(1),
        gradient_stride=gradient.stride(1),
        height=height,
        width=width,
        threads=threads(),
        ssim_weight=ssim_weight,
        scale=1 / (COLORS * max(height * width if mask is None else float(mask.sum()), 1.0)),
    )
    library.call("ig_image_loss", struct, gradient, loss)
    if ignored is not None:
        gradient[ignored] = 0
    return float(loss[0])


def without(ignored: torch.Tensor, rendered: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Returns the target (H, W, 3) in [0, 1] that shows where it is ignored (H, W) what is rendered."""
    wanted = target.to(rendered) / 255 if target.dtype == torch.uint8 else target.to(rendered)
    return torch.where(ignored[..., None], rendered.detach(), wanted)


def image_loss_torch(
    rendered: torch.Tensor, target: torch.Tensor, ssim_weight: float, ignored: torch.Tensor | None = None
) -> torch.Tensor:
    """Returns the loss of image_loss_gradient in plain torch, on any device and dtype; `target` is a constant."""
    weight: torch.Tensor | float = 1.0
    if ignored is not None:
        target = without(ignored, rendered, target)
        rendered = torch.where(ignored[..., None], rendered.detach(), rendered)
        weight = (~ignored).to(rendered)
        weight = weight / weight.mean().clamp_min(1 / weight.numel())
    x, y = rendered.movedim(2, 0), target.detach().to(rendered).movedim(2, 0)
    mu_x, mu_y, xx, yy, xy = _blur(torch.stack([x, y, x * x, y * y, x * y]))
    covariance, variances = xy - mu_x * mu_y, xx - mu_x**2 + yy - mu_y**2
    ssim = (2 * mu_x * mu_y + C1) * (2 * covariance + C2) / ((mu_x**2 + mu_y**2 + C1) * (variances + C2))
    difference = (1 - ssim_weight) * (x - y).abs() + ssim_weight * (1 - ssim)
    loss: torch.Tensor = (difference * weight).mean()
    return loss


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
    with torch.backends.cudnn.flags(allow_tf32=False):  # its 10 bits are too few for the variances of SSIM
        flat = conv2d(flat, taps.view(1, 1, 1, -1), padding=(0, RADIUS))
        return conv2d(flat, taps.view(1, 1, -1, 1), padding=(RADIUS, 0)).view_as(images)


@dataclass(frozen=True, slots=True)
class FeatureTerms:
    """Weights and limits of the loss on instance features [OG eq. 1-2, IG eq. 3]."""

    min_pixels: int  # smaller masks do not count
    truncation: float | None  # masks whose means are further apart than this do not repel each other
    contrast_weight: float
    smooth_weight: float


@dataclass(frozen=True, slots=True)
class Target:
    """What a view should look like. Without labels, or without feature channels, there is no loss on features."""

    rgb: torch.Tensor  # (H, W, 3) uint8, or float in [0, 1]
    depth: torch.Tensor | None  # (H, W) m, 0 = not measured
    labels: torch.Tensor | None  # (H, W) integer mask ids, 0 = none
    ignored: torch.Tensor | None = None  # (H, W) bool, without a colour to compare with


def view_loss(
    rendered: RenderResult, target: Target, ssim_weight: float, terms: FeatureTerms
) -> tuple[torch.Tensor, float]:
    """Colour and feature losses of a view, differentiable with respect to the features, and the colour loss alone.

    features (H, W, 3 + F) are colour and instance feature, float32 on the CPU. Raises MemoryError.
    """
    given = (rendered.features, rendered.alpha.detach().contiguous())
    loss, color = _ViewLoss.apply(load(), target, ssim_weight, terms, *given)  # type: ignore[no-untyped-call]
    return loss, float(color)


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
    loss = np.empty(1)
    struct = library.struct(
        "FeatureLossInput",
        feature=feature,
        alpha=alpha,
        labels=labels.int().contiguous(),
        gradient=gradient,
        pixels=labels.numel(),
        channels=feature.shape[2],
        stride=feature.stride(1),
        gradient_stride=gradient.stride(1),
        min_pixels=terms.min_pixels,
        threads=threads(),
        min_alpha=MIN_ALPHA,
        truncation=-1.0 if terms.truncation is None else terms.truncation,
        contrast_weight=terms.contrast_weight,
        smooth_weight=terms.smooth_weight,
    )
    library.call("ig_feature_loss", struct, loss)
    return float(loss[0])


class _ViewLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        library: Library,
        target: Target,
        ssim_weight: float,
        terms: FeatureTerms,
        features: torch.Tensor,
        alpha: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        features = features.contiguous()
        ctx.gradient = torch.empty_like(features)
        color_gradient, feature_gradient = ctx.gradient[..., :COLORS], ctx.gradient[..., COLORS:]
        colors = features[..., :COLORS]
        total = color = image_loss_gradient(library, colors, target.rgb, ssim_weight, color_gradient, target.ignored)
        if target.labels is None:
            feature_gradient.zero_()
        elif features.shape[2] > COLORS:
            rest = features[..., COLORS:]
            total += feature_loss_gradient(library, rest, alpha, target.labels, terms, feature_gradient)
        reported = torch.tensor(color, dtype=torch.float64)
        ctx.mark_non_differentiable(reported)
        return features.new_tensor(total), reported

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        whole = float(upstream) == 1.0  # mostly: then no pass over memory
        return None, None, None, None, ctx.gradient if whole else ctx.gradient * upstream, None
