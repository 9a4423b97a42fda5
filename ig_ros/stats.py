"""What a running mapper says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LiveStats:
    """Counters for diagnostics."""

    frames_in: int = 0
    frames_used: int = 0
    keyframes: int = 0
    dropped: dict[str, int] = field(default_factory=dict)  # cause -> frames
    steps: int = 0
    steps_per_second: float = 0.0
    anchors: int = 0  # in memory
    anchors_on_disk: int = 0
    gaussians: int = 0  # drawn in the last step
    loss: float = 0.0  # running colour loss
    instantiation_age: float | None = None  # s since the last one ended
    instantiation_duration: float = 0.0  # s
    objects: int = 0
    memory_bytes: int = 0  # resident set of the process
    restarts: int = 0  # workers that were started again after an error
    silence: float = 0.0  # s since the trainer was last seen between two steps
    error: str = ""  # why the trainer stopped, empty while it runs
