#!/usr/bin/env bash
# Usage: scripts/install.sh dependencies|package VENV [jazzy]
#   dependencies  creates VENV and installs the pinned build, run, ROS and development requirements of pyproject.toml;
#                 with jazzy what the node tests need: ROS 2 Jazzy, and NumPy, SciPy and OpenCV as Ubuntu 24.04 has them
#   package       builds ig_ros (messages, rasteriser) and installs it editable into VENV
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$2 distribution=${3:-}
export PIP_CONSTRAINT="$PWD/constraints${distribution:+-$distribution}.txt" PIP_DISABLE_PIP_VERSION_CHECK=1

# PyPI's torch for Linux carries CUDA (gigabytes). Without an NVIDIA driver take PyTorch's own CPU wheels.
torch_index() {
  local index=https://download.pytorch.org/whl/cpu
  command -v nvidia-smi >/dev/null && return 0
  "$venv/bin/python" -c "import urllib.request as u; u.urlopen('$index/torch/', timeout=5)" 2>/dev/null || return 0
  echo "--extra-index-url=$index"
}

dependencies() {
  scripts/system_packages.sh
  local python
  python=$(command -v python3.11 || command -v python3)
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || {
    echo "cannot create $venv: on Debian and Ubuntu run: sudo apt-get install -y python3-venv" >&2
    exit 1
  }
  "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "$venv has Python older than 3.11: install Python 3.11 or newer, remove $venv and run make again" >&2
    exit 1
  }
  "$venv/bin/python" -m pip install -q pip setuptools wheel
  # shellcheck disable=SC2046  # no word where there is no extra index
  "$venv/bin/python" -m pip install -q torch==2.13.0 $(torch_index)
  "$venv/bin/python" - "$venv" "$distribution" <<'PYTHON' > "$venv/requirements.txt"
import sys
import tomllib

with open("pyproject.toml", "rb") as stream:
    project = tomllib.load(stream)
extras = project["project"]["optional-dependencies"]
build, source = project["build-system"]["requires"], extras["sam2"]
if sys.argv[2] == "jazzy":
    tools = [line for line in build if line.startswith(("setuptools", "cmake", "ninja"))]
    testing = [line for line in extras["dev"] if line.startswith(("pytest", "hypothesis", "viser"))]
    wanted, source = [*tools, *extras["ros-jazzy"], *testing], []
else:
    wanted = [*build, *extras["ros"], *extras["dev"]]
print(*project["project"]["dependencies"], *wanted, sep="\n")
with open(f"{sys.argv[1]}/from_source.txt", "w") as stream:
    print(*source, sep="\n", file=stream)
PYTHON
  "$venv/bin/python" -m pip install -q -r "$venv/requirements.txt"
  # sam2 comes as source and builds against torch: by itself pip would fetch another torch (gigabytes) to build it
  SAM2_BUILD_CUDA=0 "$venv/bin/python" -m pip install -q --no-build-isolation -r "$venv/from_source.txt"
  "$venv/bin/python" -c 'import open3d' || {
    echo "Open3D does not import (see above); it needs: sudo apt-get install -y libusb-1.0-0 libgl1 libgomp1" >&2
    exit 1
  }
}

package() {
  local log="$venv/build.log"
  "$venv/bin/python" -m pip install --no-build-isolation --no-deps -e . >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
  }
}

case $1 in
  dependencies | package) "$1" ;;
  *) echo "usage: scripts/install.sh dependencies|package VENV [jazzy]" >&2; exit 2 ;;
esac
