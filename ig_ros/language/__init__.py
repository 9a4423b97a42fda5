"""Words for objects: encoders, association of masks with objects, text queries."""

from ig_ros.language.association import Description, Sighting, describe
from ig_ros.language.encoders import Encoder, ImageEncoder, LabelEncoder, embed_masks, make_encoder
from ig_ros.language.query import rank

__all__ = [
    "Description",
    "Encoder",
    "ImageEncoder",
    "LabelEncoder",
    "Sighting",
    "describe",
    "embed_masks",
    "make_encoder",
    "rank",
]
