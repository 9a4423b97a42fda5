"""`make demo`: a robot camera, the mapping node and a planner as three processes over DDS, judged by the truth.

The player streams a simulated scene, the node maps it, and this process is the planner: it watches the node's topics,
asks its services, and at the end compares the answer with where the object really is.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ig_ros.config import Config
from ig_ros.datasets import Dataset, SceneTruth, open_dataset, split
from ig_ros.errors import QueryError
from ig_ros.evaluation.held_out import render_all
from ig_ros.evaluation.label_transfer import transfer_ids
from ig_ros.evaluation.offline import ask_all, named_by_most, score
from ig_ros.map_io import load_map
from ig_ros.mapper import Mapper
from ig_ros.nodes.clouds import sparse_points
from ig_ros.nodes.query_client import MapClient, connected
from ig_ros.report import Report, write_report
from ig_ros.report.outputs import write_outputs, write_pictures
from ig_ros.types import FloatArray

PLAY_SHARE = 0.6  # of the time the camera moves; then the node trains on
START_TIMEOUT = 60.0  # s until the node must answer
SETTLE = 15.0  # s for the last instantiation and what it publishes
SAVED = "demo"  # name of the map the node is asked to save


def run_demo(scene: str, seconds: float, out: Path, segmenter: str) -> int:
    """Run everything, print the table, write out/demo.json and pictures; 0 only if the query found the right object.

    A recorded scene has no truth: then there is nothing to ask and to judge but its held-out views, and 0 means mapped.
    """
    console = Console()
    dataset = open_dataset(scene)
    truth = dataset.truth
    train, _ = split(len(dataset))
    rate = len(train) / (PLAY_SHARE * seconds)
    out.mkdir(parents=True, exist_ok=True)
    node = [sys.executable, "-m", "ig_ros.cli", "node", "--ros-args", "-p", f"map_directory:={out.resolve()}"]
    node += ["-p", f"segmenter:={segmenter}"]
    player = [sys.executable, "-m", "ig_ros.cli", "play", scene, "--rate", f"{rate:.3f}", "--hold-out"]
    with child(node, out / "node.log"), connected(START_TIMEOUT) as client:
        with child(player, out / "player.log"):
            watch(client, seconds, console)
        client.listen(1.0)
        shown, deadline = client.objects, time.monotonic() + SETTLE
        client.instantiate()
        while client.objects is shown and time.monotonic() < deadline:
            client.listen(1.0)
        answers = interview(client, truth) if truth is not None else {}
        answers["saved"] = save(client)
        answers["diagnostics"] = client.diagnostics
        answers["slowest_answer_ms"] = round(1000 * client.slowest.get("ig/query_object", 0.0), 1)
    figures = judge(dataset, out, answers)
    print_table(figures, console)
    (out / "demo.json").write_text(json.dumps(figures, indent=1))
    console.print(f"pictures: {out}/report.html, {out}/views.png (photograph | render | objects), {out}/cloud.png")
    if truth is None:
        return 0
    good = bool(answers["right_object"])
    console.print("[green]the query found its object[/green]" if good else "[red]the query missed its object[/red]")
    return 0 if good else 1


@contextmanager
def child(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes to a log file and is interrupted, as by Ctrl-C, at the end."""
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def watch(client: MapClient, seconds: float, console: Console) -> None:
    """Show the node's diagnostics while it maps; the clock starts with its first frame."""
    with Progress(
        TextColumn("mapping"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[detail]}"), console=console
    ) as bar:
        task = bar.add_task("mapping", total=seconds, detail="waiting for the node")
        begin: float | None = None
        waiting = time.monotonic()
        while begin is None or time.monotonic() - begin < seconds:
            client.listen(0.5)
            d = client.diagnostics
            if begin is None and int(d.get("keyframes", 0)) > 0:
                begin = time.monotonic()
            if begin is None and time.monotonic() - waiting > START_TIMEOUT:
                raise QueryError("no keyframe has reached the node: see node.log and player.log")
            if d:
                detail = "{keyframes} keyframes, {steps} steps, {objects} objects".format(**d)
                bar.update(task, completed=time.monotonic() - begin if begin else 0, detail=detail)


