"""python -m benchmarks.bench [--quick] [--only PART ...]: speed, as ratios; out/bench.json and docs/performance.md."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from benchmarks.bench.report import BASE, GOALS, write_report
from ig_ros.thread_settings import settle_allocator

PARTS = ("raster", "step", "quality", "instantiation", "sweeps", "stream")
BUSY = 20.0  # % of all cores at work before a part begins: something else runs here


def main() -> int:
    """Every part in a process of its own, so that none inherits another's memory; 0 when every goal was reached."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look in minutes; its figures are not to be quoted")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts; others keep their figures"
    )
    parser.add_argument("--report", action="store_true", help="measure nothing, write the document of what there is")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path("out/bench.json"))
    parser.add_argument("--docs", type=Path, help="the document; without it docs/performance.md, or none if --quick")
    given = parser.parse_args()
    if given.part:
        settle_allocator()  # as the node does
        figures = import_module(f"benchmarks.bench.{given.part}").measure(given.quick)
        print(json.dumps(figures), flush=True)
        return 0
    document = given.docs or (None if given.quick else Path("docs/performance.md"))
    figures = known(*([] if document is None else [document.with_name(BASE.name)]), given.out)
    failed = []
    for part in [] if given.report else given.only:
        busy = psutil.cpu_percent(interval=1.0) > BUSY
        found = measured(part, given.quick)
        failed += [part] if found is None else []
        figures |= found or {}
        if found is not None:
            figures.setdefault("parts", {})[part] = {"quick": given.quick, "busy": busy, "code": code()}
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(figures, indent=1))
    if document is not None:
        write_report(figures, document)
    return show(figures, PARTS if given.report else given.only, failed)


def known(*files: Path) -> dict[str, Any]:
    """Figures of earlier runs, those of later files before those of earlier ones."""
    figures: dict[str, Any] = {}
    for file in files:
        found = json.loads(file.read_text()) if file.is_file() else {}
        figures |= found | {"parts": figures.get("parts", {}) | found.get("parts", {})}
    return figures


def code() -> str:
    """The commit at work, "+" where files differ from it, "unknown" outside of a clone."""
    name = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    done = subprocess.run(name, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "unknown"


def measured(part: str, quick: bool) -> dict[str, Any] | None:
    """Figures of one part, None if it failed."""
    print(f"measuring: {part}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.bench", "--part", part, *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return None
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def show(figures: dict[str, Any], parts: Sequence[str], failed: list[str]) -> int:
    """Prints figures and goals of some parts, of no others; returns the exit code."""
    missed = 0
    for _, key, text, bound, least in (goal for goal in GOALS if goal[0] in {*parts} - {*failed}):
        if key not in figures:
            print(f"? {key:28} {'not measured':>15}   {text}")
            continue
        good = figures[key] >= bound if least else figures[key] <= bound
        missed += not good
        print(f"{'  ' if good else '! '}{key:28} {figures[key]:10.3g}   {'>=' if least else '<='} {bound:<6g} {text}")
    for part in failed:
        print(f"! {part} failed: see above")
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
