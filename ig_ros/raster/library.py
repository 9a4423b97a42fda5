"""The compiled kernels: which library this processor can run, and how it is called.

CMake builds `libig_raster_v2/v3/v4.so` (x86-64 levels) or `libig_raster_generic.so` beside this file. The library works
on raw tensor memory and knows nothing of torch; ctypes releases the GIL during a call. It uses OpenMP with `threads()`
threads: processes that train should start with OMP_WAIT_POLICY=passive in the environment (it is read when
torch loads, so only the entry point can set it), or two idle thread pools burn the cores.
"""

from __future__ import annotations

import ctypes
import platform
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ig_ros.errors import RasterError
from ig_ros.raster.abi import Abi
from ig_ros.thread_settings import single_threaded

FOLDER = Path(__file__).parent
BUILD_COMMAND = "run `make build` (or `pip install -e .`, or `colcon build`) in the repository root"

# Features that /proc/cpuinfo must list for each x86-64 level beyond the one before it.
X86_LEVELS = {
    "v2": {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"},
    "v3": {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"},
    "v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}


class Workspace:
    """Scratch memory of one render, kept until its backward pass has run, then used again by the next render."""

    IDLE = 4  # workspaces kept for reuse at most

    def __init__(self, library: Library) -> None:
        self.library = library
        try:
            self.handle = library.idle.pop()
        except IndexError:
            self.handle = library.call("ig_workspace_create")
        if not self.handle:
            raise MemoryError("no memory for a raster workspace")

    def __del__(self) -> None:
        handle = getattr(self, "handle", None)
        if not handle:
            return
        if len(self.library.idle) < self.IDLE:
            self.library.idle.append(handle)
        else:
            self.library.call("ig_workspace_destroy", handle)


class _Threads(threading.local):
    """The number of threads on which kernels run that the calling thread calls."""

    kernels: int | None = None  # None = as many as torch


_own = _Threads()


def threads() -> int:
    """Returns on how many threads kernels run that the calling thread calls."""
    return torch.get_num_threads() if _own.kernels is None else _own.kernels


@contextmanager
def helpers_for_kernels_only() -> Iterator[None]:
    """Run torch's operators of the calling thread on one thread, its kernels on as many as before.

    Beside the kernels those operators are small: they are done before other threads have started on them.
    """
    before = _own.kernels
    _own.kernels = threads()
    try:
        with single_threaded():
            yield
    finally:
        _own.kernels = before


class Library:
    """One loaded variant of the kernels. Raises RasterError for a file that cannot be loaded."""

    def __init__(self, path: Path) -> None:
        try:
            native = ctypes.CDLL(str(path))
            native.ig_abi.restype = ctypes.c_char_p
            self.abi = Abi(native.ig_abi().decode())
        except (OSError, AttributeError) as error:
            raise RasterError(f"compiled rasteriser {path} cannot be loaded ({error}): {BUILD_COMMAND}") from error
        self.path = path
        self.idle: deque[int] = deque()  # of workspaces; append and pop are atomic: no lock
        self._functions = {name: getattr(native, name) for name in self.abi.arguments}
        for name, function in self._functions.items():
            function.argtypes = [self.abi.type_of(argument) for argument in self.abi.arguments[name]]
            function.restype = self.abi.results[name]

    def struct(self, name: str, **values: Any) -> ctypes.Structure:
        """A struct of native/abi.h with a value for each field, see Abi.make. Raises TypeError."""
        return self.abi.make(name, values)

    def call(self, name: str, *arguments: Any) -> Any:
        """Run one function of native/abi.h, see Abi.convert. Raises TypeError, and MemoryError when memory is short."""
        result = self._functions[name](*self.abi.convert(name, arguments))
        if self.abi.results[name] is ctypes.c_int and result:
            raise MemoryError(f"{name}: out of memory")
        return result


def supported_variants() -> list[str]:
    """Names of the builds this processor can run, best first."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return ["generic"]
    flags = _cpu_flags()
    variants: list[str] = []
    for level, needed in X86_LEVELS.items():
        if not needed <= flags:
            break
        variants.insert(0, level)
    return variants


def available_variants() -> list[str]:
    """Names of the builds that this processor can run and that have been compiled, best first."""
    return [v for v in supported_variants() if library_path(v).exists()]


def library_path(variant: str) -> Path:
    """Where a variant of the library lies."""
    return FOLDER / f"libig_raster_{variant}.so"


@cache
def load(variant: str = "best") -> Library:
    """The named variant, or the best one for this processor. Raises RasterError naming the build command."""
    if variant == "best":
        available = available_variants()
        if not available:
            wanted = ", ".join(library_path(v).name for v in supported_variants())
            raise RasterError(f"compiled rasteriser missing: none of {wanted} in {FOLDER}: {BUILD_COMMAND}")
        return load(available[0])
    return Library(library_path(variant))


def _cpu_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError as error:
        raise RasterError(f"cannot read the processor's features from /proc/cpuinfo: {error}") from error
    line = next((line for line in text.splitlines() if line.startswith("flags")), "flags:")
    return set(line.partition(":")[2].split())
