"""Presets: starting values, each overridable, whichever way the choice and the values are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ig_ros.config import PRESETS, Config, NodeConfig, build, leaves, load_config, to_dict
from ig_ros.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
DEFAULTS = {leaf.name: leaf.default for leaf in leaves(Config)}


def value(config: Config, name: str) -> Any:
    for part in name.split("."):
        config = getattr(config, part)
    return config


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_sets_its_values_and_nothing_else(name: str) -> None:
    config = Config.from_dict({"preset": name})
    assert config.preset == name
    for key, default in DEFAULTS.items():
        assert value(config, key) == ({"preset": name} | PRESETS[name]).get(key, default), key


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_holds_only_known_parameters_that_differ_from_the_default(name: str) -> None:
    for key, chosen in PRESETS[name].items():
        assert chosen != DEFAULTS[key], key
        assert type(chosen) is type(DEFAULTS[key]), key


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("given", [{"seeding.voxel": 0.02}, {"seeding": {"voxel": 0.02}}])
def test_explicit_values_win_even_where_they_equal_the_default(given: dict[str, Any], order: int) -> None:
    items = [("preset", "room"), *given.items()][::order]
    config = Config.from_dict(dict(items))
    assert config.seeding.voxel == 0.02 == Config().seeding.voxel
    assert config.keyframes.min_rotation == PRESETS["room"]["keyframes.min_rotation"]


def test_a_saved_configuration_means_the_same_again() -> None:
    config = Config.from_dict({"preset": "room", "training.seed": 3, "seeding.voxel": 0.02})
    assert Config.from_dict(to_dict(config)) == config


def test_the_nodes_config_takes_a_preset_too() -> None:
    config = build(NodeConfig, {"core.preset": "room", "core.seeding.voxel": 0.07})
    assert config.core.seeding.voxel == 0.07
    assert config.core.keyframes == Config.from_dict({"preset": "room"}).keyframes


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"preset.*none, room, tabletop"):
        Config.from_dict({"preset": "palace"})
    with pytest.raises(ConfigError, match="preset"):
        Config.from_dict({"preset": ["room"]})


def test_the_nodes_file_lists_defaults_without_choosing_them(tmp_path: Path) -> None:
    """config/mapping.yaml with only the preset changed is the preset; a value changed in it wins."""
    values = yaml.safe_load((ROOT / "config" / "mapping.yaml").read_text())
    parameters = values["/**"]["ros__parameters"]
    parameters["preset"], parameters["training"]["growth_from"] = "room", 77
    path = tmp_path / "node.yaml"
    path.write_text(yaml.safe_dump(values))
    assert load_config(path) == Config.from_dict({"preset": "room", "training.growth_from": 77})
