"""Presets: starting values, each overridable, whichever way the choice and the values are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ig_ros.config import PRESETS, Config, NodeConfig, build, leaves, load_config, to_dict
from ig_ros.errors import ConfigError
from ig_ros.scaffold import densification, losses, trainer

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
@pytest.mark.parametrize("given", [{"training.growth_from": 200}, {"training": {"growth_from": 200}}])
def test_explicit_values_win_even_where_they_equal_the_default(given: dict[str, Any], order: int) -> None:
    items = [("preset", "paper"), *given.items()][::order]
    config = Config.from_dict(dict(items))
    assert config.training.growth_from == 200 == Config().training.growth_from
    assert config.training.growth_until == PRESETS["paper"]["training.growth_until"]


def test_a_saved_configuration_means_the_same_again() -> None:
    config = Config.from_dict({"preset": "paper", "training.seed": 3, "seeding.voxel": 0.02})
    assert Config.from_dict(to_dict(config)) == config


def test_the_nodes_config_takes_a_preset_too() -> None:
    config = build(NodeConfig, {"core.preset": "room", "core.seeding.voxel": 0.07})
    assert config.core.seeding.voxel == 0.07
    assert config.core.keyframes == Config.from_dict({"preset": "room"}).keyframes


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"preset.*none, paper, room, tabletop"):
        Config.from_dict({"preset": "palace"})
    with pytest.raises(ConfigError, match="preset"):
        Config.from_dict({"preset": ["paper"]})


def test_the_nodes_file_lists_defaults_without_choosing_them(tmp_path: Path) -> None:
    """config/mapping.yaml with only the preset changed is the preset; a value changed in it wins."""
    values = yaml.safe_load((ROOT / "config" / "mapping.yaml").read_text())
    parameters = values["/**"]["ros__parameters"]
    parameters["preset"], parameters["training"]["growth_from"] = "paper", 77
    path = tmp_path / "node.yaml"
    path.write_text(yaml.safe_dump(values))
    assert load_config(path) == Config.from_dict({"preset": "paper", "training.growth_from": 77})


def test_paper_follows_the_paper() -> None:
    """The values of docs/method.md, sections 1 to 3, as the papers have them."""
    c = Config.from_dict({"preset": "paper"})
    t = c.training
    assert (c.scaffold.children, c.scaffold.embedding, c.scaffold.feature, c.scaffold.hidden) == (5, 32, 6, 32)
    assert (c.scaffold.view_dependent_geometry, c.scaffold.start) == (True, "blank")
    rates = trainer.ANCHOR_RATES | {f"mlp_{name}": rate for name, rate in trainer.MLP_RATES.items()}
    assert (rates["offsets"], rates["embedding"][0], rates["log_scale"][0]) == ((1e-2, 1e-4), 7.5e-3, 7e-3)
    assert (rates["mlp_opacity"], rates["mlp_covariance"][0], rates["mlp_color"]) == ((2e-3, 2e-5), 4e-3, (8e-3, 5e-5))
    assert (t.lr_feature, t.lr_mlp_floor, t.decay_steps) == (1e-3, 1.0, 30_000)
    assert (t.ssim_weight, losses.VOLUME_WEIGHT, t.contrast_weight, t.smooth_weight) == (0.2, 0.01, 1.0, 0.1)
    assert (t.phases, t.warmup_visits, t.joint_visits) == ("step", 10_000, 20_000)
    assert (t.growth, t.growth_from, t.growth_until, t.growth_every) == ("map", 1500, 15_000, 100)
    assert (densification.RULES[t.growth].cells, densification.RULES[t.growth].seen) == ((16, 4, 1), 40)
    assert (t.growth_gradient, t.prune_opacity, densification.PRUNE_VISITS) == (2e-4, 0.005, 80)
    assert (c.instances.sub_objects, c.instances.lloyd_steps, c.instances.voxel) == (1000, 0, 0.1)
    assert c.instances.refine_steps == 10_000
