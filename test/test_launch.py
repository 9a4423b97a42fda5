"""Launch files, RViz and ready parameters: what they name exists, and what is given arrives."""

from __future__ import annotations

import os
import re
import sys
import types
from pathlib import Path
from runpy import run_path
from typing import Any, ClassVar

import pytest
import yaml

from ig_ros.config import NodeConfig, leaves, load_config
from ig_ros.errors import ConfigError
from ig_ros.nodes.parameters import node_parameters
from ig_ros.nodes.player import PARTS
from ig_ros.nodes.topics import IN, OUT

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = sorted(ROOT.glob("launch/*.launch.py"))
MAPPING = ROOT / "launch" / "mapping.launch.py"
ACTIONS = {"DeclareLaunchArgument", "OpaqueFunction", "Node", "IncludeLaunchDescription", "ExecuteProcess",
           "RegisterEventHandler"}  # fmt: skip
READY = ("rtabmap", "orbslam3", "isaac_vslam", "zed", "realsense")


class Recorder:
    """Any launch action or substitution: remembers how it was made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


class LaunchConfiguration(Recorder):
    """The value of an argument."""

    used: ClassVar[set[str]] = set()

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.used.add(name)

    def perform(self, context: Context) -> str:
        return context.launch_configurations[self.args[0]]


class Context:
    """launch.LaunchContext: the arguments by name."""

    def __init__(self, arguments: dict[str, str]) -> None:
        self.launch_configurations = arguments


class Anything(types.ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Recorder,), {})


class Launched:
    """A launch file with what is given: its actions, and what it has warned of."""

    def __init__(self, path: Path, **given: str) -> None:
        self.actions: list[Recorder] = run_path(str(path))["generate_launch_description"]().args[0]
        included = run_path(str(MAPPING))["declared"]() if self.of_kind("IncludeLaunchDescription") else []
        self.own = self.declared()
        self.actions += [a for a in included if a.args[0] not in self.own]
        values = {name: default for name, default in self.declared().items() if default is not None}
        for opaque in self.of_kind("OpaqueFunction"):
            self.actions += opaque.kwargs["function"](Context(values | given))

    def of_kind(self, name: str) -> list[Recorder]:
        return [action for action in self.actions if type(action).__name__ == name]

    def declared(self) -> dict[str, str | None]:
        """Arguments with their defaults."""
        return {a.args[0]: a.kwargs.get("default_value") for a in self.of_kind("DeclareLaunchArgument")}

    def nodes(self) -> dict[str, Recorder]:
        return {node.kwargs["executable"]: node for node in self.of_kind("Node")}


@pytest.fixture(autouse=True)
def warnings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What a launch file has warned of. `launch` is not on PyPI: stands for the part of its public API that is used.

    The package's share folder is the repository, in which rviz2 is installed.
    """
    said: list[str] = []
    names = ("", ".actions", ".event_handlers", ".logging", ".substitutions", ".launch_description_sources")
    for name in [f"launch{n}" for n in names] + [f"launch_ros{n}" for n in ("", ".actions", ".parameter_descriptions")]:
        monkeypatch.setitem(sys.modules, name, Anything(name))
    sys.modules["launch.substitutions"].LaunchConfiguration = LaunchConfiguration  # type: ignore[attr-defined]
    sys.modules["launch.logging"].get_logger = lambda _: types.SimpleNamespace(warning=said.append)  # type: ignore[attr-defined]
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (tmp_path / "share" / "ig_ros").symlink_to(ROOT)
    for package in ("ig_ros", "rviz2"):
        (index / package).touch()
    (tmp_path / "share" / "rviz2").mkdir()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    return said


@pytest.mark.parametrize("path", LAUNCH, ids=lambda p: p.name)
def test_every_argument_is_explained_and_every_executable_exists(path: Path) -> None:
    launched = Launched(path)
    arguments = launched.of_kind("DeclareLaunchArgument")
    assert arguments
    for argument in arguments:
        assert len(argument.kwargs["description"]) > 5, argument.args[0]
    for name, node in launched.nodes().items():
        assert node.kwargs["package"] == "ig_ros"
        assert (ROOT / "scripts" / name).is_file()


@pytest.mark.field(
    "ros", "mapping.launch.py inside of another launch file", "the other nodes' environment stays theirs"
)
@pytest.mark.parametrize("path", LAUNCH, ids=lambda p: p.name)
def test_it_needs_nothing_of_ours_and_leaves_the_environment_of_other_nodes_alone(path: Path) -> None:
    before = dict(os.environ)
    launched = Launched(path)
    assert {type(action).__name__ for action in launched.actions} <= ACTIONS  # none that sets variables for all
    assert dict(os.environ) == before
    text = path.read_text()
    assert "import ig_ros" not in text
    assert "from ig_ros" not in text


@pytest.mark.parametrize("path", LAUNCH, ids=lambda p: p.name)
def test_what_is_used_is_declared(path: Path) -> None:
    LaunchConfiguration.used.clear()
    launched = Launched(path, rviz="true")
    assert launched.declared().keys() >= LaunchConfiguration.used


@pytest.mark.parametrize("path", [p for p in LAUNCH if "Include" in p.read_text()], ids=lambda p: p.name)
def test_included_launch_files_know_the_arguments(path: Path) -> None:
    [include] = Launched(path).of_kind("IncludeLaunchDescription")
    assert {name for name, _ in include.kwargs["launch_arguments"]} <= Launched(MAPPING).declared().keys()


PARAMETERS = [MAPPING, ROOT / "launch" / "distributed.launch.py"]


