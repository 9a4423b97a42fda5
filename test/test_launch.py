"""Launch files, RViz and ready parameters: what they name exists. `launch` is not on PyPI: recorders stand for it."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml

from ig_ros.config import NodeConfig, leaves, load_config
from ig_ros.errors import ConfigError
from ig_ros.nodes.parameters import node_parameters
from ig_ros.nodes.player import PARTS
from ig_ros.nodes.topics import IN, OUT

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
def test_it_needs_nothing_of_ours_and_leaves_the_environment_of_other_nodes_alone(path: Path) -> None:
    text = path.read_text()
    assert "SetEnvironmentVariable" not in text, "it would act on every later node of a launch file that includes this"
    assert "import ig_ros" not in text
    assert "from ig_ros" not in text


@pytest.mark.parametrize("path", LAUNCH, ids=lambda p: p.name)
def test_what_is_used_is_declared(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r'LaunchConfiguration\("(\w+)"\)', text):
        declared = (f'DeclareLaunchArgument("{name}"', f'            "{name}",', f'    "{name}": "')
        assert any(form in text for form in declared), name


@pytest.mark.parametrize("path", [p for p in LAUNCH if "Include" in p.read_text()], ids=lambda p: p.name)
def test_included_launch_files_know_the_arguments(path: Path) -> None:
    text, mapping = path.read_text(), (ROOT / "launch" / "mapping.launch.py").read_text()
    passed = re.search(r"(?:for name in|passed =) \(([^)]*)\)", text)
    assert passed is not None
    for name in re.findall(r'"(\w+)"', passed[1]):
        assert f'"{name}"' in mapping, name


def said(parts: list[Any], **given: str) -> str:
    """The text of a Python expression, its launch configurations replaced by what is given."""
    return "".join(given[part.args[0]] if isinstance(part, Recorder) else part for part in parts)


def declared(actions: list[Recorder]) -> dict[str, str | None]:
    """Arguments with their defaults."""
    return {a.args[0]: a.kwargs.get("default_value") for a in of_kind(actions, "DeclareLaunchArgument")}


@pytest.mark.parametrize(
    "described",
    [p for p in LAUNCH if p.name.startswith(("mapping", "distributed"))],
    indirect=True,
    ids=lambda p: p.name,
)
def test_config_takes_a_name_or_a_path(described: list[Recorder]) -> None:
    nodes = [node for node in of_kind(described, "Node") if node.kwargs["package"] == "ig_ros"]
    for node in nodes:
        expression = node.kwargs["parameters"][0].args[0]
        for name in (*READY, declared(described)["config"]):
            file = Path(eval(said(expression, config=str(name))))
            assert file.name == f"{name}.yaml"
            assert (ROOT / "config" / file.name).is_file()
        assert eval(said(expression, config="/home/me/own.yaml")) == "/home/me/own.yaml"


@pytest.mark.parametrize("described", LAUNCH, indirect=True, ids=lambda p: p.name)
def test_arguments_on_the_pages_are_declared(described: list[Recorder], request: pytest.FixtureRequest) -> None:
    file = request.node.callspec.params["described"].name
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *LAUNCH]
    text = "\n".join(re.sub(r"\\\n\s*", "", page.read_text()) for page in pages)
    told = [name for given in re.findall(f" {file} (.*)", text) for name in re.findall(r"(\w+):=", given)]
    assert told, f"no page shows {file} with an argument"
    assert set(told) <= declared(described).keys()


@pytest.mark.parametrize("described", [ROOT / "launch" / "distributed.launch.py"], indirect=True)
def test_robot_and_server_take_what_the_mapping_takes(described: list[Recorder]) -> None:
    text = (ROOT / "launch" / "mapping.launch.py").read_text()
    wanted = set(re.findall(r'LaunchConfiguration\("(\w+)"\)', text)) | set(re.findall(r'^    "(\w+)": "', text, re.M))
    assert wanted <= declared(described).keys()
    nodes = {node.kwargs["executable"]: node for node in of_kind(described, "Node")}
    assert nodes.keys() == {"mapping_node", "segmenter_node", "rviz2"}
    mapped = {name for name, _ in nodes["mapping_node"].kwargs["remappings"]}
    assert {topic.name for topic in IN} - {"clicked_point"} <= mapped
    for part, rviz, shown in (("robot", "true", True), ("server", "true", False), ("both", "false", False)):
        assert eval(said(nodes["rviz2"].kwargs["condition"].args[0].args[0], part=part, rviz=rviz)) is shown
    for node in nodes.values():
        assert any("use_sim_time" in group for group in node.kwargs["parameters"] if isinstance(group, dict))


@pytest.mark.parametrize("described", [ROOT / "launch" / "demo.launch.py"], indirect=True)
def test_the_demos_player_is_where_its_node_listens(described: list[Recorder]) -> None:
    player = next(node for node in of_kind(described, "Node") if node.kwargs["executable"] == "player")
    mapping = of_kind(described, "IncludeLaunchDescription")[0]
    passed = {name: value.args[0] for name, value in mapping.kwargs["launch_arguments"]}
    assert player.kwargs["namespace"].args[0] == passed["namespace"] == "namespace"
    remapped = {name: value.args[0] for name, value in player.kwargs["remappings"]}
    assert remapped.keys() == {topic for _, topic in PARTS.values()}
    assert remapped.items() <= passed.items()
    assert passed.keys() <= declared(described).keys()


@pytest.mark.parametrize("name", READY)
def test_ready_parameters_are_accepted_by_the_node(name: str) -> None:
    path = ROOT / "config" / f"{name}.yaml"
    values = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
    flat = {
        f"{key}.{inner}" if isinstance(value, dict) else key: v
        for key, value in values.items()
        for inner, v in (value.items() if isinstance(value, dict) else [("", value)])
    }
    known = dict(node_parameters())
    for parameter, value in flat.items():
        leaf = known[parameter]
        assert type(value) is type(leaf.default), parameter
        assert not leaf.choices or value in leaf.choices, parameter
        assert leaf.low is None or leaf.low <= value, parameter
    load_config(path)  # `ig map --config` takes the same file


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
        load_config(path)
    assert "sedding.voxel" not in {leaf.name for leaf in leaves(NodeConfig)}


def test_rviz_shows_what_the_node_publishes() -> None:
    view = yaml.safe_load((ROOT / "config" / "mapping.rviz").read_text())["Visualization Manager"]
    shown = {display["Topic"]["Value"] for display in view["Displays"] if "Topic" in display}
    sources = "".join(path.read_text() for path in (ROOT / "ig_ros" / "nodes").glob("*.py"))
    published, heard = {topic.name for topic in OUT}, {topic.name for topic in IN}
    assert shown <= published
    tools = {tool["Topic"]["Value"] for tool in view["Tools"] if "Topic" in tool}
    assert tools == {"clicked_point"} <= heard
    namespaces = {name for display in view["Displays"] for name in display.get("Namespaces", {})}
    assert all(f'"{name}"' in sources for name in namespaces)


SHOWN = {  # topic -> the display that draws it, and whether it is switched on
    "ig/instance_colors": ("PointCloud2", True),
    "ig/instance_cloud": ("PointCloud2", False),
    "ig/markers": ("MarkerArray", True),
    "ig/query_markers": ("MarkerArray", True),
    "ig/cameras": ("MarkerArray", True),
    "ig/camera_path": ("Path", True),
    "ig/rendered_image": ("Image", True),
    "ig/rendered_instances": ("Image", True),
}


def test_rviz_draws_each_topic_by_its_type_and_hears_what_was_latched() -> None:
    view = yaml.safe_load((ROOT / "config" / "mapping.rviz").read_text())["Visualization Manager"]
    displays = {d["Topic"]["Value"]: d for d in view["Displays"] if "Topic" in d}
    assert {t: (d["Class"].removeprefix("rviz_default_plugins/"), d["Enabled"]) for t, d in displays.items()} == SHOWN
    assert [d["Class"] for d in view["Displays"] if "Topic" not in d] == ["rviz_default_plugins/Grid"]
    types = {topic.name: topic.kind for topic in OUT}
    for topic, display in displays.items():
        assert types[topic].__name__ == SHOWN[topic][0]
        assert display["Topic"]["Durability Policy"] == "Transient Local"
        assert display["Topic"]["Reliability Policy"] == "Reliable"
    assert view["Global Options"]["Fixed Frame"] == NodeConfig().map_frame
