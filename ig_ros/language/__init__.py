"""Words for objects: encoders, association of masks with objects, text queries."""

from ig_ros.language.association import Description, MaskObservation, describe, learn_threshold
from ig_ros.language.encoders import (
    Encoder,
    ImageEncoder,
    LabelEncoder,
    embed_masks,
    foreign,
    make_encoder,
    make_image_encoder,
)
from ig_ros.language.naming import Vocabulary
from ig_ros.language.ranking import rank
from ig_ros.language.viewpoint import Scope, Viewpoint

__all__ = [
    "Description",
    "Encoder",
    "ImageEncoder",
    "LabelEncoder",
    "MaskObservation",
    "Scope",
    "Viewpoint",
    "Vocabulary",
    "describe",
    "embed_masks",
    "foreign",
    "learn_threshold",
    "make_encoder",
    "make_image_encoder",
    "rank",
]
