"""The parameters of the core: one frozen dataclass per stage holds their defaults, descriptions and ranges.

`Config.from_dict` refuses unknown keys, wrong types and values out of range by name. The ROS node declares its
parameters by walking these dataclasses (`leaves`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ig_ros.config.presets import PRESETS
from ig_ros.config.schema import build, param
from ig_ros.registries import ENCODERS, SEGMENTERS

ALIASES = {"segmenter": "segmentation.segmenter"}  # the one choice inside a group that every user meets


@dataclass(frozen=True, slots=True)
class InputConfig:
    """How an incoming frame is reduced before it is used."""

    max_width: int = param(320, "images are reduced to this width before training, px", 64, 4096)
    min_depth: float = param(0.1, "depth below this is ignored, m", 0.0, 10.0)
    max_depth: float = param(8.0, "depth beyond this is ignored, m", 0.1, 1000.0)
    use_depth: bool = param(True, "use depth images where they come")


@dataclass(frozen=True, slots=True)
class KeyframeConfig:
    """Which frames are kept for training."""

    min_translation: float = param(0.05, "a keyframe after this much motion, m", 0.0, 100.0)
    min_rotation: float = param(5.0, "... or this much rotation, deg", 0.0, 180.0)
    new_area: float = param(0.2, "... or when more than this share of its depth shows ground not seen before", 0.0, 1.0)
    blur_ratio: float = param(0.3, "refused: sharpness below this share of the images' before; 0 = none", 0.0, 1.0)
    max_speed: float = param(10.0, "a pose that jumps faster than this is refused, m/s", 0.01, 1e6)
    capacity: int = param(600, "keyframes held in memory; the least informative one goes first", 2, 100000)


@dataclass(frozen=True, slots=True)
class DepthConfig:
    """Depth that may lie beside its colour."""

    calibrate: str = param(
        "check",
        "check: whether edges of depth lie on edges of colour is told from the first keyframes; off: it is not",
        choices=("off", "check"),
    )


@dataclass(frozen=True, slots=True)
class PosesConfig:
    """Poses that disagree with the map."""

    refine: str = param(
        "off",
        "auto: a keyframe with measured depth is moved to where it lies on what those before it measured, for poses "
        "that drift or shake by centimetres; off: the poses are taken as they come",
        choices=("off", "auto"),
    )
    answer_frame: str = param(
        "robot",
        "what leaves the node lies where the robot believes it to be by its newest poses; map: where the map has it, "
        "see ig/map_correction",
        choices=("robot", "map"),
    )


@dataclass(frozen=True, slots=True)
class SeedingConfig:
    """Where new anchors are planted."""

    voxel: float = param(0.02, "at most one anchor per voxel of this edge near the camera, m", 1e-3, 1.0)
    voxel_per_depth: float = param(0.015, "the voxel grows with distance: edge >= this x depth", 0.0, 0.2)
    alpha_threshold: float = param(0.5, "seed where the rendered opacity is below this", 0.0, 1.0)
    depth_margin: float = param(0.03, "... or where measured depth stands before the model by this share", 0.0, 1.0)
    gap_margin: float = param(0.05, "... or behind it by this share: what the map covers may be missing", 0.0, 1.0)
    max_anchors: int = param(200000, "no anchors are added beyond this number", 100, 100_000_000)
    stereo_steps: int = param(96, "RGB only: inverse depths the plane sweep tries", 8, 1024)
    stereo_min_parallax: float = param(
        1.5, "RGB only: the widest baseline sees a trusted pixel under at least this angle, deg", 0.1, 45.0
    )
    stereo_min_contrast: float = param(
        2.0, "RGB only: any other depth of a trusted pixel costs at least this many times as much", 1.0, 100.0
    )


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """Which anchors are removed, and which are moved to disk when the map outgrows seeding.max_anchors."""

    reach: float = param(10.0, "anchors this near to the newest keyframe stay in memory, m", 0.1, 10000.0)
    tile: float = param(2.0, "edge of the cells in which anchors travel, m", 0.1, 1000.0)
    vanish_after: int = param(
        3, "anchors that so many keyframes in a row look through are removed: the thing was moved; 0 = never", 0, 1000
    )
    directory: str = param("", "tiles are written below this directory; empty = that of temporary files")


@dataclass(frozen=True, slots=True)
class ScaffoldConfig:
    """The Semantic-Scaffold Gaussian representation [IG 3.2, SG]."""

    children: int = param(5, "Gaussians per anchor (k)", 1, 32)
    embedding: int = param(32, "length of the appearance embedding", 4, 256)
    feature: int = param(6, "length of the instance feature", 2, 64)
    hidden: int = param(32, "hidden width of the decoding MLPs", 8, 512)
    min_opacity: float = param(0.05, "children below this opacity are not exported, queried or voted on", 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Losses, learning rates (per step), phases, replay and growth."""

    lr_feature: float = param(0.01, "learning rate of instance features; a tenth of it in the joint phase", 0.0, 1.0)
    lr_mlp_floor: float = param(10.0, "opacity and colour MLP decay to this x 2e-5 and 5e-5 (the paper: 1)", 0.0, 100.0)
    decay_steps: int = param(4000, "steps over which decaying rates reach their final value", 1, 10_000_000)
    ssim_weight: float = param(0.2, "colour loss = (1 - w) L1 + w (1 - SSIM)", 0.0, 1.0)
    depth_weight: float = param(0.1, "weight of the depth loss, where depth exists", 0.0, 100.0)
    contrast_weight: float = param(1.0, "weight of the contrast loss between masks", 0.0, 100.0)
    smooth_weight: float = param(0.1, "weight of the smoothness loss inside masks", 0.0, 100.0)
    truncation: float = param(
        0.4,
        "joint phase: mask means further apart than this are not pushed [IG eq. 3]; 0.632 = the authors' code, which "
        "compares the squared distance with 0.4",
        0.0,
        2.0,
    )
    phases: str = param(
        "age",
        "the three phases go by an anchor's own visits (online) or by the map's training steps (offline, the paper)",
        choices=("age", "step"),
    )
    warmup_visits: int = param(
        60, "visits or steps (see phases) before an anchor's instance feature is trained: phase 1", 0, 1_000_000
    )
    joint_visits: int = param(
        300, "visits or steps (see phases) before semantics also move an anchor's geometry: phase 3", 0, 1_000_000
    )
    replay_recent: float = param(0.4, "share of steps on the ten newest keyframes", 0.0, 1.0)
    replay_hard: float = param(0.4, "share of steps on keyframes with high loss or long unused", 0.0, 1.0)
    growth_from: int = param(200, "first step with growth and pruning", 0, 10_000_000)
    growth_every: int = param(100, "steps between growth and pruning", 1, 1_000_000)
    growth_gradient: float = param(0.0002, "grow above this mean 2D gradient (normalised image units)", 0.0, 1.0)
    prune_opacity: float = param(0.005, "anchors whose mean summed opacity stays below this are pruned", 0.0, 1.0)
    seed: int = param(0, "seed of every random choice", 0, 2_000_000_000)


