"""Where frames come from when no robot is there: recorded folders and simulated scenes with exact truth."""

from ig_ros.datasets.base import Dataset, SceneTruth, split
from ig_ros.datasets.opening import open_dataset
from ig_ros.datasets.scannet_writer import write_scannet_layout

__all__ = ["Dataset", "SceneTruth", "open_dataset", "split", "write_scannet_layout"]
