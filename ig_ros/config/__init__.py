"""All parameters, checked and documented: the core's, the node's, presets, and the files they are read from."""

from ig_ros.config.core import (
    ALIASES,
    Config,
    InputConfig,
    InstanceConfig,
    KeyframeConfig,
    LanguageConfig,
    MemoryConfig,
    ScaffoldConfig,
    SeedingConfig,
    SegmentationConfig,
    TrainingConfig,
)
from ig_ros.config.files import chosen, load_config, read_yaml
from ig_ros.config.node import EachCameraConfig, LimitsConfig, NodeConfig
from ig_ros.config.presets import PRESETS
from ig_ros.config.schema import Leaf, build, check, leaves, to_dict

__all__ = [
    "ALIASES", "PRESETS", "Config", "EachCameraConfig", "InputConfig", "InstanceConfig", "KeyframeConfig",
    "LanguageConfig", "Leaf", "LimitsConfig", "MemoryConfig", "NodeConfig", "ScaffoldConfig", "SeedingConfig",
    "SegmentationConfig", "TrainingConfig", "build", "check", "chosen", "leaves", "load_config", "read_yaml", "to_dict",
]  # fmt: skip
