"""Where frames come from when no robot is there: recorded folders and simulated scenes with exact truth."""

from ig_ros.datasets.base import (
    Dataset,
    DatasetReader,
    Faults,
    SceneTruth,
    SelectionTruth,
    faults_of,
    missing_truth,
    selection_truth,
    sparse_points,
    split,
)
from ig_ros.datasets.registry import open_dataset, with_topics

__all__ = [
    "Dataset",
    "DatasetReader",
    "Faults",
    "SceneTruth",
    "SelectionTruth",
    "faults_of",
    "missing_truth",
    "open_dataset",
    "selection_truth",
    "sparse_points",
    "split",
    "with_topics",
]
