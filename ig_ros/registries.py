"""What one line adds: segmenters, encoders, pose sources, dataset readers and edge witnesses, one table each.

A table maps a name, for most the one that users write, to a class, written "module:Class". A class is imported only
when it is chosen, so that an optional package is needed only by those who choose it, and so that the configuration,
which takes the choices of its parameters from here, loads none of them. docs/development.md shows how to add one.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

SEGMENTERS: Mapping[str, str] = {  # ig_ros.segmentation.Segmenter, parameter segmentation.segmenter
    "geometric": "ig_ros.segmentation.geometric:GeometricSegmenter",
    "detector": "ig_ros.segmentation.detector:DetectorSegmenter",
    "sam": "ig_ros.segmentation.sam:SamSegmenter",
    "sam2": "ig_ros.segmentation.sam2:Sam2Segmenter",
}
ENCODERS: Mapping[str, str] = {  # ig_ros.language.Encoder, parameter language.encoder
    "sentence": "ig_ros.language.sentence_encoder:SentenceEncoder",
    "open_clip": "ig_ros.language.open_clip_encoder:OpenClipEncoder",
    "fused": "ig_ros.language.encoders:FusedEncoder",
}
POSE_SOURCES: Mapping[str, str] = {  # ig_ros.nodes.pose_sources.PoseSource, parameter pose_source
    "pose": "ig_ros.nodes.pose_sources:PoseTopic",
    "pose_with_covariance": "ig_ros.nodes.pose_sources:CovariantPoseTopic",
    "odometry": "ig_ros.nodes.pose_sources:OdometryTopic",
    "transform": "ig_ros.nodes.pose_sources:TransformTopic",
    "tf": "ig_ros.nodes.pose_sources:TfPoses",
}
DATASET_READERS: Mapping[str, str] = {  # ig_ros.datasets.DatasetReader, found by the files of a folder
    "rosbag2 and ROS 1 bags": "ig_ros.datasets.bags:BagDataset",
    "nerfstudio": "ig_ros.datasets.captures:TransformsDataset",
    "Record3D": "ig_ros.datasets.captures:Record3dDataset",
    "EuRoC": "ig_ros.datasets.recordings:EurocDataset",
    "TUM RGB-D": "ig_ros.datasets.recordings:TumDataset",
    "7-Scenes": "ig_ros.datasets.recordings:SevenScenesDataset",
    "ScanNet": "ig_ros.datasets.scannet:ScanNetDataset",
    "Replica of vMAP or NICE-SLAM": "ig_ros.datasets.replica:ReplicaDataset",
    "COLMAP and LERF": "ig_ros.datasets.colmap:ColmapDataset",
}
WITNESSES: Mapping[str, str] = {  # ig_ros.instances.witnesses.Witness; all of them judge every edge
    "features": "ig_ros.instances.witnesses:FeatureWitness",
    "surface": "ig_ros.instances.witnesses:SurfaceWitness",
}


def load(target: str) -> Any:
    """Returns the class that an entry "module:Class" of a table names."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
