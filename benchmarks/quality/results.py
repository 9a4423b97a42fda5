"""The figures of all jobs, and means over scenes of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.quality.plan import NOISY, Job
from benchmarks.quality.pool import DONE, FAILED, as_json, result_path


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, standard deviation (of the population of scenes) and number of values."""

    mean: float
    sd: float
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.1f} ± {self.sd:.1f}" if self.count > 1 else f"{self.mean:.1f}"


def spread_of(values: Iterable[float | None]) -> Spread | None:
    """Of the values that are known; None without any."""
    known = [v for v in values if v is not None]
    return Spread(statistics.fmean(known), statistics.pstdev(known), len(known)) if known else None


@dataclass(frozen=True, slots=True)
class Results:
    """Entries as `pool.store` writes them, and what is missing."""

    entries: tuple[dict[str, Any], ...]  # of jobs that succeeded, in the order of the plan
    failed: dict[str, str] = field(default_factory=dict)  # job -> error
    absent: tuple[str, ...] = ()  # jobs without a result of this plan
    codes: frozenset[str] = frozenset()  # versions of the code the entries come from

    def select(self, condition: str = NOISY, kind: str | None = None, variant: str = "") -> list[dict[str, Any]]:
        """Entries of one condition (and kind, None = all) of the full method or of one row of the ablation."""
        return [
            e for e in self.entries
            if e["job"]["condition"] == condition and e["job"]["variant"] == variant
            and kind in (None, e["job"]["kind"])
        ]  # fmt: skip

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of scenes there are, in the order of the plan."""
        return tuple(dict.fromkeys(e["job"]["kind"] for e in self.entries))

    @property
    def conditions(self) -> tuple[str, ...]:
        """Conditions there are, in the order of the plan."""
        return tuple(dict.fromkeys(e["job"]["condition"] for e in self.entries))

    def methods(self, condition: str = NOISY) -> list[str]:
        """Rows that were asked for in a condition."""
        return list(dict.fromkeys(name for e in self.select(condition) for name in e["methods"]))


def load(folder: Path, jobs: Sequence[Job]) -> Results:
    """Read the files of the jobs; results of other settings do not count. Raises nothing for what is missing."""
    entries, failed, absent, codes = [], {}, [], set()
    for job in jobs:
        path = result_path(folder, job)
        entry = json.loads(path.read_text()) if path.is_file() else None
        if entry is None or entry["job"] != as_json(job):
            absent.append(job.key)
        elif entry["status"] == FAILED:
            failed[job.key] = entry["error"]
        elif entry["status"] == DONE:
            entries.append(entry)
            codes.add(entry["code"])
    return Results(tuple(entries), failed, tuple(absent), frozenset(codes))


def metric(entry: dict[str, Any], method: str, *path: str) -> float | None:
    """One figure of a row in one entry, e.g. metric(e, "ours", "semantic", "all", "miou"); None if it has none."""
    value: Any = entry["methods"].get(method)
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if value is not None else None


def mean(entries: Iterable[dict[str, Any]], method: str, *path: str) -> Spread | None:
    """Mean over entries of one figure of a row."""
    return spread_of(metric(e, method, *path) for e in entries)


def cannot(entries: Iterable[dict[str, Any]], method: str) -> str:
    """Why a row could not run, "" if it could."""
    reasons = {e["methods"].get(method, {}).get("cannot", "") for e in entries}
    return next(iter(reasons - {""}), "")


def count_error(entries: Iterable[dict[str, Any]], method: str) -> Spread | None:
    """|predicted - true| / true in percent, mean over scenes."""
    errors: list[float | None] = []
    for e in entries:
        predicted, true = metric(e, method, "predicted"), metric(e, method, "true")
        errors.append(100 * abs(predicted - true) / true if predicted is not None and true else None)
    return spread_of(errors)


def flat(results: Results) -> dict[str, dict[str, dict[str, Any]]]:
    """Scene -> method -> metric, the content of quality.json; a scene in another condition has it in its name."""
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for e in results.entries:
        job = e["job"]
        words = [job["scene"], *([job["condition"]] if job["condition"] != NOISY else []), job["variant"]]
        methods = {name: _flat(row) for name, row in e["methods"].items()}
        methods["ours"].update({k: e["map"][k] for k in ("psnr", "ssim") if k in e["map"]})
        table[" ".join(w for w in words if w)] = methods
    return table


def _flat(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            out.update(_flat(value, f"{prefix}{key}."))
        else:
            out[prefix + key] = round(value, 3) if isinstance(value, float) else value
    return out
