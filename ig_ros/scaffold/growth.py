"""Anchor growth and pruning [SG 4.2]: new anchors where children are pulled about, none where nothing is drawn."""

from __future__ import annotations

import numpy as np
import torch

from ig_ros.config import TrainingConfig
from ig_ros.scaffold.anchors import AnchorStore, NewAnchors
from ig_ros.scaffold.seeding import voxel_keys

LEVELS = 3  # grids of edge, edge / 2, edge / 4 of the proposing anchor
MIN_SEEN = 5  # children seen in fewer steps of the interval propose nothing


@torch.no_grad()
def grow(anchors: AnchorStore, config: TrainingConfig, max_anchors: int, generator: torch.Generator) -> int:
    """Plant anchors at children whose mean 2D positional gradient is high; returns how many, and starts a new count.

    Level m asks for growth_gradient * 2^m and puts its anchors on a grid 2^m finer than the proposer's own voxel,
    where no anchor stands, with probability 1 - 0.5^(m+1) (METHOD 1).
    """
    data = anchors.data
    count = data["gradient_count"]
    mean = data["gradient_sum"] / count.clamp_min(1)
    mean[count < MIN_SEEN] = 0.0
    mean[data["visits"] > config.growth_visits] = 0.0  # old ground has had its say: a standing robot's map settles
    planted = 0
    for level in range(LEVELS):
        lucky = torch.rand(mean.shape, generator=generator).to(mean) < 1 - 0.5 ** (level + 1)
        parent, child = ((mean > config.growth_gradient * 2**level) & lucky).nonzero().unbind(1)
        for new in _free_cells(anchors, parent, child, level):
            new = new.first(max(max_anchors - len(anchors), 0))
            anchors.append(new)
            planted += len(new.position)
            missing = len(anchors) - len(mean)
            mean = torch.cat([mean, mean.new_zeros(missing, mean.shape[1])])
    data["gradient_sum"].zero_()
    data["gradient_count"].zero_()
    return planted


def _free_cells(anchors: AnchorStore, parent: torch.Tensor, child: torch.Tensor, level: int) -> list[NewAnchors]:
    """New rows for the proposing children (parent, child), one per free cell, one entry per grid size.

    The embedding is the maximum over the proposers of a cell [SG]; colour, instance feature and owner are those of the
    first proposer, so that labels stay where they were (METHOD 7.4).
    """
    data, parameters = anchors.data, anchors.parameters
    scale = parameters["log_scale"][parent, :3].exp()
    points = data["position"][parent] + parameters["offsets"][parent, child] * scale
    edges = data["edge"][parent] / 2**level
    found = []
    for edge in edges.unique().tolist():
        mine = (edges == edge).nonzero()[:, 0]
        taken = voxel_keys(data["position"].cpu().numpy(), np.full(len(anchors), edge))
        keys = voxel_keys(points[mine].cpu().numpy(), np.full(len(mine), edge))
        unique, first, group = np.unique(keys, return_index=True, return_inverse=True)
        free = ~np.isin(unique, taken)
        if not free.any():
            continue
        group_t = torch.from_numpy(group).to(parent)
        proposals = parameters["embedding"][parent[mine]]
        strongest = proposals.new_full((len(unique), proposals.shape[1]), -torch.inf)
        strongest.scatter_reduce_(0, group_t[:, None].expand_as(proposals), proposals, "amax")
        free_t = torch.from_numpy(free).to(parent.device)
        chosen = mine[torch.from_numpy(first).to(parent)[free_t]]
        sires = parent[chosen]
        found.append(
            NewAnchors(
                position=points[chosen],
                color=torch.sigmoid(parameters["color"][sires]),
                edge=torch.full((len(sires),), edge),
                owner=data["owner"][sires],
                embedding=strongest[free_t],
                feature=parameters["feature"][sires],
            )
        )
    return found


@torch.no_grad()
def prune(anchors: AnchorStore, config: TrainingConfig) -> int:
    """Drop anchors whose mean summed opacity fell below prune_opacity after prune_visits visits; returns how many."""
    data = anchors.data
    drop = (data["visits"] > config.prune_visits) & (data["opacity"] < config.prune_opacity)
    dropped = int(drop.sum())
    if dropped:
        anchors.keep(~drop)
    return dropped
