"""The process around a node: settings of native libraries before they start, and how the process ends."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

FAST_DDS_2 = ("humble", "iron", "jazzy")  # ROS 2 distributions whose Fast DDS reads the older name


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
        os.environ.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", str(profile))
        if os.environ.get("ROS_DISTRO") in FAST_DDS_2:  # newer ones warn about this name
            os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(profile))


def leave(status: int) -> NoReturn:
    """End the process here and now with that status, its streams flushed.

    An interpreter that goes while a thread is inside compiled code aborts the process, one that waits for the threads
    of its pools ends when the last question has been answered, and even with no thread left it takes a second or two
    to unload its libraries. The maps on disk are whole at any moment.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)
