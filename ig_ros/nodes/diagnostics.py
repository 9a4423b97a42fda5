"""What went wrong and how it runs: counters per cause, throttled warnings, and the message on /diagnostics."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from ig_ros.errors import FrameError
from ig_ros.nodes.conversions import header

if TYPE_CHECKING:
    from ig_ros.live import LiveStats

HANGING = 60.0  # s without a finished training step: something is wrong that no exception tells
REPEAT = 10.0  # s: the same cause is warned about at most this often


class Problems:
    """Counts every problem by cause and warns about each cause at once, then at most every REPEAT seconds."""

    def __init__(self, warn: Callable[[str], object]) -> None:
        self._warn = warn
        self._counts: Counter[str] = Counter()
        self._warned: dict[str, tuple[float, int]] = {}  # cause -> when and at which count
        self._lock = threading.Lock()

    def add(self, cause: str, message: str) -> None:
        """Count a problem and, unless the same cause was warned about lately, warn in one line."""
        now = time.monotonic()
        with self._lock:
            self._counts[cause] += 1
            when, count = self._warned.get(cause, (-REPEAT, 0))
            if now - when < REPEAT:
                return
            self._warned[cause] = (now, self._counts[cause])
            unseen = self._counts[cause] - count - 1
        self._warn(f"[{cause}] {message}" + (f" ({unseen} more of these since the last warning)" if unseen > 0 else ""))

    def add_error(self, error: FrameError) -> None:
        """Count and report a frame that cannot be used."""
        self.add(error.cause, str(error))

    def watch(self, future: Future[Any]) -> None:
        """Count and report what a future raises."""
        future.add_done_callback(self._note)

    def _note(self, done: Future[Any]) -> None:
        if error := done.exception():
            self.add(error.cause if isinstance(error, FrameError) else "internal", str(error))

    def counts(self) -> dict[str, int]:
        """Problems so far by cause."""
        with self._lock:
            return dict(self._counts)


class Diagnosis:
    """Builds a node's message for /diagnostics; remembers the problems reported last to tell new ones from them."""

    def __init__(self, name: str) -> None:
        """`name` is the node's, with what it does: `/mapping_node: mapping`."""
        self._name = name
        self._total = 0

    def message(
        self, stamp: int, values: dict[str, str], problems: dict[str, int], state: str, error: str = ""
    ) -> DiagnosticArray:
        """ERROR with an error, WARN when problems came since the last message, OK with the state otherwise."""
        new, self._total = sum(problems.values()) - self._total, sum(problems.values())
        status = DiagnosticStatus(name=self._name, hardware_id="", level=DiagnosticStatus.OK, message=state)
        if error:
            status.level, status.message = DiagnosticStatus.ERROR, error
        elif new > 0:
            worst = max(problems, key=lambda cause: problems[cause])
            status.level, status.message = DiagnosticStatus.WARN, f"{new} new problems, mostly {worst}"
        values = values | {f"problem: {cause}": str(count) for cause, count in sorted(problems.items())}
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        return DiagnosticArray(header=header(stamp, ""), status=[status])


def mapping_error(stats: LiveStats) -> str:
    """Why the mapper has stopped, or that it hangs; empty while it works."""
    if not stats.error and stats.silence > HANGING:
        return f"the trainer has not finished a step for {stats.silence:.0f} s: restart the node"
    return stats.error


def mapping_state(stats: LiveStats, active: bool) -> str:
    """What the mapper does while nothing is wrong."""
    return "inactive" if not active else "mapping" if stats.frames_in else "waiting for frames"


def mapping_values(stats: LiveStats) -> dict[str, str]:
    """The mapper's counters by the keys under which they are published."""
    age = stats.instantiation_age
    values = {
        "device": stats.device,
        "frames in": str(stats.frames_in),
        "frames used": str(stats.frames_used),
        "keyframes": str(stats.keyframes),
        "steps": str(stats.steps),
        "steps per second": f"{stats.steps_per_second:.1f}",
        "anchors": str(stats.anchors),
        "anchors on disk": str(stats.anchors_on_disk),
        "gaussians": str(stats.gaussians),
        "objects": str(stats.objects),
        "loss": f"{stats.loss:.4f}",
        "memory MB": f"{stats.memory_bytes / 1e6:.0f}",
        "age of last instantiation s": "never" if age is None else f"{age:.1f}",
        "restarts": str(stats.restarts),
        "duration of last instantiation s": f"{stats.instantiation_duration:.2f}",
    }
    poses, correction = dict(sorted(stats.poses.items())), stats.correction
    values |= {f"poses {verdict}": str(count) for verdict, count in poses.items()}
    values["pose correction cm"] = f"{100 * correction.shift:.1f}"
    values["pose correction deg"] = f"{math.degrees(correction.turn):.2f}"
    return values | {f"dropped: {cause}": str(count) for cause, count in sorted(stats.dropped.items())}
