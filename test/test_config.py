"""Parameters: whatever is unknown, of the wrong type or out of range is refused by name, with what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ig_ros.config import Config, NodeConfig, build, leaves, load_config, to_dict
from ig_ros.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"training.sed": 1}, ["training.sed", "seed"]),
        ({"trainings": {"seed": 1}}, ["trainings", "training"]),
        ({"training": 3}, ["training", "group"]),
        ({"training.seed": "one"}, ["training.seed", "int", "'one'"]),
        ({"training.seed": 1.5}, ["training.seed", "int"]),
        ({"training.seed": True}, ["training.seed", "int"]),
        ({"input.use_depth": 1}, ["input.use_depth", "bool"]),
        ({"training.growth": "map"}, ["unknown", "training.growth", "known here"]),  # gone, as in an older YAML file
        ({"preset": "paper"}, ["preset", "none", "room", "tabletop"]),
        ({"training.ssim_weight": 1.5}, ["training.ssim_weight", "0.0", "1.0", "1.5"]),
        ({"seeding.voxel": -0.1}, ["seeding.voxel", "between"]),
        ({"seeding.voxel": float("nan")}, ["seeding.voxel"]),
        ({"seeding.voxel": None}, ["seeding.voxel", "float"]),
        ({"device": "tpu"}, ["device", "auto", "cpu", "cuda"]),
        ({"segmenter": "yolo"}, ["segmenter", "geometric", "sam"]),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(values: dict[str, Any], says: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_dict(values)
    message = str(caught.value)
    assert "\n" not in message
    for word in says:
        assert word in message


def test_nested_and_dotted_keys_and_the_alias_mean_the_same() -> None:
    dotted = Config.from_dict({"training.seed": 4, "input.max_width": 200, "segmenter": "geometric"})
    nested = Config.from_dict(
        {"training": {"seed": 4}, "input": {"max_width": 200}, "segmentation": {"segmenter": "geometric"}}
    )
    assert dotted == nested
    assert dotted.training.seed == 4
    assert Config.from_dict({}) == Config()


def test_whole_numbers_are_fine_where_fractions_are_meant() -> None:
    value = Config.from_dict({"seeding.voxel": 1}).seeding.voxel
    assert value == 1.0
    assert isinstance(value, float)


@pytest.mark.parametrize("leaf", list(leaves(NodeConfig)), ids=lambda leaf: leaf.name)
def test_every_parameter_is_documented_and_its_default_allowed(leaf: Any) -> None:
    assert leaf.doc
    assert type(leaf.default) in (bool, int, float, str, tuple)
    assert build(NodeConfig, {leaf.name: leaf.default}) == NodeConfig()
    if leaf.low is not None:
        assert leaf.low <= leaf.default <= leaf.high
        for outside in (leaf.low - 1, leaf.high + 1):
            with pytest.raises(ConfigError, match="between"):
                build(NodeConfig, {leaf.name: type(leaf.default)(outside)})
    if leaf.choices:
        assert leaf.default in leaf.choices


@given(st.sampled_from([leaf for leaf in leaves(Config) if leaf.low is not None]), st.floats(0, 1))
def test_values_in_range_survive_the_round_trip(leaf: Any, share: float) -> None:
    value = type(leaf.default)(leaf.low + share * (leaf.high - leaf.low))
    config = Config.from_dict({leaf.name: value})
    assert Config.from_dict(to_dict(config)) == config
    group, _, name = leaf.name.rpartition(".")
    assert getattr(getattr(config, group) if group else config, name) == value


def test_a_plain_file_and_a_nodes_file_are_read(tmp_path: Path) -> None:
    plain, node = tmp_path / "plain.yaml", tmp_path / "node.yaml"
    plain.write_text("training:\n  seed: 5\nseeding.voxel: 0.05\n")
    node.write_text(
        yaml.safe_dump(
            {"/**": {"ros__parameters": {"pose_source": "tf", "training": {"seed": 5}, "seeding.voxel": 0.05}}}
        )
    )
    assert load_config(plain) == load_config(node)
    assert load_config(plain).training.seed == 5
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing\n")
    assert load_config(empty) == Config()


def test_the_file_that_ships_is_complete_and_holds_the_defaults() -> None:
    path = ROOT / "config" / "mapping.yaml"
    assert load_config(path) == Config()


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "a: [unclosed", "training: {seed: x}", "nonsense: 1"])
def test_files_that_are_no_parameters_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_config(tmp_path / "nowhere.yaml")