@pytest.mark.parametrize("path", PARAMETERS, ids=lambda p: p.name)
def test_config_takes_a_name_or_a_path(path: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.touch()
    for given, file in [*((name, ROOT / "config" / f"{name}.yaml") for name in (*READY, "mapping")), (str(own), own)]:
        nodes = Launched(path, config=given).nodes()
        assert nodes
        for node in nodes.values():
            assert Path(node.kwargs["parameters"][0]).resolve() == file


@pytest.mark.field("ros", "config:=rtabmapp", "the launch fails, naming the file and what there is")
@pytest.mark.parametrize("given", ["rtabmapp", "/nowhere/own.yaml", "own.yaml"])
@pytest.mark.parametrize("path", PARAMETERS, ids=lambda p: p.name)
def test_a_config_that_is_not_there_ends_the_launch(path: Path, given: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        Launched(path, config=given)
    assert given in str(caught.value)
    assert "isaac_vslam, mapping, orbslam3, realsense, rtabmap, zed" in str(caught.value)


@pytest.mark.field("ros", "rviz:=true without rviz2", "a warning, and the node runs without")
@pytest.mark.parametrize("path", PARAMETERS, ids=lambda p: p.name)
def test_rviz_is_shown_where_it_is_installed(path: Path, warnings: list[str], tmp_path: Path) -> None:
    rviz = Launched(path, rviz="true").nodes()["rviz2"]
    assert Path(rviz.kwargs["arguments"][1]).is_file()
    assert "rviz2" not in Launched(path).nodes()
    assert not warnings
    (tmp_path / "share" / "ament_index" / "resource_index" / "packages" / "rviz2").unlink()
    assert "mapping_node" in (nodes := Launched(path, rviz="true").nodes())
    assert "rviz2" not in nodes
    assert "rviz2 is not installed" in warnings[0]


@pytest.mark.field("ros", "cameras: [front, rear] with topics of other names", "front/image:=... in the launch command")
@pytest.mark.parametrize("path", PARAMETERS, ids=lambda p: p.name)
def test_topics_of_single_cameras_are_remapped(path: Path) -> None:
    given = {"front/image": "/f/raw", "rear/depth": "/r/depth", "rear/depth_camera_info": "/r/info", "image": "/raw"}
    pairs = dict(Launched(path, **given).nodes()["mapping_node"].kwargs["remappings"])
    wanted = {
        "front/image": "/f/raw", "front/image/compressed": "/f/raw/compressed", "rear/depth": "/r/depth",
        "rear/depth/compressedDepth": "/r/depth/compressedDepth", "rear/depth/camera_info": "/r/info",
        "image": "/raw", "image/compressed": "/raw/compressed", "pose": "pose",
        "depth/camera_info": "depth/camera_info",
    }  # fmt: skip
    assert wanted.items() <= pairs.items()


@pytest.mark.parametrize("path", LAUNCH, ids=lambda p: p.name)
def test_arguments_on_the_pages_are_declared(path: Path) -> None:
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *LAUNCH]
    text = "\n".join(re.sub(r"\\\n\s*", "", page.read_text()) for page in pages)
    told = [name for given in re.findall(f" {path.name} (.*)", text) for name in re.findall(r"([\w/]+):=", given)]
    assert told, f"no page shows {path.name} with an argument"
    assert {name.rpartition("/")[2] for name in told} <= Launched(path).declared().keys()


def test_robot_and_server_take_what_the_mapping_takes() -> None:
    path = ROOT / "launch" / "distributed.launch.py"
    assert Launched(MAPPING).declared().items() <= Launched(path).declared().items()
    for part, started in (
        ("robot", {"mapping_node", "rviz2"}), ("server", {"segmenter_node"}),
        ("both", {"mapping_node", "segmenter_node", "rviz2"}),
    ):  # fmt: skip
        nodes = Launched(path, part=part, rviz="true").nodes()
        assert nodes.keys() == started
        for node in nodes.values():
            assert any("use_sim_time" in group for group in node.kwargs["parameters"] if isinstance(group, dict))
    mapped = {name for name, _ in Launched(path).nodes()["mapping_node"].kwargs["remappings"]}
    assert {topic.name for topic in IN} - {"clicked_point"} <= mapped
    with pytest.raises(RuntimeError, match="robot, server or both"):
        Launched(path, part="servr")


@pytest.mark.field("ros", "replay.launch.py", "the bag plays when the node is ready")
def test_the_bag_is_played_once_the_node_has_told_its_state() -> None:
    launched = Launched(ROOT / "launch" / "replay.launch.py", bag="drive.mcap")
    [ready] = launched.of_kind("ExecuteProcess")
    assert ready.kwargs["cmd"][:3] == ["ros2", "service", "call"]
    assert ready.kwargs["cmd"][3][1] == "/mapping_node/get_state"
    [handler] = launched.of_kind("RegisterEventHandler")
    exited = handler.args[0].kwargs
    assert exited["target_action"] is ready
    [play] = exited["on_exit"](types.SimpleNamespace(returncode=0), Context({}))
    assert play.kwargs["cmd"][:3] == ["ros2", "bag", "play"]
    assert exited["on_exit"](types.SimpleNamespace(returncode=1), Context({})) == []


def test_the_demos_player_is_where_its_node_listens() -> None:
    launched = Launched(ROOT / "launch" / "demo.launch.py")
    player = launched.nodes()["player"]
    [mapping] = launched.of_kind("IncludeLaunchDescription")
    passed = {name: value.args[0] for name, value in mapping.kwargs["launch_arguments"]}
    assert player.kwargs["namespace"].args[0] == passed["namespace"] == "namespace"
    remapped = {name: value.args[0] for name, value in player.kwargs["remappings"]}
    assert remapped.keys() == {topic for _, topic in PARTS.values()}
    assert remapped.items() <= passed.items()
    assert passed.keys() <= launched.own.keys()


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
    for topic, value in given.items():
        assert topic in Launched(MAPPING).declared()
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
