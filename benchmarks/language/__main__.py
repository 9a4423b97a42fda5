"""Queries, absent things and relations on simulated tabletops: docs/language.md, a table, and out/language.json.

    python -m benchmarks.language [--seeds 1 2 3] [--maps truth exact noisy trained] [--out out/language.json]

Per scene 20 paraphrases (its own, then those of phrases.yaml), 10 absent things and 10 relations made from the meshes.
Maps: built from the truth ("truth"), mapped with a few training steps from exact or noisy masks ("exact", "noisy"), and
one that is trained for longer ("trained"). Every scene has two mugs and two books, and an apple on one of the books.
Then the written questions of 20 kinds (questions.yaml), on maps of simple shapes.
Other things, in rooms that are lists of labels, are asked for with phrases nobody tuned on (held_out.yaml).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.language.asking import PHRASES, Answer, absent_questions, ask, percent, query_questions
from benchmarks.language.maps import Map, mapped, truth_map
from benchmarks.language.page import missed_goals, write_page
from benchmarks.language.reliability import calibration_error, reliability
from benchmarks.language.rooms import ask_rooms
from benchmarks.language.tabletop import relation_questions, tabletop
from benchmarks.language.written import FILES, Written, ask_written, by_kind, written_summary
from ig_ros.config import Config
from ig_ros.language import LabelEncoder, make_encoder
from ig_ros.simulation import SimulatedDataset, SimulationOptions

FRAMES, WIDTH = 48, 320
STEPS = {"exact": 48, "noisy": 48, "trained": 960}
KINDS = ("truth", *STEPS)


def run(seeds: Sequence[int], kinds: Sequence[str]) -> dict[str, Any]:
    """All maps of all scenes, and the rooms."""
    config = Config()
    encoder = make_encoder(config.language)
    assert isinstance(encoder, LabelEncoder)
    rows: list[dict[str, Any]] = []
    answers: dict[str, list[Answer]] = {"query": [], "absent": [], "relation": []}
    wrong: list[dict[str, Any]] = []
    for seed in seeds:
        for kind in [k for k in kinds if k != "trained" or seed == seeds[0]]:
            row, got = ask_scene(seed, kind, encoder, config)
            rows.append(row)
            sys.stderr.write(f"{row}\n")
            for name, answered in got.items():
                answers[name] += answered
                wrong += [
                    {"kind": name, "seed": seed, "map": kind, **dataclasses.asdict(e)} for e in answered if not e.right
                ]
    asked = {name: written_figures(ask_written(name, encoder, config)) for name in FILES}
    return summary(answers, ask_rooms(encoder, config)) | {"maps": rows, "wrong": wrong, "questions": asked}


def written_figures(answers: Sequence[Written]) -> dict[str, Any]:
    """Written questions: rows by kind, figures, and what went wrong."""
    wrong = [dataclasses.asdict(e) for e in answers if not e.right]
    return {"kinds": by_kind(answers), "figures": written_summary(answers), "wrong": wrong}


def ask_scene(
    seed: int, kind: str, encoder: LabelEncoder, config: Config
) -> tuple[dict[str, Any], dict[str, list[Answer]]]:
    """One row of the table, and the answers of one map."""
    scene = tabletop(seed, FRAMES)
    masks = "exact" if kind in ("truth", "exact") else "noisy"
    dataset = SimulatedDataset(scene, SimulationOptions(seed=seed, frames=FRAMES, width=WIDTH, masks=masks))
    world: Map = truth_map(dataset, encoder) if kind == "truth" else mapped(dataset, encoder, STEPS[kind])
    asked = {
        "query": query_questions(dataset, seed),
        "absent": absent_questions(seed),
        "relation": relation_questions(scene, scene.path[-1], seed),
    }
    got = {name: ask(questions, world, encoder, config) for name, questions in asked.items()}
    found = world.snapshot.instances
    row = {"seed": seed, "map": kind, "objects": len(found.objects), "threshold": round(found.threshold, 3)}
    return row | {"seconds": round(world.seconds, 1)} | {name: percent(e) for name, e in got.items()}, got


def summary(answers: dict[str, list[Answer]], rooms: dict[str, list[Answer]]) -> dict[str, Any]:
    """All figures."""
    written = {text for texts in PHRASES["paraphrases"].values() for text in texts}
    bins = reliability([e for group in answers.values() for e in group])
    held_out = reliability([e for group in rooms.values() for e in group])
    return {
        "query_accuracy": percent(answers["query"]),
        "absent_refused": percent(answers["absent"]),
        "relation_accuracy": percent(answers["relation"]),
        "query_accuracy_scene": percent([e for e in answers["query"] if e.text not in written]),
        "query_accuracy_written": percent([e for e in answers["query"] if e.text in written]),
        "held_out_query_accuracy": percent([*rooms["explained"], *rooms["unexplained"]]),
        "held_out_in_lexicon": percent(rooms["explained"]),
        "held_out_not_in_lexicon": percent(rooms["unexplained"]),
        "held_out_absent_refused": percent(rooms["absent"]),
        "calibration_error": calibration_error(bins),
        "held_out_calibration_error": calibration_error(held_out),
        "asked": {name: len(e) for name, e in answers.items()} | {f"held out {n}": len(e) for n, e in rooms.items()},
        "reliability": [dataclasses.asdict(b) for b in bins],
        "held_out_reliability": [dataclasses.asdict(b) for b in held_out],
    }


def main() -> int:
    """Print the table and write the figures; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--maps", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--out", type=Path, default=Path("out/language.json"))
    parser.add_argument("--page", type=Path, help="where to write the figures as a page, e.g. docs/language.md")
    arguments = parser.parse_args()
    figures = run(arguments.seeds, arguments.maps)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=1))
    if arguments.page:
        write_page(figures, arguments.page)
    console = Console(width=120)
    table = Table(*figures["maps"][0], title="share of right answers, percent")
    for row in figures["maps"]:
        table.add_row(*(str(v) for v in row.values()))
    console.print(table)
    for e in figures["wrong"]:
        console.print(f"wrong {e['kind']}: seed {e['seed']} {e['map']}: '{e['text']}' -> {e['message']}", markup=False)
    for name, part in figures["questions"].items():
        console.print(name, part["figures"])
    console.print({k: v for k, v in figures.items() if isinstance(v, float)})
    missed = missed_goals(figures)
    for line in missed:
        sys.stderr.write(f"missed: {line}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
