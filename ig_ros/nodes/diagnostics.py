"""What went wrong and how it runs: counters per cause, throttled warnings, and the message on /diagnostics."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

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

    def counts(self) -> dict[str, int]:
        """Problems so far by cause."""
        with self._lock:
            return dict(self._counts)


class Diagnosis:
    """Builds the diagnostics message; remembers the last one to tell fresh problems from old ones."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._total = 0

    def message(
        self, stamp: int, stats: LiveStats, problems: dict[str, int], stream: dict[str, str], active: bool = True
    ) -> DiagnosticArray:
        """ERROR when the mapper has stopped or hangs, WARN when problems came since the last message, OK otherwise.

        `stream` are further values, of the node's own.
        """
        total, news = count_news(problems, self._total)
        status = DiagnosticStatus(name=f"{self._name}: mapping", hardware_id="")
        if stats.error:
            status.level, status.message = DiagnosticStatus.ERROR, stats.error
        elif stats.silence > HANGING:
            status.level = DiagnosticStatus.ERROR
            status.message = f"the trainer has not finished a step for {stats.silence:.0f} s: restart the node"
        elif news:
            status.level, status.message = DiagnosticStatus.WARN, news
        else:
            idle = "mapping" if stats.frames_in else "waiting for frames"
            status.level, status.message = DiagnosticStatus.OK, idle if active else "inactive"
        self._total = total
        values = _values(stats, problems) | stream
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        return DiagnosticArray(header=header(stamp, ""), status=[status])


class SegmenterDiagnosis:
    """Builds the segmenter node's message: WARN when problems came since the last one, OK otherwise."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._total = 0

    def message(self, stamp: int, numbers: dict[str, int], problems: dict[str, int]) -> DiagnosticArray:
        """`numbers` are those of the node, by what they count; "images in" tells whether it has work."""
        self._total, news = count_news(problems, self._total)
        status = DiagnosticStatus(name=f"{self._name}: segmenting", hardware_id="")
        status.level = DiagnosticStatus.WARN if news else DiagnosticStatus.OK
        status.message = news or ("segmenting" if numbers.get("images in") else "waiting for images")
        numbers = numbers | {f"problem: {cause}": count for cause, count in sorted(problems.items())}
        status.values = [KeyValue(key=key, value=str(value)) for key, value in numbers.items()]
        return DiagnosticArray(header=header(stamp, ""), status=[status])


def count_news(problems: dict[str, int], before: int) -> tuple[int, str]:
    """How many problems there are, and a line about those beyond the `before` that were known, "" = none."""
    total = sum(problems.values())
    if total <= before:
        return total, ""
    worst = max(problems, key=lambda cause: problems[cause])
    return total, f"{total - before} new problems, mostly {worst}"


def _values(stats: LiveStats, problems: dict[str, int]) -> dict[str, str]:
    age = stats.instantiation_age
    values = {
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
    values |= {f"dropped: {cause}": str(count) for cause, count in sorted(stats.dropped.items())}
    return values | {f"problem: {cause}": str(count) for cause, count in sorted(problems.items())}
