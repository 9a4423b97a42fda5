"""Everything that is set for a whole process. The entry points (`ig`, the nodes) call it; nothing is set on import.

- Environment, read once by native libraries while they are loaded and never overriding the user's: `OMP_WAIT_POLICY`
  (idle OpenMP workers sleep, else they starve the callbacks) and the Fast DDS profile (a shared-memory segment large
  enough for images; above 0.5 MB best-effort messages vanish without it).
- SIGINT: a shell starts `command &` with the signal ignored, and children inherit that; ours are ended by it.
- Memory: glibc's allocator keeps a bound on its heaps; objects that stay are not searched for garbage.
- `run_node` is a node's whole life: it leaves the ROS graph and /dev/shm, then the process ends by os._exit.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

FAST_DDS_2 = ("humble", "iron", "jazzy")  # ROS 2 distributions whose Fast DDS reads the older name
# Parameters of glibc's mallopt (malloc.h) and what suits a process that holds few large arrays for hours.
MALLOPT = (
    (-8, 4),  # M_ARENA_MAX: heaps at most; each thread may fill one of its own, and each keeps what it once needed
    (-3, 32 << 20),  # M_MMAP_THRESHOLD, bytes: fixed, else one large block of a rare code path raises it for good
    (-1, 64 << 20),  # M_TRIM_THRESHOLD, bytes that may lie idle on top of a heap; fixed for the same reason
)


def ros_prefixes() -> list[Path]:
    """Returns the folders that may hold lib/ and share/ of ROS packages: of a sourced ROS, and of the wheels."""
    return [
        Path(prefix) for prefix in (*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix) if prefix
    ]


def share_file(relative: str) -> Path | None:
    """Returns a file of the share directory (config/..., launch/...) from the source tree or an installation."""
    source = Path(__file__).resolve().parents[2] / relative
    if source.is_file():
        return source
    installed = (prefix / "share" / "ig_ros" / relative for prefix in ros_prefixes())
    return next((path for path in installed if path.is_file()), None)


def prepare_process() -> None:
    """Sets environment and SIGINT; to be called before torch and rclpy are imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    profile = share_file("config/fastdds.xml")
    if profile is not None:
        os.environ.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", str(profile))
        wheels = (path for prefix in ros_prefixes() for path in prefix.glob("lib/libfastrtps.so*"))  # set no ROS_DISTRO
        if os.environ.get("ROS_DISTRO") in FAST_DDS_2 or any(wheels):  # newer ones warn about this name
            os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(profile))
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def bound_heaps() -> None:
    """Makes the allocator keep as much memory after hours as at the start; before threads start. Only glibc can."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in MALLOPT:
            mallopt(parameter, value)


def freeze_loaded_objects() -> None:
    """Excludes all objects of now from garbage collection; to be called when the models are loaded.

    Half a million objects, nine tenths of those of a running node, take a quarter of a second every few seconds, while
    which every thread waits.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def started_ros(args: list[str] | None) -> Iterator[None]:
    """ROS around a block; `args` are its arguments, None for the command line's. Jazzy's rclpy.init is no context."""
    import rclpy

    rclpy.init(args=args)
    try:
        yield
    finally:
        rclpy.try_shutdown()


def run_node(name: str, make: Callable[[], Any], args: list[str] | None) -> NoReturn:
    """Makes a node, starts it (`start`), spins it until a signal, closes it (`close`), destroys it, ends the process.

    The status is 0 after SIGINT and SIGTERM, 1 with a line on stderr for the IgError of a node that cannot start.
    """
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    from ig_ros.errors import IgError

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # rclpy's handler calls it: it also ends a long start
    status = 0
    try:
        with started_ros(args):
            node, executor = make(), SingleThreadedExecutor()
            try:
                node.start()
                executor.add_node(node)
                executor.spin()
            finally:
                for number in (signal.SIGINT, signal.SIGTERM):  # a launcher sends them twice
                    signal.signal(number, signal.SIG_IGN)
                node.close()
                executor.shutdown(0.1)  # it holds what it was waiting for
                node.destroy_node()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except IgError as error:
        sys.stderr.write(f"{name}: {error}\n")
        status = 1
    if status:
        gc.collect()  # what is left of a node that could not be made leaves the graph
    leave(status)


def leave(status: int) -> NoReturn:
    """Ends the process at once with a status, its streams flushed.

    An interpreter that ends while a thread is inside compiled code aborts the process; one that waits for its pools
    ends when the last request has been answered. The maps on disk are whole at any moment.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)
