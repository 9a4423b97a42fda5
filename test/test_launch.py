"""Launch files, RViz and ready parameters: what they name exists. `launch` is not on PyPI: recorders stand for it."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml

from ig_ros.config import Config, ConfigError, NodeConfig, leaves
from ig_ros.nodes.parameters import parameters

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = sorted(ROOT.glob("launch/*.launch.py"))
READY = ("rtabmap", "orbslam3", "isaac_vslam", "zed", "realsense")


class Recorder:
    """Any launch action or substitution: remembers how it was made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


class Anything(types.ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Recorder,), {})


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[Recorder]:
    """The actions of a launch file."""
    names = ("", ".actions", ".conditions", ".substitutions", ".launch_description_sources")
    for name in [f"launch{n}" for n in names] + [f"launch_ros{n}" for n in ("", ".actions", ".parameter_descriptions")]:
        monkeypatch.setitem(sys.modules, name, Anything(name))
    monkeypatch.setenv("AMENT_PREFIX_PATH", sys.prefix)
    scope: dict[str, Any] = {}
    exec(compile(request.param.read_text(), str(request.param), "exec"), scope)
    actions: list[Recorder] = scope["generate_launch_description"]().args[0]
    return actions


def of_kind(actions: list[Recorder], name: str) -> list[Recorder]:
    return [action for action in actions if type(action).__name__ == name]


@pytest.mark.parametrize("described", LAUNCH, indirect=True, ids=lambda p: p.name)
def test_every_argument_is_explained_and_every_executable_exists(described: list[Recorder]) -> None:
    arguments = of_kind(described, "DeclareLaunchArgument")
    assert arguments
    for argument in arguments:
        assert len(argument.kwargs["description"]) > 5, argument.args[0]
    for node in of_kind(described, "Node"):
        if node.kwargs["package"] == "ig_ros":
            assert (ROOT / "scripts" / node.kwargs["executable"]).is_file()


@pytest.mark.parametrize("path", LAUNCH, ids=lambda p: p.name)
def test_what_is_used_is_declared(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r'LaunchConfiguration\("(\w+)"\)', text):
        declared = (f'DeclareLaunchArgument("{name}"', f'            "{name}",', f'    "{name}": "')
        assert any(form in text for form in declared), name


@pytest.mark.parametrize("path", [p for p in LAUNCH if "Include" in p.read_text()], ids=lambda p: p.name)
def test_included_launch_files_know_the_arguments(path: Path) -> None:
    text, mapping = path.read_text(), (ROOT / "launch" / "mapping.launch.py").read_text()
    passed = re.search(r"for name in \(([^)]*)\)", text)
    assert passed is not None
    for name in re.findall(r'"(\w+)"', passed[1]):
        assert f'"{name}"' in mapping, name


@pytest.mark.parametrize("name", READY)
def test_ready_parameters_are_accepted_by_the_node(name: str) -> None:
    path = ROOT / "config" / f"{name}.yaml"
    values = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
    flat = {
        f"{key}.{inner}" if isinstance(value, dict) else key: v
        for key, value in values.items()
        for inner, v in (value.items() if isinstance(value, dict) else [("", value)])
    }
    known = dict(parameters())
    for parameter, value in flat.items():
        leaf = known[parameter]
        assert type(value) is type(leaf.default), parameter
        assert not leaf.choices or value in leaf.choices, parameter
        assert leaf.low is None or leaf.low <= value, parameter
    Config.from_yaml(path)  # `ig map --config` takes the same file


@pytest.mark.parametrize("name", READY)
def test_the_command_in_a_ready_file_remaps_existing_topics(name: str) -> None:
    text = (ROOT / "config" / f"{name}.yaml").read_text().replace("\\\n#", " ")
    command = re.search(r"ros2 launch ig_ros mapping.launch.py (.*)", text)
    assert command is not None
    given = dict(word.split(":=") for word in command[1].split())
    assert given.pop("config") == name
    assert {"image", "camera_info"} <= given.keys()
    launch = (ROOT / "launch" / "mapping.launch.py").read_text()
    for topic, value in given.items():
        assert f'"{topic}":' in launch
        assert value.startswith("/")


def test_a_wrong_parameter_in_such_a_file_would_be_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("/**:\n  ros__parameters:\n    sedding:\n      voxel: 0.02\n")
    with pytest.raises(ConfigError, match="sedding"):
        Config.from_yaml(path)
    assert "sedding.voxel" not in {leaf.name for leaf in leaves(NodeConfig)}


def test_rviz_shows_what_the_node_publishes() -> None:
    view = yaml.safe_load((ROOT / "config" / "mapping.rviz").read_text())["Visualization Manager"]
    shown = {display["Topic"]["Value"] for display in view["Displays"] if "Topic" in display}
    sources = "".join(path.read_text() for path in (ROOT / "ig_ros" / "nodes").glob("*.py"))
    published = set(re.findall(r'create_publisher\(\w+, "([\w/]+)"', sources))
    heard = set(re.findall(r'create_subscription\(\w+, "([\w/]+)"', sources))
    assert shown <= published
    assert {"ig/instance_colors", "ig/markers", "ig/query_markers", "ig/cameras", "ig/rendered_image"} <= shown
    tools = {tool["Topic"]["Value"] for tool in view["Tools"] if "Topic" in tool}
    assert tools == {"clicked_point"} <= heard
    namespaces = {name for display in view["Displays"] for name in display.get("Namespaces", {})}
    assert all(f'"{name}"' in sources for name in namespaces)
