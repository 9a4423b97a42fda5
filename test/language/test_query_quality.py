"""How well the default encoder answers about household things; the figures are printed (pytest -s)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers import snapshot_of

from ig_ros.config import LanguageConfig
from ig_ros.language import rank
from ig_ros.language.sentence_encoder import SentenceEncoder
from ig_ros.types import Instances, MapSnapshot, ObjectInstance

NOUNS = yaml.safe_load((Path(__file__).parent / "nouns.yaml").read_text())


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder()


def scene(labels: list[str], encoder: SentenceEncoder) -> MapSnapshot:
    objects = tuple(ObjectInstance(i, n, 1.0, 3, np.eye(4), np.ones(3), 50) for i, n in enumerate(labels, start=1))
    ids, none = np.zeros(0, np.int32), np.zeros(0, np.float32)
    return snapshot_of(Instances(ids, none, objects, encoder.encode_labels(labels), encoder.name))


def measure(split: str, absent: list[str], encoder: SentenceEncoder) -> dict[str, float]:
    """Shares of queries answered rightly, all labels of the split standing in one scene."""
    things = scene(list(NOUNS[split]), encoder)

    def found(text: str) -> str:
        result = rank(things, text, encoder, LanguageConfig())
        return result.hits[0].object.label if result.hits else ""

    pairs = [(query, label) for label, queries in NOUNS[split].items() for query in queries]
    answers = [found(query) for query, _ in pairs]
    return {
        "names": float(np.mean([found(label) == label for label in NOUNS[split]])),
        "paraphrases": float(np.mean([a == label for a, (_, label) in zip(answers, pairs, strict=True)])),
        "not refused": float(np.mean([a != "" for a in answers])),
        "absent refused": float(np.mean([found(text) == "" for text in absent])),
    }


@pytest.mark.parametrize(("split", "absent"), [("seen", "absent_development"), ("fresh", "absent_fresh")])
def test_untuned_nouns(split: str, absent: str, encoder: SentenceEncoder) -> None:
    figures = measure(split, NOUNS[absent], encoder)
    print(split, figures)
    assert figures["names"] == 1.0
    assert figures["paraphrases"] >= 0.7
    assert figures["absent refused"] >= 0.8


def test_small_scene(encoder: SentenceEncoder) -> None:
    table = scene(["mug", "bowl", "banana", "book", "scissors", "table"], encoder)
    result = rank(table, "something to drink from", encoder, LanguageConfig())
    assert result.hits[0].object.label == "mug", result.message
    assert not rank(table, "elephant", encoder, LanguageConfig()).hits