@dataclass(frozen=True, slots=True)
class InstanceConfig:
    """Bottom-up instantiation [IG 3.3 Alg. 1] with the view-consensus witness [MC]."""

    interval: float = param(5.0, "least seconds between two instantiations of the live map", 0.1, 3600.0)
    sub_objects: int = param(1000, "sub-objects of the over-segmentation (S)", 10, 100000)
    voxel: float = param(0.02, "sub-objects whose voxels of this edge touch are neighbours, m", 1e-3, 1.0)
    feature_gap: float = param(0.15, "feature distance (half space) at which features do not decide (gamma)", 0.0, 2.0)
    feature_trust: float = param(0.6, "weight of the feature witness in units of one fully observed view", 0.0, 100.0)
    feature_share: float = param(
        1.0,
        "weight of features that are all but the same, or differ between a small and a large sub-object, as a share of "
        "the views that see both",
        0.0,
        10.0,
    )
    boundary_trust: float = param(
        0.6, "weight of a crease or colour step between sub-objects, as a share of the views that see both", 0.0, 10.0
    )
    min_points: int = param(6, "a sub-object takes part in a view with at least this many visible points", 1, 1000)
    dominance: float = param(0.6, "... of which this share lies in one mask", 0.0, 1.0)
    merge_threshold: float = param(0.5, "merge while the best edge's consensus exceeds this", 0.0, 1.0)
    min_anchors: int = param(4, "smaller instances are noise", 1, 100000)
    min_views: int = param(2, "instances recognised in fewer keyframes are noise and have no language", 1, 1000)
    vote_neighbors: int = param(7, "neighbours over which mask votes are smoothed", 1, 64)
    depth_tolerance: float = param(0.03, "a point within this share of the view's depth is visible", 0.0, 1.0)
    max_views: int = param(160, "keyframes that vote at most (spread evenly)", 1, 100000)


