"""Held-out phrases: rooms of other things as plain lists of labels, without geometry (held_out.yaml)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from benchmarks.language.asking import Answer, Question, ask
from benchmarks.language.maps import Map
from ig_ros.config import Config
from ig_ros.language import LabelEncoder, learn_threshold
from ig_ros.language.lexicon import definition_of, entry_of
from ig_ros.types import Instances, MapSnapshot, ObjectInstance

ROOMS = yaml.safe_load((Path(__file__).parent / "held_out.yaml").read_text())


def room_map(labels: list[str], encoder: LabelEncoder) -> Map:
    """A map whose objects are known by their labels only."""
    objects = tuple(ObjectInstance(i, n, 1.0, 3, np.eye(4), np.ones(3), 0) for i, n in enumerate(labels, start=1))
    embeddings = encoder.encode_labels(labels)
    threshold = learn_threshold(encoder, embeddings)
    ids, none = np.zeros(0, np.int32), np.zeros(0, np.float32)
    instances = Instances(ids, none, objects, embeddings, encoder.name, threshold)
    snapshot = MapSnapshot(1, 0, 0, np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), none, instances)
    return Map(snapshot, {o.id: o.id for o in objects}, 0.0)


def ask_rooms(encoder: LabelEncoder, config: Config) -> dict[str, list[Answer]]:
    """Answers about things that the lexicon explains, those it does not, and absent things."""
    answers: dict[str, list[Answer]] = {"explained": [], "unexplained": [], "absent": []}
    for room in ROOMS.values():
        world = room_map(list(room["things"]), encoder)
        for number, (name, phrases) in enumerate(room["things"].items(), start=1):
            kind = "explained" if definition_of(name) or entry_of(name) else "unexplained"
            answers[kind] += ask([Question(text, (number,)) for text in phrases], world, encoder, config)
        answers["absent"] += ask([Question(text, ()) for text in room["absent"]], world, encoder, config)
    return answers
