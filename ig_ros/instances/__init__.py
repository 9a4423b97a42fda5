"""Bottom-up instantiation: anchors and masks in, objects with lasting ids out."""

from ig_ros.instances.identity import Identity
from ig_ros.instances.instantiate import Children, Instantiation, instantiate
from ig_ros.instances.observations import LabelledView
from ig_ros.instances.subobjects import PointSet

__all__ = ["Children", "Identity", "Instantiation", "LabelledView", "PointSet", "instantiate"]
