"""Anchor growth and pruning [SG 4.2]: new anchors where children have high gradients, none where nothing is drawn."""

from __future__ import annotations

import numpy as np
import torch

from ig_ros.config import SeedingConfig, TrainingConfig
from ig_ros.scaffold.anchors import AnchorStore, NewAnchors
from ig_ros.scaffold.rotations import rotate
from ig_ros.scaffold.seeding import not_among, voxel_keys

CELLS = (1.0, 0.5, 0.25)  # edge of the cells of each level, in units of the proposer's edge
SEEN = 4  # children propose once drawn in more steps than this since they last did
SETTLED_VISITS = 500  # anchors visited more often propose none: the map of a standing robot settles
PRUNE_VISITS = 80  # an anchor is not pruned before [SG]


@torch.no_grad()
def grow(anchors: AnchorStore, config: TrainingConfig, seeding: SeedingConfig, generator: torch.Generator) -> int:
    """Appends anchors at children whose mean 2D positional gradient is high; returns how many.

    Level m asks for growth_gradient * 2^m and puts its anchors, with probability 1 - 0.5^(m+1), into cells of its size
    where no anchor stands (docs/method.md, section 1). A child that has proposed starts a new count; one drawn too
    rarely goes on counting, as in [SG].
    """
    data = anchors.data
    count = data["gradient_count"]
    asked = count > SEEN
    mean = torch.where(asked, data["gradient_sum"] / count.clamp_min(1), 0.0)
    mean[data["visits"] > SETTLED_VISITS] = 0.0
    planted: list[NewAnchors] = []  # appended together: every append copies the whole map
    room = seeding.max_anchors - len(anchors)
    for level, cell in enumerate(CELLS):
        drawn = torch.rand(mean.shape, generator=generator).to(mean) < 1 - 0.5 ** (level + 1)
        parent, child = ((mean > config.growth_gradient * 2**level) & drawn).nonzero().unbind(1)
        edges = cell * data["edge"][parent]
        for edge in sorted(set(edges.tolist())):
            mine = edges == edge
            new = _free_cells(anchors, planted, parent[mine], child[mine], edge)
            if new is not None and room > 0:
                planted.append(new.first(room))
                room -= len(planted[-1].position)
    for name in ("gradient_sum", "gradient_count"):
        data[name][asked] = 0.0
    if not planted:
        return 0
    new = NewAnchors.concatenate(planted)
    anchors.append(new)
    return len(new.position)


def _free_cells(
    anchors: AnchorStore,
    planted: list[NewAnchors],
    parent: torch.Tensor,
    child: torch.Tensor,
    edge: float,
) -> NewAnchors | None:
    """Returns new rows for the proposing children (parent, child) (p,), one per cell of `edge` metres that is free.

    A cell is free if none of the anchors and none of the planted rows is in it. The embedding is the maximum over the
    proposers of a cell [SG]; position, colour, owner and instance feature are those of the first
    proposer. None where every cell is taken.
    """
    data, parameters = anchors.data, anchors.parameters
    scale = parameters["log_scale"][parent, :3].exp()
    offset = parameters["offsets"][parent, child] * scale
    if anchors.rotated:
        offset = rotate(data["rotation"][parent], offset)
    points = anchors.position[parent.cpu().numpy()] + offset.cpu().numpy()
    taken = voxel_keys(np.concatenate([anchors.position, *(new.position.numpy() for new in planted)]), edge)
    keys = voxel_keys(points, edge)
    unique, first, group = np.unique(keys, return_index=True, return_inverse=True)
    free = not_among(unique, taken)
    if not free.any():
        return None
    group_t, free_t = torch.from_numpy(group).to(parent), torch.from_numpy(free).to(parent.device)
    proposals = parameters["embedding"][parent]
    strongest = proposals.new_full((len(unique), proposals.shape[1]), -torch.inf)
    strongest.scatter_reduce_(0, group_t[:, None].expand_as(proposals), proposals, "amax")
    chosen = torch.from_numpy(first).to(parent)[free_t]
    proposer = parent[chosen]
    return NewAnchors(
        position=torch.from_numpy(points[first[free]]),
        color=torch.sigmoid(parameters["color"][proposer]),
        edge=torch.full((len(proposer),), edge),
        owner=data["owner"][proposer],
        embedding=strongest[free_t],
        feature=parameters["feature"][proposer],
        rotation=data["rotation"][proposer],
    )


@torch.no_grad()
def prune(anchors: AnchorStore, config: TrainingConfig) -> int:
    """Drops anchors whose mean summed opacity is below prune_opacity after PRUNE_VISITS visits; returns how many."""
    data = anchors.data
    drop = (data["visits"] > PRUNE_VISITS) & (data["opacity"] < config.prune_opacity)
    dropped = int(drop.sum())
    if dropped:
        anchors.keep(~drop)
    return dropped
