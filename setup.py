"""The pip side of the package: runs the CMakeLists.txt that colcon uses and takes its results over.

The ROS wheels of PyPI make the environment a ROS prefix (lib/, share/, ament index); installing ig_ros adds to it.
Without them the core is built, without messages and nodes: `ig map`, `query`, `view` and `export` need none.

Generated messages belong to one ROS distribution, so they lie in the environment, never among the sources: environments
of several distributions share one checkout (`pip install -e`).
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
PACKAGE = "ig_ros"
GENERATED = "lib/ig_ros/python"  # messages of an editable installation, below the prefix
EXECUTABLES = {  # lib/ig_ros/NAME -> module and arguments
    "ig": "ig_ros.cli",
    "mapping_node": "ig_ros.nodes mapping_node",
    "segmenter_node": "ig_ros.nodes segmenter_node",
    "player": "ig_ros.cli play",
}


def ros_prefix() -> Path | None:
    """Returns the prefix into which pip has put the ROS wheels (this environment or an isolated one); None without."""
    spec = importlib.util.find_spec("rosidl_pycommon")
    if spec is None or not spec.submodule_search_locations:
        return None
    for parent in Path(spec.submodule_search_locations[0]).parents:
        if (parent / "share" / "ament_index").is_dir():
            return parent
    raise SystemExit(f"no ament index above {spec.submodule_search_locations[0]}: the ROS wheels are not complete")


def build_environment(prefix: Path | None) -> dict[str, str]:
    """The process environment without any other ROS that may be sourced."""
    foreign = ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH", "ROS_DISTRO", "PYTHONPATH")
    env = {name: value for name, value in os.environ.items() if name not in foreign}
    if prefix is not None:
        env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = str(prefix)
    env["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(p for p in sys.path if p.endswith("site-packages")))
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    if shutil.which("ninja", path=env["PATH"]):
        env.setdefault("CMAKE_GENERATOR", "Ninja")
    return env


def run_cmake(build: Path, stage: Path, prefix: Path | None) -> None:
    """Configures, builds and installs into `stage`; without a ROS prefix the core alone."""
    env = build_environment(prefix)
    cmake = shutil.which("cmake", path=env["PATH"])
    if cmake is None:
        raise SystemExit("cmake is missing: install it with pip (cmake) or apt-get install cmake")
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "BUILD_TESTING": "OFF",
        "CMAKE_INSTALL_PREFIX": stage,
        "IG_ROS_INTERFACES": "ON" if prefix else "OFF",
        "Python3_EXECUTABLE": sys.executable,
        "Python3_FIND_VIRTUALENV": "ONLY",
        "Python3_INCLUDE_DIR": sysconfig.get_path("include"),
    }
    if prefix is not None:
        options["CMAKE_PROJECT_INCLUDE"] = ROOT / "cmake" / "ros_wheels.cmake"
    defines = [f"-D{name}={value}" for name, value in options.items()]
    subprocess.check_call([cmake, "-S", str(ROOT), "-B", str(build), *defines], env=env)
    subprocess.check_call([cmake, "--build", str(build), "--target", "install", "--parallel"], env=env)


class BuildWithCMake(build_ext):
    """The compiled rasteriser and, where there is ROS, generated messages and type support, from one CMake run."""

    def run(self) -> None:
        scratch = Path(self.build_temp).resolve()
        stage = scratch / "stage"
        shutil.rmtree(scratch, ignore_errors=True)
        prefix = ros_prefix()
        run_cmake(scratch / "cmake", stage, prefix)
        generated = next((stage / "lib").glob(f"python*/*-packages/{PACKAGE}"))
        data = self.prefix_files(stage)
        if self.inplace or getattr(self, "editable_mode", False):
            self.take_libraries(generated, ROOT / PACKAGE)
            data |= self.environment_files(generated, scratch)
        else:
            package = Path(self.build_lib).resolve() / PACKAGE
            self.take_libraries(generated, package)
            for path in self.messages(generated):
                (package / path.relative_to(generated)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, package / path.relative_to(generated))
        if prefix is not None:
            data[f"lib/{PACKAGE}"] = [str(path) for path in self.write_executables(scratch / "executables")]
        self.distribution.data_files = [*(self.distribution.data_files or []), *data.items()]

    def take_libraries(self, generated: Path, package: Path) -> None:
        """The compiled rasteriser, which knows no ROS: beside the sources (editable) or into the wheel."""
        for library in generated.glob("raster/*.so"):
            target = package / library.relative_to(generated)
            target.unlink(missing_ok=True)  # a running process keeps the old file; overwriting it would crash it
            shutil.copy2(library, target)

    def messages(self, generated: Path) -> list[Path]:
        """Returns the generated modules and their compiled halves; none where it was built without ROS."""
        return sorted([*generated.glob("*.so"), *generated.glob("msg/*.py"), *generated.glob("srv/*.py")])

    def environment_files(self, generated: Path, scratch: Path) -> dict[str, list[str]]:
        """The messages, for below the prefix, and `ig_ros.pkg`, with which `ig_ros/__init__.py` finds them there."""
        for old in ("msg", "srv"):  # earlier builds left them here, where they would come first
            shutil.rmtree(ROOT / PACKAGE / old, ignore_errors=True)
        for library in (ROOT / PACKAGE).glob("*.so"):
            library.unlink()
        files: dict[str, list[str]] = {}
        for path in self.messages(generated):
            files.setdefault(f"{GENERATED}/{path.parent.relative_to(generated)}", []).append(str(path))
        pointer = scratch / f"{PACKAGE}.pkg"
        pointer.write_text(f"{sys.prefix}/{GENERATED}\n")
        return files | {os.path.relpath(sysconfig.get_path("purelib"), sys.prefix): [str(pointer)]}

    def prefix_files(self, stage: Path) -> dict[str, list[str]]:
        """What ROS looks for below a prefix: type support libraries, ament index, launch and config files."""
        files = {"lib": [str(path) for path in sorted((stage / "lib").glob("*.so"))]}
        for path in sorted((stage / "share").rglob("*")):
            folder = path.relative_to(stage).parent
            shell_hook = path.suffix in (".sh", ".bash", ".zsh", ".dsv", ".ps1")
            build_only = {"cmake", "environment"} & set(folder.parts) or folder.name == "parent_prefix_path"
            if path.is_file() and not shell_hook and not build_only:
                files.setdefault(str(folder), []).append(str(path))
        return files

    def write_executables(self, folder: Path) -> list[Path]:
        """lib/ig_ros/<executable>, where `ros2 run` and launch files look, bound to this environment's Python."""
        folder.mkdir(parents=True)
        for name, command in EXECUTABLES.items():
            (folder / name).write_text(f'#!/bin/sh\nexec "$(dirname "$0")/../../bin/python3" -m {command} "$@"\n')
            (folder / name).chmod(0o755)
        return [folder / name for name in EXECUTABLES]

    def get_outputs(self) -> list[str]:
        return []

    def get_output_mapping(self) -> dict[str, str]:
        return {}


class RosDistribution(Distribution):
    """The editable wheel of setuptools asks has_data(), which Distribution lacks: without it `pip install -e` would
    leave out data_files, that is the type support libraries and the ament index."""

    def has_data(self) -> bool:
        return self.has_data_files()


if __name__ == "__main__":
    setup(
        distclass=RosDistribution,
        ext_modules=[Extension(f"{PACKAGE}._interfaces", [])],
        cmdclass={"build_ext": BuildWithCMake},
    )