def interview(client: MapClient, truth: SceneTruth) -> dict[str, Any]:
    """Asks for a thing by paraphrase, for every thing, and for things that are not there."""
    names = set(truth.names.values())
    paraphrases = [(text, wanted) for text, wanted in truth.queries if text not in names]
    text, wanted = (paraphrases or list(truth.queries))[0]
    begin = time.perf_counter()
    response = client.query(text, 1)
    seconds = time.perf_counter() - begin
    first = response.objects[0] if response.objects else None
    asked = ask_all(truth, lambda question: ask(client, question, truth))
    missed = [entry["text"] for entry in asked["queries"] if not entry["right"]]
    return {
        "query": text,
        "object": first.label if first else "",
        "score": round(float(first.score), 3) if first else 0.0,
        "answer_ms": round(1000 * seconds, 1),
        "position_error_m": None if first is None else round(box_error(first, wanted, truth), 4),
        "right_object": text not in missed,
        "query_accuracy": asked["query_accuracy"],
        "absent_refused": asked["absent_refused"],
        "missed": missed,
    }


def save(client: MapClient) -> str:
    """Have the node save its map; the service's answer. Raises QueryError."""
    response = client.save(SAVED)
    if not response.success:
        raise QueryError(f"the node has not saved its map: {response.message}")
    return str(response.message)


def ask(client: MapClient, text: str, truth: SceneTruth) -> str | None:
    """Returns the name of the true thing on which most points of the answer lie; None for no answer."""
    response = client.query(text, 1, with_cloud=True)
    return true_name(sparse_points(response.objects[0].cloud)[0], truth) if response.objects else None


def true_name(xyz: FloatArray, truth: SceneTruth) -> str:
    """Returns the name of the true thing on which most points (N, 3) m of an answer lie, "" where they lie on none."""
    return named_by_most(transfer_ids(truth.points, truth.ids, xyz), truth)


def box_error(thing: Any, wanted: int, truth: SceneTruth) -> float:
    """Distance in metres between the answer's box centre and the centre of the true points' extent."""
    points = truth.points[truth.ids == wanted]
    p = thing.pose.position
    return float(np.linalg.norm(np.array([p.x, p.y, p.z]) - (points.min(0) + points.max(0)) / 2))


def judge(dataset: Dataset, out: Path, answers: dict[str, Any]) -> dict[str, Any]:
    """Load the map the node saved and compare it with the truth and the held-out views."""
    mapper = Mapper(Config())
    load_map(mapper, out / SAVED)
    frozen = mapper.freeze()
    snapshot = mapper.instantiate(frozen)
    seen = render_all(mapper, frozen, snapshot, dataset, split(len(dataset))[1])
    views = list(seen.values())
    d = answers.pop("diagnostics")
    figures: dict[str, Any] = {
        "scene": dataset.name,
        **score(mapper, dataset, snapshot, seen),
        "frames": int(d.get("frames in", 0)),
        "keyframes": int(d.get("keyframes", 0)),
        "steps": int(d.get("steps", 0)),
        "steps_per_second": float(d.get("steps per second", 0.0)),
        **answers,
    }
    write_outputs(out, snapshot, views, figures)
    write_pictures(out, snapshot, views)
    write_report(out, Report(f"{dataset.name}, mapped by the node", "ig demo", figures), mapper, views)
    return figures


def print_table(figures: dict[str, Any], console: Console) -> None:
    """The demo's figures, one per row."""
    table = Table("figure", "value", title="ig_ros demo")
    rows = {
        "frames received / keyframes": f"{figures['frames']} / {figures['keyframes']}",
        "training steps (steps/s)": f"{figures['steps']} ({figures['steps_per_second']:.1f})",
        "PSNR of held-out views": f"{figures['psnr']:.2f} dB",
        "objects": str(figures["instances"]),
        "slowest answer to a query": f"{figures['slowest_answer_ms']:.0f} ms, while training",
    }
    if "query" in figures:
        error = figures["position_error_m"]
        rows |= {
            "objects found / true": f"{figures['instance']['found']} / {figures['instance']['true']}",
            "instance mIoU": f"{figures['instance']['miou']:.1f} %",
            f'query "{figures["query"]}"': f"{figures['object'] or 'nothing'} (score {figures['score']:.2f})",
            "answered in": f"{figures['answer_ms']:.0f} ms",
            "position error": "-" if error is None else f"{100 * error:.1f} cm",
            "all queries right": f"{figures['query_accuracy']:.0f} %",
            "absent things refused": f"{figures['absent_refused']:.0f} %",
        }
    for row in rows.items():
        table.add_row(*row)
    console.print(table)
