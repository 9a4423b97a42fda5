"""Bottom-up instantiation: anchors and masks in, objects with lasting ids out."""

from ig_ros.instances.held import Children
from ig_ros.instances.identity import Identity
from ig_ros.instances.instantiate import Instantiation, Instantiator, instantiate
from ig_ros.instances.observations import LabelledView
from ig_ros.instances.subobjects import PointSet

__all__ = ["Children", "Identity", "Instantiation", "Instantiator", "LabelledView", "PointSet", "instantiate"]
