"""Starting and stopping node processes."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., subprocess.Popen]


def segments(process: int | str) -> set[Path]:
    """Files of Fast DDS in /dev/shm that a process uses, those it shares with others as well."""
    lines = Path(f"/proc/{process}/maps").read_text().splitlines()
    return {Path(line.split()[-1]) for line in lines if re.search("/dev/shm/fast(dds|rtps)", line)}


def stop(process: subprocess.Popen, timeout: float = 5.0, number: int = signal.SIGINT) -> tuple[int, float]:
    """Interrupt a process like Ctrl-C under a launcher, that is twice; its exit status and the seconds it took."""
    begin = time.monotonic()
    for _ in range(2):
        if process.poll() is None:
            process.send_signal(number)
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    return status, time.monotonic() - begin
