"""Anchor growth and pruning [SG 4.2]: new anchors where children are pulled about, none where nothing is drawn."""

from __future__ import annotations

import numpy as np
import torch

from ig_ros.config import SeedingConfig, TrainingConfig
from ig_ros.scaffold.anchors import AnchorStore, NewAnchors
from ig_ros.scaffold.rotations import rotate
from ig_ros.scaffold.seeding import not_among, voxel_keys


@torch.no_grad()
def grow(anchors: AnchorStore, config: TrainingConfig, seeding: SeedingConfig, generator: torch.Generator) -> int:
    """Plant anchors at children whose mean 2D positional gradient is high; returns how many.

    Level m asks for growth_gradient * 2^m and puts its anchors, with probability 1 - 0.5^(m+1), into cells of
    growth_coarsest / growth_ratio^m units where no anchor stands (METHOD 1). A child that was asked starts a new count;
    one drawn too rarely goes on counting, as in [SG].
    """
    data = anchors.data
    count = data["gradient_count"]
    asked = count > config.growth_seen
    mean = torch.where(asked, data["gradient_sum"] / count.clamp_min(1), 0.0)
    mean[data["visits"] > config.growth_visits] = 0.0  # old ground has had its say: a standing robot's map settles
    planted: list[NewAnchors] = []  # appended together: every append copies the whole map
    room = seeding.max_anchors - len(anchors)
    for level in range(config.growth_levels):
        lucky = torch.rand(mean.shape, generator=generator).to(mean) < 1 - 0.5 ** (level + 1)
        parent, child = ((mean > config.growth_gradient * 2**level) & lucky).nonzero().unbind(1)
        cell = config.growth_coarsest / config.growth_ratio**level
        unit = anchors.data["edge"][parent]
        edges = cell * (unit if config.growth_grid == "anchor" else torch.full_like(unit, seeding.voxel))
        for edge in sorted(set(edges.tolist())):
            mine = edges == edge
            new = _free_cells(anchors, planted, parent[mine], child[mine], edge, config)
            if new is not None and room > 0:
                planted.append(new.first(room))
                room -= len(planted[-1].position)
    for name in ("gradient_sum", "gradient_count"):
        data[name][asked] = 0.0
    if not planted:
        return 0
    new = NewAnchors.together(planted)
    anchors.append(new)
    return len(new.position)


def _free_cells(
    anchors: AnchorStore,
    planted: list[NewAnchors],
    parent: torch.Tensor,
    child: torch.Tensor,
    edge: float,
    config: TrainingConfig,
) -> NewAnchors | None:
    """New rows for the proposing children (parent, child) (p,), one per cell of `edge` metres in which nothing stands.

    Nothing: none of the anchors, and none that is about to be planted.
    The embedding is the maximum over the proposers of a cell [SG]; colour, owner and, where labels are to stay where
    they were (METHOD 7.4), the instance feature are those of the first proposer. None where every cell is taken.
    """
    data, parameters = anchors.data, anchors.parameters
    scale = parameters["log_scale"][parent, :3].exp()
    offset = parameters["offsets"][parent, child] * scale
    if anchors.turned:
        offset = rotate(data["turn"][parent], offset)
    points = data["position"][parent] + offset
    standing = torch.cat([data["position"], *(new.position for new in planted)]).cpu().numpy()
    taken = voxel_keys(standing, edge)
    keys = voxel_keys(points.cpu().numpy(), edge)
    unique, first, group = np.unique(keys, return_index=True, return_inverse=True)
    free = not_among(unique, taken)
    if not free.any():
        return None
    group_t, free_t = torch.from_numpy(group).to(parent), torch.from_numpy(free).to(parent.device)
    proposals = parameters["embedding"][parent]
    strongest = proposals.new_full((len(unique), proposals.shape[1]), -torch.inf)
    strongest.scatter_reduce_(0, group_t[:, None].expand_as(proposals), proposals, "amax")
    chosen = torch.from_numpy(first).to(parent)[free_t]
    position, sires = points[chosen], parent[chosen]
    feature = parameters["feature"][sires]
    if feature.dim() == 3:
        feature = feature[torch.arange(len(sires)), child[chosen]]
    return NewAnchors(
        position=((position / edge).floor() + 0.5) * edge if config.growth_grid == "map" else position,
        color=torch.sigmoid(parameters["color"][sires]),
        edge=torch.full((len(sires),), edge),
        owner=data["owner"][sires],
        embedding=strongest[free_t],
        feature=feature if config.growth_feature == "parent" else None,
        turn=data["turn"][sires],
    )


@torch.no_grad()
def prune(anchors: AnchorStore, config: TrainingConfig) -> int:
    """Drop anchors whose mean summed opacity fell below prune_opacity after prune_visits visits; returns how many."""
    data = anchors.data
    drop = (data["visits"] > config.prune_visits) & (data["opacity"] < config.prune_opacity)
    dropped = int(drop.sum())
    if dropped:
        anchors.keep(~drop)
    return dropped
