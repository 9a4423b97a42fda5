"""The written questions (questions.yaml): asked of the maps of layouts.yaml, counted by kind."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.language.layouts import layout_map
from ig_ros.config import Config
from ig_ros.language import LabelEncoder, rank
from ig_ros.types import QueryResult

SURE = 0.8  # a wrong answer with a higher score misleads
ASKS_BACK = re.compile(r"which one\?")
FILES = {"written": "questions.yaml", "fresh": "questions_fresh.yaml", "last": "questions_last.yaml"}


@dataclass(frozen=True, slots=True)
class Written:
    """A question that was asked and what came back."""

    map: str
    kind: str
    text: str
    wanted: str
    right: bool
    refused: bool
    score: float  # of the first answer, 0 without one
    milliseconds: float
    message: str


def is_right(wanted: str, result: QueryResult, keys: Mapping[str, int]) -> bool:
    """Whether the result is what questions.yaml says."""
    found = [hit.object.id for hit in result.hits]
    asks_back = bool(ASKS_BACK.search(result.message))
    way, _, names = wanted.partition(": ")
    if way in ("all", "which"):
        return asks_back == (way == "which") and sorted(found) == sorted(keys[n] for n in names.split(", "))
    if way == "not":
        return bool(found) and found[0] not in [keys[n] for n in names.split(", ")]
    if wanted.startswith("count "):
        number = re.search(r"\b\d+\b", result.message.rpartition("':")[2] or result.message)
        return number is not None and number[0] == wanted.split()[1]
    if wanted == "english":
        return not found and "English" in result.message
    options = wanted.split(" | ")
    if not found:
        return "refused" in options
    return not asks_back and found[0] in [keys.get(option, 0) for option in options]


def ask_written(which: str, encoder: LabelEncoder, config: Config) -> list[Written]:
    """All questions of a file of FILES, in its order."""
    answers = []
    for name, kinds in yaml.safe_load((Path(__file__).parent / FILES[which]).read_text()).items():
        world, keys = layout_map(name, encoder)
        rank(world.snapshot, "a first question", encoder, config.language)
        for kind, asked in kinds.items():
            for text, wanted in asked.items():
                begin = time.perf_counter()
                result = rank(world.snapshot, text, encoder, config.language, 0)
                took = 1000 * (time.perf_counter() - begin)
                score = result.hits[0].score if result.hits else 0.0
                right = is_right(wanted, result, keys)
                answers.append(Written(name, kind, text, wanted, right, not result.hits, score, took, result.message))
    return answers


def by_kind(answers: Sequence[Written]) -> list[tuple[Any, ...]]:
    """Rows of kind, questions, share right, wrong ones with a score above SURE; all kinds together last."""
    kinds = [*dict.fromkeys(e.kind for e in answers)]
    groups = [(kind, [e for e in answers if e.kind == kind]) for kind in kinds]
    return [
        (kind, len(group), f"{100 * np.mean([e.right for e in group]):.1f}", sum(misleads(e) for e in group))
        for kind, group in [*groups, ("all", list(answers))]
    ]


def misleads(answer: Written) -> bool:
    """Wrong, sure of it, and to be acted upon: a question back, or a refusal, misleads nobody."""
    return not answer.right and answer.score > SURE and not ASKS_BACK.search(answer.message)


def written_summary(answers: Sequence[Written]) -> dict[str, float]:
    """Percent right, percent that mislead, percent of the absent refused, milliseconds (99th percentile)."""
    absent = [e.refused for e in answers if e.kind == "absent"]
    return {
        "right": round(100 * float(np.mean([e.right for e in answers])), 1),
        "misleading": round(100 * float(np.mean([misleads(e) for e in answers])), 1),
        "absent_refused": round(100 * float(np.mean(absent)), 1),
        "milliseconds": round(float(np.percentile([e.milliseconds for e in answers], 99)), 1),
    }
