"""How much a call adds to the resident memory of the process, kernels' and torch's own included. Linux only."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

from ig_ros.raster.library import load

PROCESS = Path("/proc/self")


def peak_growth(function: Callable[[], object]) -> float:
    """MB that the resident memory grows by at the most during a call that finds nothing of an earlier one to reuse."""
    give_back()
    (PROCESS / "clear_refs").write_text("5")  # the highest mark so far is forgotten, see proc_pid_clear_refs(5)
    before = kilobytes("VmRSS")
    function()
    return max(kilobytes("VmHWM") - before, 0) / 1e3


def give_back() -> None:
    """What the process holds for reuse: garbage, idle workspaces of the raster, the free part of the heap."""
    gc.collect()
    library = load()
    while library.idle:
        library.call("ig_workspace_destroy", library.idle.pop())
    ctypes.CDLL(None).malloc_trim(0)


def kilobytes(name: str) -> int:
    """One figure of /proc/self/status."""
    lines = (PROCESS / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
