"""Figures of merit, as the papers define them (METHOD 6): one import for all of them."""

from ig_ros.evaluation.average_precision import (
    SCANNET_SCRIPT_THRESHOLDS,
    THRESHOLDS,
    AveragePrecision,
    ClassAveragePrecision,
    average_precision,
    class_average_precision,
)
from ig_ros.evaluation.image_metrics import psnr, ssim
from ig_ros.evaluation.instance_metrics import InstanceCounts, InstanceScore, instance_counts, instance_score
from ig_ros.evaluation.selection_metrics import SelectionScore, SelectionView, selection_score
from ig_ros.evaluation.semantic_metrics import SemanticScore, semantic_score
from ig_ros.evaluation.transfer import transfer_ids

__all__ = [
    "SCANNET_SCRIPT_THRESHOLDS",
    "THRESHOLDS",
    "AveragePrecision",
    "ClassAveragePrecision",
    "InstanceCounts",
    "InstanceScore",
    "SelectionScore",
    "SelectionView",
    "SemanticScore",
    "average_precision",
    "class_average_precision",
    "instance_counts",
    "instance_score",
    "psnr",
    "selection_score",
    "semantic_score",
    "ssim",
    "transfer_ids",
]
