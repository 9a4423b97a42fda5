"""What the package imports is what its installation brings: by the documented pip line, package.xml or an extra."""

from __future__ import annotations

import ast
import importlib.metadata as metadata
import re
import shlex
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ig_ros.errors import viewer_missing

ROOT = Path(__file__).resolve().parents[1]
# Keys of package.xml that rosdep knows by another name than the module's.
ABSENT = {"liblzfse": "pyliblzfse"}  # module -> distribution of an extra that is not installed for the tests
OPTIONAL = {"vision_msgs"}  # messages that are read where ROS has them
ROSDEP = {
    "python3-numpy": "numpy", "python3-opencv": "cv2", "python3-pil": "PIL", "python3-psutil": "psutil",
    "python3-scipy": "scipy", "python3-yaml": "yaml", "tf2_ros_py": "tf2_ros",
}  # fmt: skip


def imported() -> set[str]:
    """Third-party modules that ig_ros imports, wherever in a file; generated messages import only ROS's."""
    found: set[str] = set()
    for path in (ROOT / "ig_ros").rglob("*.py"):
        if path.parent.name in ("msg", "srv"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(str(node.module).split(".")[0])
    return found - sys.stdlib_module_names - {"ig_ros"}


def test_nothing_asks_scipy_for_more_than_ubuntu_24_04_has() -> None:
    """`scalar_first` came with SciPy 1.14; with 1.11 a correction of past poses failed inside the node."""
    found = [path.name for path in (ROOT / "ig_ros").rglob("*.py") if "scalar_first" in path.read_text()]
    assert found == [], "index the quaternion instead"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(lines: list[str]) -> set[str]:
    """Distributions that pip installs for these requirements, as far as they are installed here."""
    found: set[str] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        requirement = waiting.pop()
        name = canonical(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        try:
            waiting += [Requirement(line) for line in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:
            continue
    return found


def documented(page: str) -> list[str]:
    """Requirements of the page's line for a ROS workspace."""
    text = (ROOT / page).read_text().replace("\\\n", " ")
    line = re.search(r"rosdep install .* && pip install (.*)", text)
    assert line is not None
    return shlex.split(line[1])


@pytest.mark.parametrize("page", ["README.md", "docs/robot.md"])
def test_a_workspace_has_all_that_is_imported(page: str) -> None:
    keys = {e.text for e in ElementTree.parse(ROOT / "package.xml").iter() if e.tag in ("depend", "exec_depend")}
    assert keys >= ROSDEP.keys()
    by_ros = {ROSDEP.get(str(key), str(key)) for key in keys}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = closure([line for name, lines in extras.items() if name not in ("dev", "docs") for line in lines])
    brought = closure(documented(page)) | named
    providers = metadata.packages_distributions()
    missing = {
        module
        for module in imported() - by_ros - OPTIONAL
        if not brought & {canonical(name) for name in providers.get(module, [ABSENT.get(module, module)])}
    }
    assert missing == set(), "add to the pip line of README.md and docs/robot.md, or to package.xml"


@pytest.mark.field("ros", "package.xml on a headless robot", "what launch files start is a dependency, RViz is none")
def test_what_launch_files_start_is_a_dependency() -> None:
    keys = {e.text for e in ElementTree.parse(ROOT / "package.xml").iter() if e.tag == "exec_depend"}
    text = "".join(path.read_text() for path in ROOT.glob("launch/*.py"))
    verbs = {f"ros2{verb}" for verb in re.findall(r'"ros2", "(\w+)"', text)}
    assert verbs == {"ros2bag", "ros2service"}
    assert keys >= verbs | {"ros2launch", "launch", "launch_ros", "tf2_ros_py"}
    assert "rviz2" not in keys


@pytest.mark.field("ros", "README's install on Ubuntu 24.04", "a line in an environment of its own that keeps NumPy 1")
@pytest.mark.parametrize("page", ["README.md", "docs/robot.md"])
def test_the_line_installs_into_an_environment_that_sees_ubuntus_packages(page: str) -> None:
    before, after = (ROOT / page).read_text().replace("\\\n", " ").split("pip install ", 1)
    assert "python3 -m venv --system-site-packages ~/ig_venv && . ~/ig_venv/bin/activate" in before.splitlines()[-1]
    assert after.startswith('"numpy<2" ')
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints-jazzy.txt").read_text(), re.MULTILINE))
    asked = {canonical(r.name): r for r in map(Requirement, documented(page))}
    assert {name for name, r in asked.items() if name in pins and not r.specifier.contains(pins[name])} == set()


def test_the_line_brings_what_segmenter_report_and_page_need() -> None:
    assert closure(documented("README.md")) >= {"scikit-image", "matplotlib", "viser", "scikit-learn", "jinja2", "rich"}


def test_viser_is_advised_only_where_viser_is_missing() -> None:
    assert "pip install viser" in str(viewer_missing(ModuleNotFoundError("", name="viser")))
    other = str(viewer_missing(ModuleNotFoundError("", name="skimage")))
    assert "skimage" in other
    assert "viser" not in other
