"""Losses of a rendered view: colour, instance features [OG eq. 1-2, IG eq. 3], depth, and the children's volume."""

from __future__ import annotations

import torch

from ig_ros.raster import losses as kernels
from ig_ros.raster.losses import COLORS, MIN_ALPHA, FeatureTerms, Target, image_loss_torch
from ig_ros.types import RenderResult

MAX_DEPTH_ERROR = 0.3  # relative; what is further off pulls no more
VOLUME_WEIGHT = 0.01  # of the volume loss beside the colour loss [SG eq. 8]


def view_loss(
    rendered: RenderResult, target: Target, ssim_weight: float, depth_weight: float, terms: FeatureTerms
) -> tuple[torch.Tensor, float]:
    """Returns the weighted sum of the losses of one view (a scalar) and its colour loss; on the CPU by kernels."""
    if rendered.features.device.type != "cpu" or rendered.features.dtype != torch.float32:
        return view_loss_torch(rendered, target, ssim_weight, depth_weight, terms)
    loss, color = kernels.view_loss(rendered, target, ssim_weight, terms)
    if target.depth is not None and depth_weight:
        loss = loss + depth_weight * depth_loss(rendered.depth, rendered.alpha, target.depth)
    return loss, color


def view_loss_torch(
    rendered: RenderResult, target: Target, ssim_weight: float, depth_weight: float, terms: FeatureTerms
) -> tuple[torch.Tensor, float]:
    """Does the same in plain torch: for other devices, and what the tests compare with."""
    rgb = target.rgb.to(rendered.features) / 255.0 if target.rgb.dtype == torch.uint8 else target.rgb
    color = image_loss_torch(rendered.features[..., :COLORS], rgb, ssim_weight, target.ignored)
    loss = color
    if target.depth is not None and depth_weight:
        loss = loss + depth_weight * depth_loss(rendered.depth, rendered.alpha, target.depth)
    if target.labels is not None and rendered.features.shape[2] > COLORS:
        features = rendered.features[..., COLORS:]
        loss = loss + feature_loss(features, rendered.alpha, target.labels, terms)
    return loss, float(color.detach())


def mask_means(
    feature: torch.Tensor, labels: torch.Tensor, min_pixels: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Averages the rendered feature over every mask with at least min_pixels pixels, by one scatter-add over pixels.

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
    """Returns L_s = mean over masks of the mean distance of a mask's pixels to its own mean feature [OG eq. 1]."""
    distance = (feature[pixels] - means[rows]).square().sum(1).add(1e-12).sqrt()
    share = 1.0 / torch.bincount(rows, minlength=len(means)).to(feature)
    return (distance * share[rows]).sum() / len(means)


def contrast(means: torch.Tensor, truncation: float | None) -> torch.Tensor:
    """Returns L_c = mean over pairs of w_ij / (|M_i - M_j|^2 + 1), w_ij = 0.1 .. 1 by closeness rank [OG eq. 2].

    With `truncation` (joint phase) the weight of pairs further apart is 0 [IG eq. 3].
    """
    m = len(means)
    square = (means[:, None] - means[None]).square().sum(-1)
    with torch.no_grad():
        others = square + torch.eye(m, device=means.device) * 1e9  # a mask is not its own neighbour: rank it last
        rank = others.argsort(1).argsort(1).to(means)
        weight = 1.0 - 0.9 * rank / max(m - 2, 1)
        weight.fill_diagonal_(0.0)
        if truncation is not None:
            weight[square > truncation**2] = 0.0
    return (weight / (square + 1)).sum() / (m * (m - 1))


def feature_loss(feature: torch.Tensor, alpha: torch.Tensor, labels: torch.Tensor, terms: FeatureTerms) -> torch.Tensor:
    """Returns weighted contrast + smoothness of one view; without contrast where fewer than two masks are usable.

    feature (H, W, F) rendered and alpha-blended, alpha (H, W), labels (H, W) integer mask ids with 0 = none.
    """
    usable = (alpha.detach() > MIN_ALPHA) & (labels > 0)
    index = usable.reshape(-1).nonzero()[:, 0]
    if len(index) == 0:
        return feature.sum() * 0.0
    flat = feature.reshape(-1, feature.shape[-1])[index]
    means, pixels, rows = mask_means(flat, labels.reshape(-1)[index].long(), terms.min_pixels)
    if len(means) == 0:
        return feature.sum() * 0.0
    loss = terms.smooth_weight * smoothness(flat, means, pixels, rows)
    if len(means) >= 2:
        loss = loss + terms.contrast_weight * contrast(means, terms.truncation)
    return loss


def depth_loss(depth: torch.Tensor, alpha: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
    """Returns the mean relative error of the rendered depth where a depth was measured (Own).

    depth (H, W) is alpha-blended; comparing with alpha x measured asks for the right place without asking for opacity.
    """
    valid = measured > 0
    measured = torch.where(valid, measured, 1).to(depth)
    error = (depth - alpha * measured).abs() * torch.where(valid, 1 / measured, 0)
    return error.clamp_max(MAX_DEPTH_ERROR).sum() / valid.sum().clamp_min(1)


def scale_loss(scales: torch.Tensor, edge: torch.Tensor) -> torch.Tensor:
    """Returns the mean of prod(scale), the children's volume: it keeps Gaussians small [SG eq. 8].

    scales (n * k, 3) m, edge (n,) m of their anchors: the volume is in units of its cube, the same near and far (Own).
    """
    x, y, z = scales.unbind(1)
    volume = x * y * z
    return (volume.view(len(edge), -1) / edge[:, None] ** 3).mean()
