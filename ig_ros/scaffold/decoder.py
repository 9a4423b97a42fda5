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

INITIAL_OPACITY = 0.4


class Decoder(nn.Module):
    """Decodes the k children of each anchor from its embedding and, where the config says so, the view direction."""

    def __init__(self, config: ScaffoldConfig) -> None:
        super().__init__()
        self.config = config
        e, k = config.embedding, config.children
        geometry_in = e + 3 if config.view_dependent_geometry else e
        color_in = e + 3 if config.view_dependent_color else e
        self.opacity = _mlp(geometry_in, config.hidden, k)
        self.covariance = _mlp(geometry_in, config.hidden, 7 * k)
        self.color = _mlp(color_in, config.hidden, 3 * k)
        with torch.no_grad():
            # tanh opacity starts clearly drawn, shapes start round, colour starts at the anchor's own.
            opacity, covariance, color = (_last(mlp) for mlp in (self.opacity, self.covariance, self.color))
            opacity.bias.fill_(math.atanh(INITIAL_OPACITY))
            covariance.bias.zero_()
            covariance.bias.view(k, 7)[:, 3] = 1.0
            color.weight.mul_(0.1)
            color.bias.zero_()

    @cached_property
    def weights(self) -> list[nn.Parameter]:
        """Weight and bias of two layers each of the opacity, covariance and colour MLP."""
        return [p for mlp in (self.opacity, self.covariance, self.color) for p in mlp.parameters()]

    def forward(
        self,
        leaves: dict[str, torch.Tensor],
        position: torch.Tensor,
        rows: torch.Tensor,
        center: torch.Tensor,
        with_feature: bool,
        turn: torch.Tensor | None = None,
    ) -> GaussianBatch:
        """Children of the gathered anchors `leaves` (n rows of the store's parameters) seen from `center` (3,) m.

        position (n, 3) m, rows (n,) are the anchors' rows in the store. All n * k children are returned, child c of
        anchor i at i * k + c: broadcasting over the children is far cheaper than picking the drawn ones, and those
        with opacity 0 (tanh <= 0) cost the rasteriser nothing. The features are colour (3) and, if asked for, the
        instance feature mapped to (f^ + 1) / 2 [OG]. `turn` (n, 4) unit wxyz rotates offsets, shapes and the view
        direction of anchors whose keyframe's pose was corrected.
        """
        if position.device.type != "cpu" or leaves["offsets"].dtype != torch.float32:
            return self.reference(leaves, position, rows, center, with_feature, turn)
        c = self.config
        geometry, color = c.view_dependent_geometry, c.view_dependent_color
        x, y, z = center.tolist()
        gathered = AnchorLeaves(
            leaves["offsets"],
            leaves["log_scale"],
            leaves["embedding"],
            leaves["color"] if c.anchor_color else None,
            leaves["feature"] if with_feature else None,
        )
        request = DecodeRequest(position, turn, (x, y, z), (geometry, geometry, color))
        owners = rows[:, None].expand(-1, c.children).reshape(-1)
        return GaussianBatch(*decode(request, gathered, self.weights), anchors=owners)

    def reference(
        self,
        leaves: dict[str, torch.Tensor],
        position: torch.Tensor,
        rows: torch.Tensor,
        center: torch.Tensor,
        with_feature: bool,
        turn: torch.Tensor | None = None,
    ) -> GaussianBatch:
        """The same in plain torch, for other devices and as the truth of the test."""
        k, n = self.config.children, len(position)
        e = leaves["embedding"]
        seen = e
        if self.config.view_dependent_geometry or self.config.view_dependent_color:
            direction = nn.functional.normalize(position - center, dim=1)
            if turn is not None:
                direction = rotations.rotate(rotations.undo(turn), direction)
            seen = torch.cat([e, direction], dim=1)
        shape_input = seen if self.config.view_dependent_geometry else e
        shape = self.covariance(shape_input).view(n, k, 7)
        color = self.color(seen if self.config.view_dependent_color else e).view(n, k, 3)
        scale = leaves["log_scale"].exp()[:, None]
        features = [torch.sigmoid(color + leaves["color"][:, None] if self.config.anchor_color else color)]
        if with_feature:
            half = (nn.functional.normalize(leaves["feature"], dim=-1) + 1) / 2
            features.append(half if self.config.feature_per_child else half[:, None].expand(n, k, -1))
        offsets, quats = leaves["offsets"] * scale[..., :3], shape[..., 3:]
        if turn is not None:
            offsets, quats = (
                rotations.rotate(turn[:, None], offsets),
                rotations.compose(turn[:, None], quats),
            )
        return GaussianBatch(
            means=(position[:, None] + offsets).view(n * k, 3),
            quats=quats.reshape(n * k, 4),
            scales=(scale[..., 3:] * torch.sigmoid(shape[..., :3])).view(n * k, 3),
            opacities=torch.tanh(self.opacity(shape_input)).clamp_min(0.0).view(n * k),
            features=torch.cat(features, dim=2).flatten(0, 1),
            anchors=rows.repeat_interleave(k),
        )


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def _last(mlp: nn.Sequential) -> nn.Linear:
    layer = mlp[-1]
    assert isinstance(layer, nn.Linear)
    return layer
