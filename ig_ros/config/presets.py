"""Values by name that differ from the defaults, chosen with the parameter `preset`; what is set explicitly wins."""

from __future__ import annotations

PAPER: dict[str, object] = {  # InstanceGaussian's own values [IG 3-4, SG 4, OG 3], for 30,000 steps offline
    # all frames, RGB alone decides how often a view is used: uniformly
    "keyframes.min_translation": 0.0,
    "keyframes.min_rotation": 0.0,
    "keyframes.capacity": 100_000,
    "input.max_width": 648,  # half of ScanNet's images
    "training.replay_recent": 0.0,
    "training.replay_hard": 0.0,
    # anchors: none coarser for being far. The authors take one per point of a given cloud; here depth is the cloud, so
    # seeding.voxel and seeding.stride (2 cm and every second pixel, as by default) say how dense it is
    "seeding.voxel_per_depth": 0.0,
    "seeding.max_anchors": 100_000_000,
    "scaffold.view_dependent_geometry": True,
    "scaffold.start": "blank",
    # learning rates and losses
    "training.decay_steps": 30_000,
    "training.lr_mlp_floor": 1.0,
    "training.lr_feature": 1e-3,
    "training.scale_unit": "metre",
    "training.depth_weight": 0.0,
    # progressive training: 10k appearance, 10k independent, 10k joint
    "training.phases": "step",
    "training.warmup_visits": 10_000,
    "training.joint_visits": 20_000,
    # growth from step 1500 to half of the run on grids of 16, 4 and 1 voxels
    "training.growth_from": 1500,
    "training.growth_until": 15_000,
    "training.growth": "map",
    # instantiation
    "instances.lloyd_steps": 0,
    "instances.voxel": 0.1,
    "instances.feature_gap": 0.1,
    "instances.min_anchors": 10,
    "instances.refine_steps": 10_000,  # [IG eq. 5], at every instantiation: for a run that groups once, at its end
}

ROOM: dict[str, object] = {  # a few metres, seen from inside
    "keyframes.min_translation": 0.1,
    "keyframes.min_rotation": 8.0,
    "seeding.voxel": 0.03,
}

TABLETOP: dict[str, object] = {  # things of some centimetres, seen from an arm's length or two
    "input.max_depth": 4.0,
    "keyframes.min_translation": 0.03,
    "seeding.voxel": 0.015,
}

PRESETS: dict[str, dict[str, object]] = {"paper": PAPER, "room": ROOM, "tabletop": TABLETOP}
