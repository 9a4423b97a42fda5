"""Runs one row in a worker process and leaves its figures in a file."""

from __future__ import annotations

import dataclasses
import json
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks.quality.pool import DONE, FAILED
from benchmarks.reality.rows import KITCHEN, TABLETOP_FOLDER, TABLETOPS, Row, path_of


def run_and_store(row: Row, out: Path, code: str) -> dict[str, Any]:
    """Runs a row in this process and writes its file; an error becomes a line in it, its traceback goes to stderr."""
    begin, cpu = time.perf_counter(), time.process_time()
    try:
        found = {"status": DONE} | _run(row, out)
    except Exception as error:  # one row that fails must not end the run; the page says so
        traceback.print_exc()
        found = {"status": FAILED, "error": f"{type(error).__name__}: {error}".splitlines()[0]}
    seconds = {
        "wall_seconds": round(time.perf_counter() - begin, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
    }
    entry = {"row": dataclasses.asdict(row), "code": code, **seconds, **found}
    path = path_of(row, out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entry, indent=1))
    return entry


def _run(row: Row, out: Path) -> dict[str, Any]:
    """Returns the figures of a row; torch loads here, in the worker."""
    pictures = out / "pictures"
    if row.part == KITCHEN:
        from benchmarks.reality.kitchen import run_kitchen

        return run_kitchen(row, pictures)
    if row.part == TABLETOPS:
        from benchmarks.reality.tables import run_tabletops

        return run_tabletops(TABLETOP_FOLDER, out, pictures)
    from benchmarks.reality.perturbed import run_perturbed

    return run_perturbed(row, pictures)
