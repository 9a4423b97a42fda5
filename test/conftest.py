"""What every test shares: ROS kept on this host, one domain per worker, and the real data sets."""

from __future__ import annotations

import fcntl
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rclpy.context import Context

ROOT = Path(__file__).resolve().parents[1]

DOMAINS = range(20, 100)  # of tests; above 101 the ports of a domain are those that Linux gives to clients


def free_domain() -> tuple[int, IO[str]]:
    """Returns a ROS domain that no other test session on this machine uses, and the lock file that keeps it so."""
    for number in DOMAINS:
        try:
            lock = (Path(tempfile.gettempdir()) / f"ig_ros_test_domain_{number}.lock").open("w")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another session's, perhaps another user's
            continue
        return number, lock
    raise RuntimeError(f"all {len(DOMAINS)} ROS domains for tests are in use")


# All of this is read when rclpy, Fast DDS and OpenMP are loaded, so it stands before any test module is imported.
_domain, _lock = free_domain()  # locked until this process ends
os.environ["ROS_DOMAIN_ID"] = str(_domain)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(ROOT / "config" / "fastdds.xml")
os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(ROOT / "config" / "fastdds.xml")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in `pytest &`, and children inherit that


@pytest.fixture(autouse=True, scope="session")
def _ros_logs(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["ROS_LOG_DIR"] = str(tmp_path_factory.mktemp("ros"))


@pytest.fixture
def ctx() -> Iterator[Context]:
    """A ROS context of this test alone."""
    import rclpy

    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.try_shutdown(context=context)


def _data(name: str) -> Path:
    folder = Path(os.environ.get("IG_DATA", ROOT.parent / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}: set IG_DATA to the folder that holds {name}/")
    return folder


@pytest.fixture(scope="session")
def kitchen() -> Path:
    """100 real RGB-D frames in 7-Scenes layout."""
    return _data("kitchen")


@pytest.fixture(scope="session")
def ycb() -> Path:
    """20 scanned household objects: NAME/textured.obj, metres, z up."""
    return _data("ycb")
