"""From anchors to Gaussians: the three shared MLPs of Scaffold-GS [SG 4.1]."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import nn

from ig_ros.config import ScaffoldConfig
from ig_ros.raster.anchor_decoding import AnchorLeaves, DecodeRequest, decode
from ig_ros.scaffold import rotations
from ig_ros.types import GaussianBatch

DIRECTED = (False, False, True)  # which MLP sees the view direction: opacity, covariance, colour
INITIAL_OPACITY = 0.4  # of a new child: drawn at once, and what stands behind it is still seen


class Decoder(nn.Module):
    """Decodes the k children of each anchor; colour depends on the view direction, the shape does not."""

    def __init__(self, config: ScaffoldConfig) -> None:
        super().__init__()
        self.config = config
        e, k = config.embedding, config.children
        self.opacity = _mlp(e, config.hidden, k)
        self.covariance = _mlp(e, config.hidden, 7 * k)
        self.color = _mlp(e + 3, config.hidden, 3 * k)
        with torch.no_grad():
            # Shapes start round, colour starts near the anchor's own.
            opacity, covariance, color = (_last(mlp) for mlp in (self.opacity, self.covariance, self.color))
            opacity.bias.fill_(math.atanh(INITIAL_OPACITY))
            covariance.bias.zero_()
            covariance.bias.view(k, 7)[:, 3] = 1.0
            color.weight.mul_(0.1)
            color.bias.zero_()

    @cached_property
    def weights(self) -> list[nn.Parameter]:
        """Returns weight and bias of two layers each of the opacity, covariance and colour MLP."""
        return [p for mlp in (self.opacity, self.covariance, self.color) for p in mlp.parameters()]

    def forward(
        self,
        leaves: dict[str, torch.Tensor],
        position: torch.Tensor,
        rows: torch.Tensor,
        center: torch.Tensor,
        with_feature: bool,
        rotation: torch.Tensor | None = None,
    ) -> GaussianBatch:
        """Returns the children of the gathered anchors `leaves` (n rows of the store) seen from `center` (3,) m.

        position (n, 3) m, rows (n,) are the anchors' rows in the store. All n * k children are returned, child c of
        anchor i at i * k + c; those with opacity 0 (tanh <= 0) are skipped by the rasteriser. The features are colour
        (3) and, if asked for, the instance feature mapped to (f^ + 1) / 2 [OG]. `rotation` (n, 4) unit wxyz rotates
        offsets, shapes and the view direction of anchors whose keyframe's pose was corrected.
        """
        if position.device.type != "cpu" or leaves["offsets"].dtype != torch.float32:
            return self.reference(leaves, position, rows, center, with_feature, rotation)
        c, (x, y, z) = self.config, center.tolist()
        gathered = AnchorLeaves(
            leaves["offsets"],
            leaves["log_scale"],
            leaves["embedding"],
            leaves["color"],
            leaves["feature"] if with_feature else None,
        )
        request = DecodeRequest(position, rotation, (x, y, z), DIRECTED)
        owners = rows[:, None].expand(-1, c.children).reshape(-1)
        return GaussianBatch(*decode(request, gathered, self.weights), anchors=owners)

    def reference(
        self,
        leaves: dict[str, torch.Tensor],
        position: torch.Tensor,
        rows: torch.Tensor,
        center: torch.Tensor,
        with_feature: bool,
        rotation: torch.Tensor | None = None,
    ) -> GaussianBatch:
        """Does the same in plain torch: for other devices, and what the tests compare with."""
        k, n = self.config.children, len(position)
        direction = nn.functional.normalize(position - center, dim=1)
        if rotation is not None:
            direction = rotations.rotate(rotations.inverse(rotation), direction)
        seen = torch.cat([leaves["embedding"], direction], dim=1)
        shape = self.covariance(leaves["embedding"]).view(n, k, 7)
        color = self.color(seen).view(n, k, 3)
        scale = leaves["log_scale"].exp()[:, None]
        features = [torch.sigmoid(color + leaves["color"][:, None])]
        if with_feature:
            half = (nn.functional.normalize(leaves["feature"], dim=-1) + 1) / 2
            features.append(half[:, None].expand(n, k, -1))
        offsets, quats = leaves["offsets"] * scale[..., :3], shape[..., 3:]
        if rotation is not None:
            offsets = rotations.rotate(rotation[:, None], offsets)
            quats = rotations.compose(rotation[:, None], quats)
        return GaussianBatch(
            means=(position[:, None] + offsets).view(n * k, 3),
            quats=quats.reshape(n * k, 4),
            scales=(scale[..., 3:] * torch.sigmoid(shape[..., :3])).view(n * k, 3),
            opacities=torch.tanh(self.opacity(leaves["embedding"])).clamp_min(0.0).view(n * k),
            features=torch.cat(features, dim=2).flatten(0, 1),
            anchors=rows.repeat_interleave(k),
        )


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def _last(mlp: nn.Sequential) -> nn.Linear:
    layer = mlp[-1]
    assert isinstance(layer, nn.Linear)
    return layer
