"""Starting and stopping node processes."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., subprocess.Popen]


def stop(process: subprocess.Popen, timeout: float = 5.0) -> tuple[int, float]:
    """Interrupt a process like Ctrl-C; its exit status and the seconds that it took."""
    begin = time.monotonic()
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    return status, time.monotonic() - begin
