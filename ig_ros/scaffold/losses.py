"""What the rendered channels are asked to be: instance features [OG eq. 1-2, IG eq. 3], depth, compact shapes.

Mask means are gathered with one scatter-add over the pixels, O(H W), instead of one full image per mask.
"""

from __future__ import annotations

import torch

from ig_ros.raster import image_loss
from ig_ros.raster import losses as kernels
from ig_ros.raster.losses import COLORS, MIN_ALPHA, FeatureTerms, Target
from ig_ros.types import RenderResult

MAX_DEPTH_ERROR = 0.3  # relative; what is further off pulls no more


def view_loss(
    rendered: RenderResult, target: Target, ssim_weight: float, depth_weight: float, terms: FeatureTerms
) -> tuple[torch.Tensor, float]:
    """Weighted sum of the losses of one rendered view (a scalar) and its colour loss alone: kernels on the CPU."""
    if rendered.features.device.type != "cpu" or rendered.features.dtype != torch.float32:
        return view_loss_torch(rendered, target, ssim_weight, depth_weight, terms)
    loss, color = kernels.view_loss(rendered, target, ssim_weight, terms)
    if target.depth is not None and depth_weight:
        loss = loss + depth_weight * depth_loss(rendered.depth, rendered.alpha, target.depth)
    return loss, color


def view_loss_torch(
    rendered: RenderResult, target: Target, ssim_weight: float, depth_weight: float, terms: FeatureTerms
) -> tuple[torch.Tensor, float]:
    """Returns view_loss() in plain torch, for other devices and for the test of the kernels."""
    rgb = target.rgb.to(rendered.features) / 255.0 if target.rgb.dtype == torch.uint8 else target.rgb
    color = image_loss(rendered.features[..., :COLORS], rgb, ssim_weight, None)
    loss = color
    if target.depth is not None and depth_weight:
        loss = loss + depth_weight * depth_loss(rendered.depth, rendered.alpha, target.depth)
    if target.labels is not None and rendered.features.shape[2] > COLORS:
        loss = loss + feature_loss(
            rendered.features[..., COLORS:],
            rendered.alpha,
            target.labels,
            min_pixels=terms.min_pixels,
            truncation=terms.truncation,
            contrast_weight=terms.contrast_weight,
            smooth_weight=terms.smooth_weight,
        )
    return loss, float(color.detach())


def mask_means(
    feature: torch.Tensor, labels: torch.Tensor, min_pixels: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean rendered feature of every mask with at least min_pixels pixels.

    feature (P, F), labels (P,) int64 with 0 = no mask. Returns means (m, F), the pixels (Q,) that belong to a counted
    mask and the row of `means` each of them belongs to (Q,).
    """
    count = torch.bincount(labels)
    big = count >= min_pixels
    big[0] = False
    row_of_label = torch.cumsum(big, 0) - 1
    pixels = big[labels].nonzero()[:, 0]
    rows = row_of_label[labels[pixels]]
    m = int(big.sum())
    sums = feature.new_zeros(m, feature.shape[1]).index_add(0, rows, feature[pixels])
    return sums / count[big].to(feature)[:, None], pixels, rows


def smoothness(feature: torch.Tensor, means: torch.Tensor, pixels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """L_s = mean over masks of the mean distance of a mask's pixels to its own mean feature [OG eq. 1]."""
    distance = (feature[pixels] - means[rows]).square().sum(1).add(1e-12).sqrt()
    share = 1.0 / torch.bincount(rows, minlength=len(means)).to(feature)
    return (distance * share[rows]).sum() / len(means)


def contrast(means: torch.Tensor, truncation: float | None) -> torch.Tensor:
    """L_c = mean over pairs of w_ij / (|M_i - M_j|^2 + 1), w_ij = 0.1 .. 1 by closeness rank [OG eq. 2, IG eq. 3].

    With `truncation` (joint phase) pairs further apart than it are left in peace.
    """
    m = len(means)
    square = (means[:, None] - means[None]).square().sum(-1)
    with torch.no_grad():
        away = square + torch.eye(m, device=means.device) * 1e9  # a mask is not its own neighbour: rank it last
        rank = away.argsort(1).argsort(1).to(means)
        weight = 1.0 - 0.9 * rank / max(m - 2, 1)
        weight.fill_diagonal_(0.0)
        if truncation is not None:
            weight[square > truncation**2] = 0.0
    return (weight / (square + 1)).sum() / (m * (m - 1))


def feature_loss(
    feature: torch.Tensor,
    alpha: torch.Tensor,
    labels: torch.Tensor,
    *,
    min_pixels: int,
    truncation: float | None,
    contrast_weight: float,
    smooth_weight: float,
) -> torch.Tensor:
    """Weighted contrast + smoothness of one view; 0 where fewer than two masks are usable.

    feature (H, W, F) rendered and alpha-blended, alpha (H, W), labels (H, W) integer mask ids with 0 = none.
    """
    usable = (alpha.detach() > MIN_ALPHA) & (labels > 0)
    index = usable.reshape(-1).nonzero()[:, 0]
    if len(index) == 0:
        return feature.sum() * 0.0
    flat = feature.reshape(-1, feature.shape[-1])[index]
    means, pixels, rows = mask_means(flat, labels.reshape(-1)[index].long(), min_pixels)
    if len(means) == 0:
        return feature.sum() * 0.0
    loss = smooth_weight * smoothness(flat, means, pixels, rows)
    if len(means) >= 2:
        loss = loss + contrast_weight * contrast(means, truncation)
    return loss


def depth_loss(depth: torch.Tensor, alpha: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
    """Mean relative error of the rendered depth where a depth was measured (Own, METHOD 7.5).

    depth (H, W) is alpha-blended; comparing with alpha x measured asks for the right place without asking for opacity.
    """
    valid = measured > 0
    measured = torch.where(valid, measured, 1).to(depth)
    error = (depth - alpha * measured).abs() * torch.where(valid, 1 / measured, 0)
    return error.clamp_max(MAX_DEPTH_ERROR).sum() / valid.sum().clamp_min(1)


def scale_loss(scales: torch.Tensor, edge: torch.Tensor | None) -> torch.Tensor:
    """Mean of prod(scale), the children's volume: keeps Gaussians from ballooning [SG eq. 8].

    scales (n * k, 3) m; with edge (n,) m of their anchors in units of its cube, so that it means the same at every
    distance (Own).
    """
    x, y, z = scales.unbind(1)
    volume = x * y * z
    return (volume if edge is None else volume.view(len(edge), -1) / edge[:, None] ** 3).mean()
