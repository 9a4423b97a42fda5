"""Questions, and whether their answers are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from benchmarks.language.maps import Map
from ig_ros.config import Config
from ig_ros.language import Encoder, rank
from ig_ros.simulation import SimulatedDataset

QUERIES, ABSENT = 20, 10
SEEN = 500  # truth points of a thing that is asked for: a corner of a picture in one frame is no thing
PHRASES = yaml.safe_load((Path(__file__).parent / "phrases.yaml").read_text())


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the things that answer it; none = it must be refused."""

    text: str
    wanted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A question that was asked and what came back."""

    text: str
    right: bool  # the first answer is one of those wanted, or nothing is wanted and found
    given: bool  # there was an answer
    score: float  # of the first answer, 0 without one
    message: str


def query_questions(dataset: SimulatedDataset, seed: int) -> list[Question]:
    """QUERIES paraphrases: those that the scene itself brings, then PHRASES, others in every scene."""
    seen = np.bincount(dataset.truth.ids)
    names = {i: n for i, n in dataset.truth.names.items() if n in PHRASES["paraphrases"] and seen[i] >= SEEN}
    own = [(text, names[i]) for text, i in dataset.truth.queries if i in names and text != names[i]]
    kinds = sorted(set(names.values()))
    written = [(PHRASES["paraphrases"][n][(seed + k) % 4], n) for k in range(4) for n in kinds]
    texts = list(dict([*own, *written]).items())[:QUERIES]
    return [Question(text, tuple(i for i, n in names.items() if n == name)) for text, name in texts]


def absent_questions(seed: int) -> list[Question]:
    """ABSENT things, others in every scene."""
    texts = PHRASES["absent"]
    return [Question(texts[(ABSENT * seed + k) % len(texts)], ()) for k in range(ABSENT)]


def ask(asked: Sequence[Question], world: Map, encoder: Encoder, config: Config) -> list[Answer]:
    """One answer per question."""
    answers = []
    for question in asked:
        result = rank(world.snapshot, question.text, encoder, config.language)
        got = world.true_id[result.hits[0].object.id] if result.hits else 0
        right = got in question.wanted if question.wanted else not result.hits
        score = result.hits[0].score if result.hits else 0.0
        answers.append(Answer(question.text, right, bool(result.hits), score, result.message))
    return answers


def percent(answers: Sequence[Answer]) -> float:
    """Share of right answers."""
    return round(100 * sum(e.right for e in answers) / max(len(answers), 1), 1)
