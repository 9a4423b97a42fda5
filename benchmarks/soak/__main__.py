"""python -m benchmarks.soak [--quick] [--out OUT]: docs/soak.md and OUT/soak.json; 0 when all targets are met."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from benchmarks.soak.judging import KILLS, failures
from benchmarks.soak.node_kills import kill_nodes
from benchmarks.soak.page import INTRODUCTION, page
from benchmarks.soak.session import Outcome, Plan, run_session
from ig_ros.datasets import open_dataset
from ig_ros.nodes.process import prepare_process
from ig_ros.types import Frame

SCENE = "sim:tabletop?seed=5&width=320&frames=160"
QUICK = Plan(warm_up=15.0, fault=1.0, calm=1.0)
NODE_KILLS = 6  # of all: each starts a node
PAGE = Path(__file__).resolve().parents[2] / "docs" / "soak.md"
MB = 1e6


def main() -> int:
    """The kills and two runs, one after the other."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="shorter runs, for a look; its figures are not to be quoted"
    )
    parser.add_argument("--out", type=Path, default=Path("out"))
    given = parser.parse_args()
    prepare_process()
    console, begin = Console(), time.monotonic()
    plan, work = QUICK if given.quick else Plan(), given.out / "soak"
    console.print(f"{KILLS} kills, then two runs of {plan.length:.0f} s")
    dataset = open_dataset(SCENE)
    assert dataset.truth is not None
    frames = [dataset[i] for i in range(len(dataset))]
    kills = killed(frames, work, console.print)
    calm = run_session(frames, dataset.truth, plan, work / "undisturbed", False, console.print)
    rough = run_session(frames, dataset.truth, plan, work / "disturbed", True, console.print)
    figures = summary(calm, rough, kills, plan) | {
        "seconds": round(time.monotonic() - begin),
        "quick": given.quick,
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
    }
    (given.out / "soak.json").write_text(json.dumps(figures, indent=1))
    (given.out / "soak.md" if given.quick else PAGE).write_text(page(figures))
    show(figures, console)
    missed = failures(figures)
    for line in missed:
        console.print(f"missed: {line}")
    return 1 if missed else 0


def killed(frames: list[Frame], work: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """All kills: of a saver, and of the node itself."""
    kinds = {"a process that saves": savers_killed(work / "kills", KILLS - NODE_KILLS)}
    say(f"killed while saving: {kinds['a process that saves']['survived']} of {KILLS - NODE_KILLS} survived")
    kinds["the node, training and saving"] = kill_nodes(frames, work / "node_kills", NODE_KILLS, say)
    total = {key: sum(kind[key] for kind in kinds.values()) for key in ("kills", "survived")}
    return total | {"kinds": kinds}


def savers_killed(folder: Path, kills: int) -> dict[str, Any]:
    """In a process of their own: one that speaks DDS must not be forked. None has survived where that one has died."""
    command = [sys.executable, "-m", "benchmarks.soak.kills", str(folder), "--kills", str(kills)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    try:
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        reason = f"{' '.join(command[1:3])} ended with status {done.returncode} and without figures"
        return {"kills": kills, "survived": 0, "errors": [reason]}
    return figures


def commit() -> str:
    """The commit that runs, marked when files differ from it."""
    ask = ["git", "describe", "--always", "--dirty", "--abbrev=7"]
    return subprocess.run(ask, stdout=subprocess.PIPE, text=True).stdout.strip() or "unknown"


def summary(calm: Outcome, rough: Outcome, kills: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """What soak.json holds."""
    survived = sum(not trouble for trouble in rough.faults.values())
    runs = {"undisturbed": calm, "disturbed": rough}
    return {
        "faults_injected": len(rough.faults),
        "faults_survived_share": survived / max(len(rough.faults), 1),
        "kills_survived": kills["survived"],
        "ids_kept_share": round(rough.ids_kept, 4),
        "rss_growth": round(rough.growth, 4),
        "rss_growth_undisturbed": round(calm.growth, 4),
        "miou_delta": round(rough.miou - calm.miou, 2),
        "miou": {name: round(run.miou, 2) for name, run in runs.items()},
        "ids_kept_share_undisturbed": round(calm.ids_kept, 4),
        "frames": {
            name: {
                "sent": run.sent,
                "in": run.frames_in,
                "used": run.frames_used,
                "refused": run.refused,
                "lost": run.lost,
            }
            for name, run in runs.items()
        },
        "rss_mb": {name: [round(m / MB, 1) for m in run.memory] for name, run in runs.items()},
        "callback_p99_ms": {name: run.callback_p99_ms for name, run in runs.items()},
        "steps": {name: run.steps for name, run in runs.items()},
        "faults": rough.faults,
        "kills": kills,
        "plan": dataclasses.asdict(plan),
    }


def show(figures: dict[str, Any], console: Console) -> None:
    """The page's tables."""
    console.print(Markdown(page(figures).removeprefix(INTRODUCTION.strip())))


if __name__ == "__main__":
    sys.exit(main())
