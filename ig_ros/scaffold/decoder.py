"""From anchors to Gaussians: the three shared MLPs of Scaffold-GS [SG 4.1]."""

from __future__ import annotations

import torch
from torch import nn

from ig_ros.config import ScaffoldConfig
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
            self.opacity[-1].bias.fill_(float(torch.atanh(torch.tensor(INITIAL_OPACITY))))
            self.covariance[-1].bias.zero_()
            self.covariance[-1].bias.view(k, 7)[:, 3] = 1.0
            self.color[-1].weight.mul_(0.1)
            self.color[-1].bias.zero_()

    def forward(
        self,
        leaves: dict[str, torch.Tensor],
        position: torch.Tensor,
        rows: torch.Tensor,
        center: torch.Tensor,
        with_feature: bool,
    ) -> tuple[GaussianBatch, torch.Tensor]:
        """Children of the gathered anchors `leaves` (n rows of the store's parameters) seen from `center` (3,) m.

        position (n, 3) m, rows (n,) are the anchors' rows in the store. Children whose opacity is <= 0 are left out.
        The features are colour (3) and, if asked for, the instance feature mapped to (f^ + 1) / 2 [OG].
        Returns the Gaussians and, for each, its place (row in `leaves` * k + child) among the n*k children.
        """
        k = self.config.children
        n = len(position)
        e = leaves["embedding"]
        seen = e
        if self.config.view_dependent_geometry or self.config.view_dependent_color:
            direction = nn.functional.normalize(position - center, dim=1)
            seen = torch.cat([e, direction], dim=1)
        shape_input = seen if self.config.view_dependent_geometry else e
        opacity = torch.tanh(self.opacity(shape_input)).reshape(n * k)
        drawn = (opacity.detach() > 0).nonzero()[:, 0]
        parent = drawn // k
        shape = self.covariance(shape_input).view(n * k, 7)[drawn]
        color = self.color(seen if self.config.view_dependent_color else e).view(n * k, 3)[drawn]
        scale = leaves["log_scale"].exp()
        offset = leaves["offsets"].reshape(n * k, 3)[drawn] * scale[parent, :3]
        features = [torch.sigmoid(color + leaves["color"][parent])]
        if with_feature:
            unit = nn.functional.normalize(leaves["feature"], dim=1)
            features.append(((unit + 1) / 2)[parent])
        gaussians = GaussianBatch(
            means=position[parent] + offset,
            quats=nn.functional.normalize(shape[:, 3:], dim=1),
            scales=scale[parent, 3:] * torch.sigmoid(shape[:, :3]),
            opacities=opacity[drawn],
            features=torch.cat(features, dim=1),
            anchors=rows[parent],
        )
        return gaussians, drawn


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
