"""Settings of native libraries that must be in the environment before those libraries start."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def share_file(relative: str) -> Path | None:
    """A file of this package's share directory (config/..., launch/...), from the source tree or an installation."""
    source = Path(__file__).resolve().parents[2] / relative
    if source.is_file():
        return source
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    for prefix in filter(None, prefixes):
        installed = Path(prefix) / "share" / "ig_ros" / relative
        if installed.is_file():
            return installed
    return None


def prepare_process() -> None:
    """Give Fast DDS and OpenMP their settings where the user has given none."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    profile = share_file("config/fastdds.xml")
    if profile is not None:
        # The second name is the one that Fast DDS 2 (ROS 2 Jazzy and older) reads.
        for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
            os.environ.setdefault(name, str(profile))
