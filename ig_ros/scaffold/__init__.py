"""The representation and its training: Semantic-Scaffold Gaussians."""

from ig_ros.scaffold.anchors import AnchorStore, NewAnchors
from ig_ros.scaffold.keyframe_selection import KeyframeGate, Verdict
from ig_ros.scaffold.keyframes import Keyframe, KeyframeStore
from ig_ros.scaffold.model import Scaffold
from ig_ros.scaffold.trainer import StepResult, Trainer

__all__ = [
    "AnchorStore", "Keyframe", "KeyframeGate", "KeyframeStore", "NewAnchors", "Scaffold", "StepResult", "Trainer",
    "Verdict",
]  # fmt: skip
