"""What an installation must contain, and that the files which must agree do."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from helpers import need

ROOT = Path(__file__).resolve().parents[1]
SHARE = Path(sys.prefix) / "share"


def test_interfaces_are_generated_for_every_definition() -> None:
    import ig_ros.msg
    import ig_ros.srv

    for folder, module in (("msg", ig_ros.msg), ("srv", ig_ros.srv)):
        for definition in (ROOT / folder).glob(f"*.{folder}"):
            assert hasattr(module, definition.stem), f"{definition.name} is not built: list it in CMakeLists.txt"


def test_every_field_of_the_interfaces_is_explained() -> None:
    for definition in [*ROOT.glob("msg/*.msg"), *ROOT.glob("srv/*.srv")]:
        for line in definition.read_text().splitlines():
            if line.strip() and line != "---":
                assert "#" in line, f"{definition.name}: {line!r} has no comment"


def test_query_answer_survives_serialisation() -> None:
    from geometry_msgs.msg import Vector3
    from rclpy.serialization import deserialize_message, serialize_message

    from ig_ros.msg import Object
    from ig_ros.srv import QueryObject

    mug = Object(id=7, label="mug", score=0.5, views=3, size=Vector3(x=0.1, y=0.2, z=0.3))
    answer = QueryObject.Response(success=True, message="1 object", objects=[mug])
    assert deserialize_message(serialize_message(answer), QueryObject.Response) == answer


def test_native_rasteriser_is_built_for_this_machine() -> None:
    variants = ("v2", "v3", "v4") if platform.machine() in ("x86_64", "AMD64") else ("generic",)
    built = {path.name for path in (ROOT / "ig_ros" / "raster").glob("libig_raster_*.so")}
    assert {f"libig_raster_{variant}.so" for variant in variants} <= built


def data_files() -> set[Path]:
    """Files of the package that are no modules, relative to the repository."""
    return {path.relative_to(ROOT) for kind in ("yaml", "html") for path in ROOT.glob(f"ig_ros/**/*.{kind}")}


def test_pip_installs_the_data_files_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from setuptools import Distribution

    monkeypatch.chdir(ROOT)
    distribution = Distribution()
    distribution.parse_config_files()
    command = distribution.get_command_obj("build_py")
    command.ensure_finalized()
    installed = {Path(folder) / name for _, folder, _, names in command.data_files for name in names}
    wanted = {Path("ig_ros") / name for name in ("language/lexicon.yaml", "language/sizes.yaml", "report/page.html")}
    assert data_files() == installed == wanted


def test_cmake_installs_the_data_files_of_the_package(tmp_path: Path) -> None:
    """The rule of CMakeLists.txt, run as a script of its own."""
    rule = re.search(
        r"install\(DIRECTORY ig_ros/ DESTINATION \S+(.*?)\)\n", (ROOT / "CMakeLists.txt").read_text(), re.DOTALL
    )
    assert rule is not None
    script = tmp_path / "install.cmake"
    script.write_text(f'file(INSTALL "{ROOT}/ig_ros" DESTINATION "{tmp_path}" {rule[1]})')
    cmake = shutil.which("cmake", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert cmake is not None
    subprocess.run([cmake, "-P", str(script)], check=True, capture_output=True)
    found = [path for kind in ("yaml", "html") for path in tmp_path.rglob(f"*.{kind}")]
    assert {path.relative_to(tmp_path) for path in found} == data_files()
    assert not (tmp_path / "ig_ros" / "raster" / "native").exists()


def test_ros_finds_package_files_and_executables() -> None:
    assert (SHARE / "ament_index" / "resource_index" / "packages" / "ig_ros").is_file()
    for name in ("package.xml", "launch/mapping.launch.py", "config/mapping.yaml", "config/mapping.rviz"):
        assert (SHARE / "ig_ros" / name).read_bytes() == (ROOT / name).read_bytes(), name


@pytest.mark.parametrize("name", ["mapping_node", "player", "segmenter_node"])
def test_executable_of_pip_and_script_of_colcon_start_the_same(name: str) -> None:
    setup = types.ModuleType("setup")
    setup.__file__ = str(ROOT / "setup.py")
    exec((ROOT / "setup.py").read_text(), vars(setup))
    module, argument = setup.EXECUTABLES[name].split()
    installed = Path(sys.prefix) / "lib" / "ig_ros" / name
    assert installed.stat().st_mode & 0o111
    wanted = {"player": "Usage", "mapping_node": "unknown parameter 'x'", "segmenter_node": "unknown parameter 'x'"}[
        name
    ]
    options = ["--help"] if name == "player" else ["--ros-args", "-p", "x:=1"]
    for command in (["-m", module, argument], [str(ROOT / "scripts" / name)]):
        done = subprocess.run([sys.executable, *command, *options], capture_output=True, text=True, check=False)
        assert wanted in done.stdout + done.stderr


@pytest.mark.field("ros", "ig after colcon build", "on the PATH of the sourced workspace, and by ros2 run ig_ros ig")
def test_a_workspace_has_the_command(tmp_path: Path) -> None:
    """The rules of CMakeLists.txt, run as a script of their own."""
    rules = re.findall(r"install\((PROGRAMS .*?)\)", (ROOT / "CMakeLists.txt").read_text())
    text = ""
    for rule in rules:
        _, *sources, _, folder = rule.split()
        files = " ".join(f'"{ROOT / source}"' for source in sources)
        text += f'file(INSTALL {files} DESTINATION "{tmp_path}/{folder}" USE_SOURCE_PERMISSIONS)\n'
    script = tmp_path / "install.cmake"
    script.write_text(text.replace("${PROJECT_NAME}", "ig_ros"))
    cmake = shutil.which("cmake", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert cmake is not None
    subprocess.run([cmake, "-P", str(script)], check=True, capture_output=True)
    for folder in ("bin", "lib/ig_ros"):
        done = subprocess.run([sys.executable, tmp_path / folder / "ig", "--help"], capture_output=True, text=True)
        assert "Usage: ig" in done.stdout, done.stderr


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    assert manifest.findtext("version") == project["version"]
    assert manifest.findtext("license") == project["license"]


def test_a_missing_extra_fails_where_all_are_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="extra clip"):
        need("no_such_package", "clip")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="extra clip"):
        need("no_such_package", "clip")


def pins(file: str) -> dict[str, str]:
    """Name -> version of a file of constraints."""
    return dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / file).read_text(), re.MULTILINE))


def test_every_direct_requirement_is_pinned() -> None:
    file = tomllib.loads((ROOT / "pyproject.toml").read_text())
    core, extras = file["project"]["dependencies"], file["project"]["optional-dependencies"]
    jazzy = [*core, *extras.pop("ros-jazzy")]
    kilted = [*core, *file["build-system"]["requires"], *(line for extra in extras.values() for line in extra)]
    for wanted, constraints in ((kilted, "constraints.txt"), (jazzy, "constraints-jazzy.txt")):
        names = {re.sub(r"[-_.]+", "-", re.split(r"[\[=<>!~ ]", line)[0]).lower() for line in wanted}
        assert names - pins(constraints).keys() == set()
        assert pins(constraints)["torch"] == "2.13.0"


def test_jazzy_is_tested_with_ubuntus_numpy_and_else_with_the_same_packages() -> None:
    kilted, jazzy = pins("constraints.txt"), pins("constraints-jazzy.txt")
    others = {name for name in kilted.keys() & jazzy.keys() if not name.startswith("ros-")}
    assert {name: jazzy[name] for name in others if jazzy[name] != kilted[name]} == {
        "numpy": "1.26.4", "scipy": "1.11.4", "opencv-python-headless": "4.6.0.66", "plyfile": "1.1.3",
    }  # fmt: skip


def test_generated_messages_lie_in_the_environment_that_they_were_generated_for() -> None:
    import ig_ros.msg

    assert Path(ig_ros.msg.__file__).is_relative_to(sys.prefix), "they hide those of every other ROS: run make build"
