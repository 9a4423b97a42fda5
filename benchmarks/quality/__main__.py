"""The paper's tables on scenes with exact truth: writes docs/quality.md, its pictures, out/quality.json and one file
per map in out/quality/jobs/.

    python -m benchmarks.quality [--quick] [--resume] [--scannet ROOT] [--meshes FOLDER]
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from benchmarks.quality.goals import goals
from benchmarks.quality.plan import NOISY, Job, nameless, quick_jobs, scannet_jobs, simulated_jobs
from benchmarks.quality.pool import FAILED, ROOT, code_version, is_done, result_path, run_all
from benchmarks.quality.report import Run, write_report
from benchmarks.quality.results import load
from ig_ros.errors import ConfigError, IgError

NAMELESS = (
    "semantic tables count 0, for no mask has a name (--set language.encoder=open_clip looks at the pictures instead)"
)
REACHED = {True: " ", False: "!", None: "?"}  # before a goal: reached, missed, not measured
MESHES = ROOT.parent / "shared" / "data" / "ycb"


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 when every job of the plan has figures, 1 when some have not, 2 for an unusable command."""
    options = parse(arguments)
    try:
        jobs, notes = plan(options)
    except IgError as error:
        print(f"quality: {error}", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(f"{job.key}: {job.spec}, {job.steps} steps" for job in jobs))
        return 0
    code = code_version()
    todo = [] if options.report else [j for j in jobs if not (options.resume and is_done(options.out, j, code))]
    for job in todo:  # a run that is interrupted must not be taken for complete
        result_path(options.out, job).unlink(missing_ok=True)
    begin = time.perf_counter()
    run_all(todo, options.out, code, options.workers, Progress(len(todo), begin))
    minutes = (time.perf_counter() - begin) / 60
    results = load(options.out, jobs)
    command = shlex.join(["python", "-m", "benchmarks.quality", *arguments])
    notes += [f"{len(todo)} of {len(jobs)} maps were made in this run"] if len(todo) < len(jobs) else []
    write_report(options.docs, options.out, results, Run(command, minutes, options.workers, tuple(notes)))
    for goal in goals(results) if results.entries else []:
        print(f"{REACHED[goal.reached]} {goal.text}: {goal.measured}, wanted {goal.wanted}")
    print(
        f"{len(results.entries)} of {len(jobs)} maps, {len(results.failed)} failed, {minutes:.1f} min: {options.docs}"
    )
    return 0 if len(results.entries) == len(jobs) else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; folders depend on what is run, so that a quick run never overwrites the real one."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.quality", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one small scene through every part, in about a minute")
    parser.add_argument("--scannet", type=Path, metavar="ROOT", help="the paper's ten scenes from this folder instead")
    parser.add_argument(
        "--meshes", type=Path, default=MESHES, help="scanned objects, one folder with textured.obj each"
    )
    parser.add_argument("--resume", action="store_true", help="skip what was run with the same code and settings")
    parser.add_argument("--report", action="store_true", help="run nothing, write the tables of what there is")
    parser.add_argument("--list", action="store_true", help="print the plan and stop")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="maps by name, see --list: room-*-rgb")
    parser.add_argument("--steps", type=float, default=1.0, metavar="FACTOR", help="times every training budget")
    parser.add_argument("--width", type=int, default=320, help="of simulated images, px")
    parser.add_argument("--workers", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any parameter of the mapper")
    parser.add_argument("--out", type=Path, help="folder of the results; quality.json is written beside it")
    parser.add_argument("--docs", type=Path, help="the document")
    options = parser.parse_args(arguments)
    name = "quality_quick" if options.quick else "quality_scannet" if options.scannet else "quality"
    options.out = options.out or ROOT / "out" / name
    options.docs = options.docs or (ROOT / "out" if options.quick else ROOT / "docs") / f"{name}.md"
    return options


def plan(options: argparse.Namespace) -> tuple[list[Job], list[str]]:
    """The jobs and what is to be said about them. Raises ConfigError for an unusable setting."""
    settings, notes = parsed_settings(options.set), []
    if options.scannet:
        jobs, missing = scannet_jobs(options.scannet.expanduser(), settings)
        segmented = [j.scene for j in jobs if j.condition == NOISY and "segmentation.segmenter" in j.settings]
        notes += (
            [f"masks by the project's own segmenter, none in the folder: {', '.join(segmented)}"] if segmented else []
        )
        silent = [j.scene for j in jobs if j.condition == NOISY and nameless(j)]
        notes += [f"{NAMELESS}: {', '.join(silent)}"] if silent else []
        notes += [f"scenes missing in {options.scannet}: {', '.join(missing)}"] if missing else []
    elif options.quick:
        jobs = quick_jobs(min(options.width, 160), settings)
        notes.append("QUICK: one small scene, hardly trained; these figures mean nothing")
    else:
        jobs = simulated_jobs(options.meshes.expanduser().resolve(), options.width, settings)
        notes.append(f"simulated images are {options.width} px wide")
    jobs = [
        dataclasses.replace(j, steps=max(1, round(j.steps * options.steps)))
        for j in jobs
        if fnmatchcase(j.key, options.only)
    ]
    if not jobs:
        raise ConfigError("nothing to run: " + ("; ".join(notes) or f"no map is called {options.only}"))
    return jobs, notes


def parsed_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Dotted parameters of name=value texts. Raises ConfigError."""
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set wants name=value, got {text!r}")
        values[name] = yaml.safe_load(value)
    return values


class Progress:
    """One line per job with the time left, by effort done."""

    def __init__(self, total: int, begin: float) -> None:
        self.total, self.begin, self.done = total, begin, 0

    def __call__(self, job: Job, entry: dict[str, Any]) -> None:
        """Called by the pool after every job."""
        self.done += 1
        minutes = (time.perf_counter() - self.begin) / 60
        if entry["status"] == FAILED:
            said = f"FAILED: {entry['error']}"
        else:
            row = entry["methods"]["ours"]
            said = f"mIoU {row['miou']:.1f}, mA50 {row['ma50']:.1f}, {row['predicted']}/{row['true']} instances"
        print(
            f"[{self.done}/{self.total}] {minutes:5.1f} min  {job.key} ({entry['wall_seconds']:.0f} s): {said}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
