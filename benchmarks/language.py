"""Queries, absent things and relations on simulated tabletops: a table, and out/language.json.

    python benchmarks/language.py [--seeds 1 2 3] [--out out/language.json]        (or: make language)

Per scene 20 paraphrases (its own, then those of benchmarks/phrases.yaml), 10 absent things and 10 relations made from
the meshes. Maps: built from the truth ("truth"), mapped with a few training steps from exact or noisy masks ("exact",
"noisy"), and one that is trained for longer ("trained"). Every scene has two mugs and two books, and an apple on one of
the books.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from rich.console import Console
from rich.table import Table
from tabletop_relations import Ask, relation_questions, tabletop

from ig_ros.config import Config
from ig_ros.datasets.simulated import SimulatedDataset, SimulationOptions
from ig_ros.evaluation.metrics import transfer_ids
from ig_ros.geometry import back_project, transform
from ig_ros.language import Encoder, learn_threshold, make_encoder
from ig_ros.mapper import Mapper, answer
from ig_ros.types import FloatArray, Instances, IntArray, MapSnapshot, ObjectInstance

FRAMES, WIDTH = 48, 320
STEPS = {"exact": 48, "noisy": 48, "trained": 960}
QUERIES, ABSENT = 20, 10
SEEN = 500  # truth points of a thing that is asked for: a corner of a picture in one frame is no thing
PHRASES = yaml.safe_load((Path(__file__).parent / "phrases.yaml").read_text())


@dataclass(frozen=True, slots=True)
class Map:
    """A snapshot to ask, and what each of its objects is."""

    snapshot: MapSnapshot
    true_id: dict[int, int]  # object -> thing of the scene, 0 = none
    seconds: float


def truth_map(dataset: SimulatedDataset, encoder: Encoder) -> Map:
    """Every thing as an object: what the cameras see of it, back-projected."""
    begin = time.perf_counter()
    xyz, rgb, ids = [], [], []
    for i in range(0, len(dataset), 4):
        frame, labels = dataset[i], dataset.truth.instance_image(i)
        rows, cols = np.mgrid[1 : labels.shape[0] : 3, 1 : labels.shape[1] : 3].reshape(2, -1)
        keep = (labels[rows, cols] > 0) & (frame.depth[rows, cols] > 0)
        rows, cols = rows[keep], cols[keep]
        xyz.append(transform(frame.T_world_camera, back_project(frame.depth, frame.camera, rows, cols)))
        rgb.append(frame.rgb[rows, cols])
        ids.append(labels[rows, cols].astype(np.int32))
    points, colors, owner = np.concatenate(xyz).astype(np.float32), np.concatenate(rgb), np.concatenate(ids)
    objects = tuple(boxed(int(i), dataset.scene.things[i - 1].name, points[owner == i]) for i in np.unique(owner))
    embeddings = encoder.encode_labels([o.label for o in objects])
    threshold = learn_threshold(encoder, embeddings)
    ones = np.ones(len(points), np.float32)
    instances = Instances(owner, ones, objects, embeddings, encoder.name, threshold)
    snapshot = MapSnapshot(1, 0, 0, points, colors, ones, instances, dataset.scene.path[-1])
    return Map(snapshot, {o.id: o.id for o in objects}, time.perf_counter() - begin)


def boxed(number: int, name: str, points: FloatArray) -> ObjectInstance:
    """An object with a box along the world's axes."""
    low, high = np.percentile(points, [1, 99], axis=0)
    T = np.eye(4)
    T[:3, 3] = (low + high) / 2
    return ObjectInstance(number, name, 1.0, FRAMES, T, high - low, len(points))


