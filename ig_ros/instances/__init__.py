"""Bottom-up instantiation: anchors and masks in, objects with lasting ids out."""

from ig_ros.instances.instantiation import Instantiation, Instantiator
from ig_ros.instances.over_segmentation import Children, PointSet
from ig_ros.instances.tracking import ObjectTracker
from ig_ros.instances.visibility import LabelledView

__all__ = ["Children", "Instantiation", "Instantiator", "LabelledView", "ObjectTracker", "PointSet"]