@dataclass(frozen=True, slots=True)
class LanguageConfig:
    """Encoders and queries."""

    encoder: str = param(
        "sentence",
        "sentence: MiniLM over mask labels; open_clip: image crops; fused: both",
        choices=("none", *ENCODERS),
    )
    clip_model: str = param("ViT-B-16", "open_clip model name")
    clip_checkpoint: str = param("laion2b_s34b_b88k", "open_clip pretrained tag or path of a checkpoint file")
    min_score: float = param(0.0, "score below which a thing is not there; 0: learnt for every map, else 0.5", 0.0, 1.0)
    learn_threshold: bool = param(True, "learn for every map from canonical phrases what means: not there")
    accept: float = param(
        0.2,
        "a mask describes an instance when the IoU of their visible points exceeds this; masks under 0.2 never do",
        0.0,
        1.0,
    )


@dataclass(frozen=True, slots=True)
class SegmentationConfig:
    """2D masks for frames that come without any."""

    segmenter: str = param("none", "makes masks where none are sent", choices=("none", *SEGMENTERS))
    detector_model: str = param("", "path of a TFLite object detector (SSD); its labels in NAME.txt beside NAME.tflite")
    exhaustive: str = param(
        "auto",
        "masks show everything (true), or targets only: what is on none is background (false); auto = by the masks",
        choices=("true", "false", "auto"),
    )
    sam_checkpoint: str = param("", "path of a segment-anything checkpoint (sam_vit_b_01ec64.pth, ...)")
    sam_model: str = param("vit_b", "the segment-anything checkpoint's model", choices=("vit_b", "vit_l", "vit_h"))
    sam2_checkpoint: str = param("", "path of a SAM 2.1 checkpoint (sam2.1_hiera_tiny.pt, ...)")
    sam2_model: str = param(
        "tiny", "which SAM 2.1 model the checkpoint is", choices=("tiny", "small", "base_plus", "large")
    )
    sam_level: str = param(
        "whole",
        "of the three masks SAM offers at a point (part, object, group) the largest, or all with small ones on top",
        choices=("whole", "all"),
    )
    sam_points_per_side: int = param(24, "prompt grid of segment-anything and SAM 2", 1, 128)
    min_region: int = param(150, "regions under this many pixels (at 640x480) are dropped", 1, 1000000)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the core needs."""

    preset: str = param(
        "none",
        "values to start from, see config/presets.py; what is set (in a node: to another value than its default) wins",
        choices=("none", *PRESETS),
    )
    device: str = param("auto", "torch device: auto takes CUDA where it works", choices=("auto", "cpu", "cuda"))
    threads: int = param(0, "CPU threads for training, 0 = all cores", 0, 1024)
    ignore_labels: tuple[str, ...] = param(("",), "what masks of these names show is no scene: robot, person, ...")
    input: InputConfig = field(default_factory=InputConfig)
    keyframes: KeyframeConfig = field(default_factory=KeyframeConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    poses: PosesConfig = field(default_factory=PosesConfig)
    seeding: SeedingConfig = field(default_factory=SeedingConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    scaffold: ScaffoldConfig = field(default_factory=ScaffoldConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    instances: InstanceConfig = field(default_factory=InstanceConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    segmentation: SegmentationConfig = field(default_factory=SegmentationConfig)

    @staticmethod
    def expand(values: Mapping[str, Any]) -> dict[str, Any]:
        """The values after those of the preset they name, with aliases by their full names."""
        preset = PRESETS.get(str(values.get("preset")), {})
        return {**preset, **{ALIASES.get(str(key), str(key)): value for key, value in values.items()}}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Config:
        """Build from nested or dotted keys; absent ones keep the preset's value or the default. Raises ConfigError."""
        config: Config = build(Config, values)
        return config
