"""Bottom-up instantiation: anchors and masks in, objects with lasting ids out."""

from ig_ros.instances.instantiate import Instantiation, Instantiator, instantiate
from ig_ros.instances.over_segmentation import PointSet
from ig_ros.instances.rerun_memory import Children
from ig_ros.instances.tracking import ObjectTracker
from ig_ros.instances.visibility import LabelledView

__all__ = ["Children", "Instantiation", "Instantiator", "LabelledView", "ObjectTracker", "PointSet", "instantiate"]
