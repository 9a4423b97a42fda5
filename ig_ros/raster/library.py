"""The compiled kernels: which library this processor can run, and the C structs as ctypes.

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

import numpy as np
import torch

from ig_ros.errors import RasterError
from ig_ros.thread_settings import single_threaded

FOLDER = Path(__file__).parent
BUILD_COMMAND = "run `make build` (or `pip install -e .`, or `colcon build`) in the repository root"

# Features that /proc/cpuinfo must list for each x86-64 level beyond the one before it.
X86_LEVELS = {
    "v2": {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"},
    "v3": {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"},
    "v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}

# What ig_raster_seconds() reports, in its order.
STAGES = ("project", "sort", "list per tile", "blend", "blend, backward", "project, backward")

_pointer, _int, _long, _float = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64, ctypes.c_float


class RasterInput(ctypes.Structure):
    """Mirror of the struct in native/raster.h."""

    _fields_ = [
        *((name, _pointer) for name in ("means", "quats", "scales", "opacities", "features", "gate")),
        *((name, _int) for name in ("count", "channels", "gated_begin", "gated_end", "width", "height", "threads")),
        ("world_to_camera", _float * 12),
        *((name, _float) for name in ("fx", "fy", "cx", "cy", "near", "max_alpha")),
    ]


class RasterOutput(ctypes.Structure):
    """Mirror of the struct in native/raster.h."""

    _fields_ = [(name, _pointer) for name in ("features", "depth", "alpha", "transmittance", "visible")]


class RasterGradients(ctypes.Structure):
    """Mirror of the struct in native/raster.h."""

    _fields_ = [
        (name, _pointer)
        for name in (
            *("features", "depth", "alpha"),
            *("means", "quats", "scales", "opacities", "gaussian_features", "screen"),
        )
    ]


class Workspace:
    """Scratch memory of one render, kept until its backward pass has run, then used again by the next render."""

    IDLE = 4  # workspaces kept for reuse at most

    def __init__(self, library: Library) -> None:
        self.library = library
        try:
            self.handle = library.idle.pop()
        except IndexError:
            self.handle = library.native.ig_workspace_create()
        if not self.handle:
            raise MemoryError("no memory for a raster workspace")

    def seconds(self) -> dict[str, float]:
        """What each stage of the last forward and the last backward pass took here, s."""
        found = (ctypes.c_double * len(STAGES))()
        self.library.native.ig_raster_seconds(self.handle, found)
        return dict(zip(STAGES, found, strict=True))

    def __del__(self) -> None:
        handle = getattr(self, "handle", None)
        if not handle:
            return
        if len(self.library.idle) < self.IDLE:
            self.library.idle.append(handle)
        else:
            self.library.native.ig_workspace_destroy(handle)


class _Threads(threading.local):
    """Of the calling thread."""

    kernels: int | None = None  # threads of a kernel; None = as many as torch


_own = _Threads()


def threads() -> int:
    """On how many threads kernels run that the calling thread calls."""
    return torch.get_num_threads() if _own.kernels is None else _own.kernels


@contextmanager
def helpers_for_kernels_only() -> Iterator[None]:
    """The calling thread's kernels keep their helpers, torch's operators have none.

    Beside kernels those are small: done before helpers are awake, the more so where other threads want the cores.
    """
    before = _own.kernels
    _own.kernels = threads()
    try:
        with single_threaded():
            yield
    finally:
        _own.kernels = before


class Library:
    """One loaded variant of the kernels."""

    def __init__(self, path: Path) -> None:
        try:
            self.native = ctypes.CDLL(str(path))
        except OSError as error:
            raise RasterError(f"compiled rasteriser {path} cannot be loaded ({error}): {BUILD_COMMAND}") from error
        self.path = path
        self.idle: deque[int] = deque()  # append and pop are atomic: no lock
        self.native.ig_workspace_create.restype = _pointer
        self.native.ig_workspace_create.argtypes = []
        self.native.ig_workspace_destroy.argtypes = [_pointer]
        self.native.ig_workspace_destroy.restype = None
        self.native.ig_multiply_add_rate.argtypes = [_int, _long]
        self.native.ig_multiply_add_rate.restype = ctypes.c_double
        self.native.ig_raster_seconds.argtypes = [_pointer, _pointer]
        self.native.ig_raster_seconds.restype = None
        self.native.ig_raster_forward.argtypes = [_pointer] * 3
        self.native.ig_raster_backward.argtypes = [_pointer] * 4
        self.native.ig_raster_top.argtypes = [_pointer] * 3
        self.native.ig_rows_in_view.argtypes = [_pointer, _pointer, _long, _pointer, _int, _pointer, _pointer]
        self.native.ig_gather_rows.argtypes = [_pointer, _long, _pointer, _long, _int]
        self.native.ig_depth_loss.argtypes = [*[_pointer] * 3, _long, _float, _float, _int, *[_pointer] * 3]
        self.native.ig_scale_loss.argtypes = [_pointer, _pointer, _long, _long, _float, _int, _pointer, _pointer]
        self.native.ig_adam_rows.argtypes = [_pointer, _long, _pointer, _long, _float, _float, _float, _int]

    def call(self, name: str, *arguments: object) -> None:
        """Run one kernel; structs go by reference. Raises MemoryError."""
        passed = [ctypes.byref(a) if isinstance(a, ctypes.Structure) else a for a in arguments]
        if getattr(self.native, name)(*passed):
            raise MemoryError(f"{name}: out of memory")


def call_with_threads(name: str, *arguments: object) -> None:
    """Run a kernel: arrays go by address, integers as int64, the number of threads last. Raises MemoryError."""
    passed = [
        ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else ctypes.c_int64(a) if isinstance(a, int) else a
        for a in arguments
    ]
    load().call(name, *passed, ctypes.c_int32(threads()))


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


def address(tensor: torch.Tensor | None) -> int | None:
    """Memory address of a contiguous CPU tensor for a C struct; None (a null pointer) for no tensor."""
    return None if tensor is None else tensor.data_ptr()


def _cpu_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError as error:
        raise RasterError(f"cannot read the processor's features from /proc/cpuinfo: {error}") from error
    line = next((line for line in text.splitlines() if line.startswith("flags")), "flags:")
    return set(line.partition(":")[2].split())
