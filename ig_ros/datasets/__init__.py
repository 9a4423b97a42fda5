"""Where frames come from when no robot is there: recorded folders and simulated scenes with exact truth."""

from ig_ros.datasets.base import (
    Dataset,
    SceneTruth,
    SelectionTruth,
    missing_truth,
    selection_truth,
    sparse_points,
    split,
)
from ig_ros.datasets.registry import open_dataset, with_topics
from ig_ros.datasets.scannet_writer import write_scannet_layout

__all__ = [
    "Dataset",
    "SceneTruth",
    "SelectionTruth",
    "missing_truth",
    "open_dataset",
    "selection_truth",
    "sparse_points",
    "split",
    "with_topics",
    "write_scannet_layout",
]
