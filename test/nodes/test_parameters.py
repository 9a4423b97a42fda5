"""Parameters: declared with descriptions, read back unchanged, written down completely."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from nodes.processes import ROOT
from rclpy.node import Node
from rclpy.parameter import Parameter

from ig_ros.config import NodeConfig
from ig_ros.errors import ConfigError
from ig_ros.nodes.parameters import node_parameters, read_parameters
from scripts.parameters_file import yaml_text


def read(
    context: object, *overrides: tuple[str, object], arguments: list[str] | None = None
) -> tuple[NodeConfig, Node]:
    given = [Parameter(name, value=value) for name, value in overrides]
    node = Node("parameters_test", context=context, parameter_overrides=given, cli_args=arguments,
                automatically_declare_parameters_from_overrides=True)  # fmt: skip
    return read_parameters(node), node


def test_config_file_is_up_to_date() -> None:
    text = (ROOT / "config/mapping.yaml").read_text()
    assert text == yaml_text(), "run: python scripts/parameters_file.py > config/mapping.yaml"


def test_config_file_has_every_default_in_its_own_type(context: object) -> None:
    arguments = ["--ros-args", "--params-file", str(ROOT / "config/mapping.yaml")]
    config, node = read(context, arguments=arguments)
    assert config == NodeConfig()
    for name, leaf in node_parameters():
        assert node.describe_parameter(name).description == leaf.doc
        assert node.describe_parameter(name).read_only
    node.destroy_node()


def test_overrides_reach_the_config_and_integers_serve_as_floats(context: object) -> None:
    given = [("training.seed", 7), ("segmenter", "geometric"), ("device", "cpu"), ("pose_timeout", 2)]
    config, node = read(context, *given)
    assert config.core.training.seed == 7
    assert config.core.segmentation.segmenter == "geometric"
    assert config.core.device == "cpu"
    assert config.pose_timeout == 2.0
    assert node.get_parameter("training.seed").value == 7
    node.destroy_node()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("training.ssim_weight", 1.5, "between 0.0 and 1.0"),
        ("segmenter", "best", "one of none, geometric, detector, sam"),
        ("queue_size", "many", "must be int"),
        ("segmentation.segmenter", "none", "unknown parameter"),
        ("instances.voxl", 0.1, "unknown parameter 'instances.voxl'"),
    ],
)
def test_bad_parameters_are_refused_by_name(context: object, name: str, value: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read(context, (name, value))
    assert name in str(caught.value)


def test_yaml_is_readable_and_names_are_unique() -> None:
    names = [name for name, _ in node_parameters()]
    assert len(set(names)) == len(names)
    assert set(yaml.safe_load(yaml_text())) == {"/**"}
    assert Path(ROOT / "config/mapping.yaml").is_file()