def mapped(dataset: SimulatedDataset, encoder: Encoder, steps: int) -> Map:
    """The mapper's own map."""
    begin = time.perf_counter()
    mapper = Mapper(Config.from_dict({"device": "cpu", "threads": torch.get_num_threads()}), None, encoder)
    for i in range(len(dataset)):
        mapper.add_frame(dataset[i])
        for _ in range(steps // len(dataset)):
            mapper.train_step()
    snapshot = mapper.instantiate()
    truth = dataset.truth
    ids = transfer_ids(snapshot.xyz, snapshot.instances.point_ids, truth.points)
    true_id = {o.id: most(truth.ids[ids == o.id]) for o in snapshot.instances.objects}
    return Map(snapshot, true_id, time.perf_counter() - begin)


def most(ids: IntArray) -> int:
    """The most frequent id that is no background."""
    ids = ids[ids > 0]
    return int(np.bincount(ids).argmax()) if len(ids) else 0


def query_questions(dataset: SimulatedDataset, seed: int) -> list[Ask]:
    """QUERIES paraphrases: those that the scene itself brings, then PHRASES, others in every scene."""
    seen = np.bincount(dataset.truth.ids)
    names = {i: n for i, n in dataset.truth.names.items() if n in PHRASES["paraphrases"] and seen[i] >= SEEN}
    own = [(text, names[i]) for text, i in dataset.truth.queries if i in names and text != names[i]]
    kinds = sorted(set(names.values()))
    written = [(PHRASES["paraphrases"][n][(seed + k) % 4], n) for k in range(4) for n in kinds]
    texts = list(dict([*own, *written]).items())[:QUERIES]
    return [Ask(text, tuple(i for i, n in names.items() if n == name)) for text, name in texts]


def absent_questions(seed: int) -> list[Ask]:
    """ABSENT things, others in every scene."""
    texts = PHRASES["absent"]
    return [Ask(texts[(ABSENT * seed + k) % len(texts)], ()) for k in range(ABSENT)]


def ask(asked: Sequence[Ask], world: Map, encoder: Encoder, config: Config) -> list[dict[str, Any]]:
    """One entry per question: right if the first answer is one of those wanted, or if nothing is wanted and found."""
    entries = []
    for question in asked:
        result = answer(world.snapshot, question.text, encoder, config, 1, 0.0)
        got = world.true_id[result.hits[0].object.id] if result.hits else 0
        right = got in question.wanted if question.wanted else not result.hits
        score = result.hits[0].score if result.hits else 0.0
        entries.append(
            {"text": question.text, "wanted": list(question.wanted), "got": got, "score": score, "right": right,
             "message": result.message}
        )  # fmt: skip
    return entries


def percent(entries: Sequence[dict[str, Any]]) -> float:
    return round(100 * sum(e["right"] for e in entries) / max(len(entries), 1), 1)


def calibration_error(entries: Sequence[dict[str, Any]]) -> float:
    """Expected calibration error of the scores of all answers given, in five bins [Guo et al. 2017]."""
    given = [(e["score"], e["right"]) for e in entries if e["got"] or e["score"]]
    score, right = np.array([s for s, _ in given]), np.array([r for _, r in given], float)
    bins = np.minimum((score * 5).astype(int), 4)
    gaps = [abs(score[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return round(float(sum(gaps)), 3)


def run(seeds: Sequence[int], kinds: Sequence[str]) -> dict[str, Any]:
    """All maps of all scenes."""
    config = Config()
    encoder = make_encoder(config.language)
    rows, entries = [], {"query": [], "absent": [], "relation": []}
    for seed in seeds:
        scene = tabletop(seed, FRAMES)
        for kind in [k for k in kinds if k != "trained" or seed == seeds[0]]:
            masks = "exact" if kind in ("truth", "exact") else "noisy"
            dataset = SimulatedDataset(scene, SimulationOptions(seed=seed, frames=FRAMES, width=WIDTH, masks=masks))
            world = truth_map(dataset, encoder) if kind == "truth" else mapped(dataset, encoder, STEPS[kind])
            asked = {
                "query": query_questions(dataset, seed),
                "absent": absent_questions(seed),
                "relation": relation_questions(scene, scene.path[-1], seed),
            }
            got = {name: ask(questions, world, encoder, config) for name, questions in asked.items()}
            found = world.snapshot.instances
            row = {"seed": seed, "map": kind, "objects": len(found.objects), "threshold": round(found.threshold, 3)}
            row["seconds"] = round(world.seconds, 1)
            rows.append(row | {name: percent(e) for name, e in got.items()})
            for name, e in got.items():
                entries[name] += [{**x, "seed": seed, "map": kind} for x in e]
            sys.stderr.write(f"{rows[-1]}\n")
    fresh = {text for texts in PHRASES["paraphrases"].values() for text in texts}
    figures = {
        "query_accuracy": percent(entries["query"]),
        "absent_refused": percent(entries["absent"]),
        "relation_accuracy": percent(entries["relation"]),
        "query_accuracy_scene": percent([e for e in entries["query"] if e["text"] not in fresh]),
        "query_accuracy_written": percent([e for e in entries["query"] if e["text"] in fresh]),
        "calibration_error": calibration_error([*entries["query"], *entries["absent"], *entries["relation"]]),
    }
    wrong = {name: [x for x in e if not x["right"]] for name, e in entries.items()}
    return figures | {"maps": rows, "asked": {n: len(e) for n, e in entries.items()}, "wrong": wrong}


def main() -> None:
    """Print the table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--maps", nargs="+", default=["truth", "exact", "noisy", "trained"])
    parser.add_argument("--out", type=Path, default=Path("out/language.json"))
    arguments = parser.parse_args()
    figures = run(arguments.seeds, arguments.maps)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=1))
    table = Table(*figures["maps"][0], title="share of right answers, percent")
    for row in figures["maps"]:
        table.add_row(*(str(v) for v in row.values()))
    console = Console(width=120)
    console.print(table)
    for name, entries in figures["wrong"].items():
        for e in entries:
            console.print(f"wrong {name}: seed {e['seed']} {e['map']}: '{e['text']}' -> {e['message']}", markup=False)
    console.print({k: v for k, v in figures.items() if isinstance(v, float)})


if __name__ == "__main__":
    main()
