"""python -m benchmarks.soak [--quick] [--out OUT]: everything, a table, and OUT/soak.json; 0 when all was survived."""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.soak.session import Outcome, Plan, run_session
from ig_ros.datasets import open_dataset

SCENE = "sim:tabletop?seed=5&width=320&frames=160"
QUICK = Plan(warm_up=15.0, fault=1.0, calm=1.0)
KILLS = 30
MB = 1e6


def main() -> int:
    """Two runs and the kills, one after the other."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="shorter runs, for a look; its figures are not to be quoted"
    )
    parser.add_argument("--out", type=Path, default=Path("out"))
    given = parser.parse_args()
    console, begin = Console(), time.monotonic()
    plan, work = QUICK if given.quick else Plan(), given.out / "soak"
    console.print(f"two runs of {plan.length:.0f} s, then {KILLS} kills")
    dataset = open_dataset(SCENE)
    assert dataset.truth is not None
    frames = [dataset[i] for i in range(len(dataset))]
    kills = killed(work)
    console.print(f"killed while saving: {kills['survived']} of {kills['kills']} survived")
    calm = run_session(frames, dataset.truth, plan, work / "undisturbed", False, console.print)
    rough = run_session(frames, dataset.truth, plan, work / "disturbed", True, console.print)
    figures = summary(calm, rough, kills) | {"seconds": round(time.monotonic() - begin), "quick": given.quick}
    (given.out / "soak.json").write_text(json.dumps(figures, indent=1))
    show(figures, console)
    good = figures["faults_survived_share"] == 1.0 and figures["kills_survived"] == KILLS
    return 0 if good else 1


def killed(work: Path) -> dict[str, Any]:
    """The kills, in a process of their own: a process that speaks DDS must not be forked."""
    command = [sys.executable, "-m", "benchmarks.soak.kills", str(work / "kills"), "--kills", str(KILLS)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def summary(calm: Outcome, rough: Outcome, kills: dict[str, Any]) -> dict[str, Any]:
    """What soak.json holds."""
    survived = sum(not trouble for trouble in rough.faults.values())
    runs = {"undisturbed": calm, "disturbed": rough}
    return {
        "faults_injected": len(rough.faults),
        "faults_survived_share": survived / len(rough.faults),
        "kills_survived": kills["survived"],
        "ids_kept_share": round(rough.ids_kept, 4),
        "rss_growth": round(rough.growth, 4),
        "rss_growth_undisturbed": round(calm.growth, 4),
        "miou_delta": round(rough.miou - calm.miou, 2),
        "miou": {name: round(run.miou, 2) for name, run in runs.items()},
        "ids_kept_share_undisturbed": round(calm.ids_kept, 4),
        "frames": {
            name: {"sent": run.sent, "in": run.frames_in, "used": run.frames_used, "lost": run.lost}
            for name, run in runs.items()
        },
        "rss_mb": {name: [round(m / MB, 1) for m in run.memory] for name, run in runs.items()},
        "callback_p99_ms": {name: run.callback_p99_ms for name, run in runs.items()},
        "steps": {name: run.steps for name, run in runs.items()},
        "faults": rough.faults,
        "kills": kills,
        "plan": dataclasses.asdict(Plan()),
    }


def show(figures: dict[str, Any], console: Console) -> None:
    """The table."""
    table = Table("figure", "undisturbed", "disturbed", title="ig_ros soak")
    frames, rss = figures["frames"], figures["rss_mb"]
    both = ("undisturbed", "disturbed")
    rows = [
        ("frames sent / in / keyframes / lost", *("{sent} / {in} / {used} / {lost}".format(**frames[b]) for b in both)),
        ("faults survived", "-", f"{figures['faults_survived_share']:.0%} of {figures['faults_injected']}"),
        ("RSS by thirds after warm-up (MB)", *(", ".join(f"{m:.0f}" for m in rss[b]) for b in both)),
        ("RSS growth", f"{figures['rss_growth_undisturbed']:+.1%}", f"{figures['rss_growth']:+.1%}"),
        ("ids kept", f"{figures['ids_kept_share_undisturbed']:.0%}", f"{figures['ids_kept_share']:.0%}"),
        ("instance mIoU (%)", *(f"{figures['miou'][b]:.1f}" for b in both)),
        ("callback delay p99 (ms)", *(f"{figures['callback_p99_ms'][b]:.1f}" for b in both)),
        ("kills while saving survived", "-", f"{figures['kills_survived']} / {figures['kills']['kills']}"),
        ("seconds in all", "-", str(figures["seconds"])),
    ]
    for row in rows:
        table.add_row(*row)
    for name, trouble in figures["faults"].items():
        table.add_row(name, "-", trouble or "survived")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
