"""In the steady state the kernels of a training step take no memory from the system.

On two threads: for a team of one, libgomp itself allocates in every parallel region.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COUNTER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
static long calls;
long ig_allocations(void) { return __atomic_load_n(&calls, __ATOMIC_RELAXED); }
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
static void one(void) { __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED); }
void *malloc(size_t n) { one(); return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { one(); return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { one(); return __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { one(); return __libc_memalign(a, n); }
"""

STEPS = r"""
import ctypes, json, sys
from collections import defaultdict
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(2)
from helpers import orbit, small_config
from ig_ros.mapper import Mapper
from ig_ros.raster.library import Library

count = ctypes.CDLL(None).ig_allocations
count.restype = ctypes.c_long
made, step = defaultdict(dict), 0

def counted(self, name, *arguments):
    passed = [ctypes.byref(a) if isinstance(a, ctypes.Structure) else a for a in arguments]
    kernel = getattr(self.native, name)
    before = count()
    failed = kernel(*passed)
    made[name][step] = made[name].get(step, 0) + count() - before
    assert not failed

mapper = Mapper(small_config(threads=2, training__warmup_visits=1, training__joint_visits=2, training__growth="none"))
for frame in orbit(1):
    mapper.add_frame(frame)
Library.call = counted
mapper.train_step()
first = sum(made["ig_raster_forward"].values())
for _ in range(30):  # until every mask is covered and counted: a new one needs room
    mapper.train_step()
made.clear()
for step in range(10):
    mapper.train_step()
print(json.dumps([first, made]))
"""


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
@pytest.mark.skipif(sys.platform != "linux", reason="counts through glibc's names")
def test_ten_steps_allocate_nothing_in_the_kernels(tmp_path: Path) -> None:
    source, library = tmp_path / "counter.c", tmp_path / "counter.so"
    source.write_text(COUNTER)
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    command = [sys.executable, "-c", STEPS, str(Path(__file__).resolve().parents[1])]
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    first, found = json.loads(done.stdout.splitlines()[-1])
    made = {name: {int(step): n for step, n in of.items()} for name, of in found.items()}
    for name in ("raster_forward", "raster_backward", "decode_forward", "decode_backward", "feature_loss"):
        assert max(made[f"ig_{name}"]) == 9, f"{name} ran to the end"
    assert first > 0, "the first step's memory is counted"
    taken = {name: {step: n for step, n in of.items() if n} for name, of in made.items()}
    assert not any(taken.values()), str(taken)
