"""The import layers: a module may use what lies below it, never what lies above, and the core knows no ROS."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("scaffold", "segmentation", "instances", "language")
LAYERS = (  # from the bottom up
    ("errors", "registries"),
    ("weights",),
    ("types", "config", "colors", "thread_settings"),
    ("ignored",),
    ("validation", "atomic_write"),
    ("geometry",),
    ("message_decoding", "pose_buffer"),
    ("lens_distortion",),
    ("depth_images", "detections"),
    ("raster",),
    (*STAGES, "named_objects"),
    ("planning",),
    ("mapper",),
    ("memory_relief", "map_validation", "frame_queue"),
    ("map_io", "datasets", "simulation"),
    ("live",),
    ("nodes", "cli", "evaluation", "report", "export", "viewer"),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
ROS = ("rclpy", "tf2_ros", "cv_bridge", "sensor_msgs", "geometry_msgs", "std_msgs", "nav_msgs")


def sources() -> list[Path]:
    generated = {"msg", "srv"}
    package = ROOT / "ig_ros"
    return [p for p in sorted(package.rglob("*.py")) if p.relative_to(package).parts[0] not in generated]


def imported(source: str) -> set[str]:
    """Dotted names a module imports, those inside functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def part(path: Path) -> str:
    return path.relative_to(ROOT / "ig_ros").parts[0].removesuffix(".py")


def violations(own: str, names: set[str]) -> list[str]:
    """Why part `own` of the package may not import these names."""
    found = []
    for name in sorted(names):
        top, *rest = name.split(".")
        if top in ROS or (top == "ig_ros" and rest[:1] in (["msg"], ["srv"])):
            if own != "nodes":
                found.append(f"{own} imports {name}: only nodes/ speaks ROS")
            continue
        if top != "ig_ros" or not rest or rest[0] == own:
            continue
        if rest[0] not in RANK:
            found.append(f"{own} imports {name}: give {rest[0]} a layer in this test")
        elif RANK[rest[0]] > RANK[own]:
            found.append(f"{own} imports {name}, which lies above it")
        elif own in STAGES and rest[0] in STAGES:
            found.append(f"{own} imports {name}: stages know each other only through mapper")
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    own = part(path)
    if own == "__init__":
        return
    assert own in RANK, f"{own} has no layer: add it to LAYERS"
    assert violations(own, imported(path.read_text())) == []


@pytest.mark.parametrize(
    ("own", "name"),
    [
        ("scaffold", "ig_ros.mapper.Mapper"),
        ("scaffold", "ig_ros.language.ranking"),
        ("live", "rclpy"),
        ("map_io", "ig_ros.msg.Object"),
        ("types", "ig_ros.geometry.transform"),
        ("mapper", "ig_ros.newcomer"),
    ],
)
def test_the_check_sees_a_climb(own: str, name: str) -> None:
    assert len(violations(own, {name})) == 1


def modules() -> dict[str, Path]:
    """Every Python module of the repository that is under version control, by its dotted name."""
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {p.removesuffix(".py").replace("/", ".").removesuffix(".__init__"): ROOT / p for p in listed.split()}


def needed(source: str, known: Iterable[str]) -> set[str]:
    """Modules among `known` that a module imports when it runs; what only a type checker reads does not count."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    names = imported(ast.unparse(tree))
    return {name if name in known else name.rpartition(".")[0] for name in names} & set(known)


def test_no_module_needs_itself_in_a_circle() -> None:
    paths = modules()
    graph = {name: needed(path.read_text(), paths) - {name} for name, path in paths.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports go in a circle: {' -> '.join(error.args[1])}")


def test_mapper_loads_no_ros_and_no_optional_model() -> None:
    heavy = ("rclpy", "segment_anything", "open_clip", "open3d")
    code = f"import sys, ig_ros.mapper; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
