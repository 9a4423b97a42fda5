"""Slow truth for the rasteriser: every Gaussian at every pixel, in plain torch of any dtype, gradients by autograd."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ig_ros.raster.request import MAX_ALPHA
from ig_ros.types import Camera, GaussianBatch, RenderResult

MIN_ALPHA, MIN_TRANSMITTANCE, BLUR = 1 / 255, 1e-4, 0.3


@dataclass(frozen=True)
class Projected:
    """Gaussians on the image plane."""

    means: torch.Tensor  # (N, 2) px
    inverse: torch.Tensor  # (N, 3) inverse covariance xx, xy, yy
    covariance: torch.Tensor  # (N, 3) px^2
    depth: torch.Tensor  # (N,) m


def rotation_matrices(quats: torch.Tensor) -> torch.Tensor:
    """(N, 3, 3) of quaternions (N, 4) wxyz, normalised here."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
    rows += [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]
    rows += [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
    return torch.stack(rows, -1).view(-1, 3, 3)


def project(g: GaussianBatch, T_world_camera: np.ndarray, camera: Camera) -> Projected:
    """EWA splatting: local affine approximation of the pinhole camera [Zwicker et al. 2002]."""
    T = torch.as_tensor(T_world_camera, dtype=g.means.dtype)
    W = T[:3, :3].T
    x, y, z = ((g.means - T[:3, 3]) @ T[:3, :3]).unbind(-1)
    (fx, _, cx), (_, fy, cy) = camera.K[0], camera.K[1]
    margin_x, margin_y = 0.15 * camera.width / fx, 0.15 * camera.height / fy
    slope_x = torch.clamp(x / z, -cx / fx - margin_x, (camera.width - cx) / fx + margin_x)
    slope_y = torch.clamp(y / z, -cy / fy - margin_y, (camera.height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    J = torch.stack([fx / z, zero, -fx * slope_x / z, zero, fy / z, -fy * slope_y / z], -1).view(-1, 2, 3)
    root = J @ W @ (rotation_matrices(g.quats) * g.scales[:, None, :])
    covariance = root @ root.mT
    a, b, c = covariance[:, 0, 0] + BLUR, covariance[:, 0, 1], covariance[:, 1, 1] + BLUR
    determinant = a * c - b * b
    inverse = torch.stack([c / determinant, -b / determinant, a / determinant], -1)
    return Projected(torch.stack([fx * x / z + cx, fy * y / z + cy], -1), inverse, torch.stack([a, b, c], -1), z)


def blend_weights(p: Projected, opacities: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """(P, N) share of each Gaussian, sorted near to far, in the colour of each pixel (P, 2)."""
    d = pixels[:, None] - p.means[None]
    sigma = 0.5 * (p.inverse[:, 0] * d[..., 0] ** 2 + p.inverse[:, 2] * d[..., 1] ** 2)
    sigma = sigma + p.inverse[:, 1] * d[..., 0] * d[..., 1]
    alpha = torch.clamp_max(opacities * torch.exp(-sigma), MAX_ALPHA)
    alpha = torch.where(alpha < MIN_ALPHA, torch.zeros_like(alpha), alpha)
    going_on = torch.cumprod(1 - alpha, 1).detach() >= MIN_TRANSMITTANCE
    alpha = torch.where(going_on, alpha, torch.zeros_like(alpha))
    behind = torch.cumprod(1 - alpha, 1)
    return alpha * torch.cat([torch.ones_like(behind[:, :1]), behind[:, :-1]], 1)


def front_to_back(depth: torch.Tensor, near: float) -> torch.Tensor:
    """Rows of the Gaussians beyond the near plane, nearest first."""
    kept = (depth.detach() > near).nonzero()[:, 0]
    return kept[torch.argsort(depth.detach()[kept], stable=True)]


def select(p: Projected, rows: torch.Tensor) -> Projected:
    """The given rows."""
    return Projected(p.means[rows], p.inverse[rows], p.covariance[rows], p.depth[rows])


def pixel_centers(top: int, left: int, height: int, width: int, like: torch.Tensor) -> torch.Tensor:
    """(height * width, 2) coordinates x, y."""
    y, x = torch.meshgrid(torch.arange(top, top + height), torch.arange(left, left + width), indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2).to(like) + 0.5


@dataclass(frozen=True)
class ReferenceRender:
    """Images plus the projected means, whose gradient the tests read."""

    result: RenderResult
    projected_means: torch.Tensor
    weights: torch.Tensor  # (H * W, kept)
    order: torch.Tensor  # (kept,) rows of the Gaussians


def render(g: GaussianBatch, T_world_camera: np.ndarray, camera: Camera, near: float = 0.05) -> ReferenceRender:
    """All Gaussians at all pixels."""
    p = project(g, T_world_camera, camera)
    if p.means.requires_grad:
        p.means.retain_grad()
    order = front_to_back(p.depth, near)
    pixels = pixel_centers(0, 0, camera.height, camera.width, g.means)
    weights = blend_weights(select(p, order), g.opacities[order], pixels)
    shape = (camera.height, camera.width)
    features = (weights @ g.features[order]).view(*shape, g.features.shape[1])
    result = RenderResult(features, (weights @ p.depth[order]).view(shape), weights.sum(1).view(shape))
    return ReferenceRender(result, p.means, weights, order)


def render_gated(
    g: GaussianBatch, T_world_camera: np.ndarray, camera: Camera, channels: slice, gate: torch.Tensor
) -> tuple[RenderResult, torch.Tensor, torch.Tensor]:
    """Blends gated channels with geometry m g + (1 - m) stopgrad(g) [docs/method.md, section 7.4], others with g.

    Also returns the projected means of both renders; their gradients are what the screen gradient is made of.
    """

    def share(t: torch.Tensor) -> torch.Tensor:
        m = gate.view(-1, *[1] * (t.ndim - 1))
        return m * t + (1 - m) * t.detach()

    half = GaussianBatch(share(g.means), share(g.quats), share(g.scales), share(g.opacities), g.features, g.anchors)
    whole, part = render(g, T_world_camera, camera), render(half, T_world_camera, camera)
    mixed = whole.result.features.clone()
    mixed[..., channels] = part.result.features[..., channels]
    return RenderResult(mixed, whole.result.depth, whole.result.alpha), whole.projected_means, part.projected_means


def render_tiled(
    g: GaussianBatch, T_world_camera: np.ndarray, camera: Camera, near: float = 0.05, tile: int = 16
) -> RenderResult:
    """The same in torch, tile by tile with culled lists: what one gets without compiled kernels. For benchmarks."""
    p = project(g, T_world_camera, camera)
    order = front_to_back(p.depth, near)
    p, opacities = select(p, order), g.opacities[order]
    channels = torch.cat([g.features[order], p.depth[:, None], torch.ones_like(p.depth)[:, None]], 1)
    with torch.no_grad():
        reach = (2 * torch.log((opacities * 255).clamp_min(1.0001)))[:, None] * p.covariance[:, [0, 2]]
        low = ((p.means - reach.sqrt()) / tile).floor()
        high = ((p.means + reach.sqrt()) / tile).floor()
    rows = []
    for ty in range(math.ceil(camera.height / tile)):
        columns = []
        for tx in range(math.ceil(camera.width / tile)):
            height, width = min(tile, camera.height - ty * tile), min(tile, camera.width - tx * tile)
            here = (low[:, 0] <= tx) & (high[:, 0] >= tx) & (low[:, 1] <= ty) & (high[:, 1] >= ty)
            inside = (here & (opacities > MIN_ALPHA)).nonzero()[:, 0]
            pixels = pixel_centers(ty * tile, tx * tile, height, width, g.means)
            image = g.means.new_zeros(len(pixels), channels.shape[1])
            if len(inside):
                image = blend_weights(select(p, inside), opacities[inside], pixels) @ channels[inside]
            columns.append(image.view(height, width, -1))
        rows.append(torch.cat(columns, 1))
    image = torch.cat(rows, 0)
    return RenderResult(image[..., :-2], image[..., -2], image[..., -1])
