"""The traced network says what the library says, whatever the length of the sentences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ig_ros.language.sentence_encoder import FEW, MiniLM

SENTENCES = (
    ["mug"],
    ["a mug", "something to drink hot coffee from in the morning", "x"],
    ["word " * 400, "lamp"],  # longer than the model reads
)


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM()


@pytest.mark.parametrize("sentences", SENTENCES, ids=("one", "three lengths", "too long"))
def test_the_traced_network_gives_the_librarys_rows(model: MiniLM, sentences: list[str]) -> None:
    rows = model(sentences)
    library = model._model.encode(sentences, normalize_embeddings=True, show_progress_bar=False)
    assert rows.dtype == np.float32
    assert rows == pytest.approx(library, abs=1e-5)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_it_is_traced_and_many_sentences_take_the_other_way_to_the_same_rows(model: MiniLM) -> None:
    assert isinstance(model._traced, torch.jit.ScriptModule)
    many = [f"a {i} metre long stick" for i in range(FEW + 1)]
    assert model(many)[:5] == pytest.approx(model(many[:5]), abs=1e-5)


def test_what_cannot_be_traced_truly_the_library_answers(model: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no tracing here")

    traced, rows = model._traced, model(["mug"])
    monkeypatch.setattr(torch.jit, "trace", refuse)
    assert model._trace() is None
    monkeypatch.undo()
    monkeypatch.setattr(torch.jit, "optimize_for_inference", lambda _: lambda *packed: traced(*packed) + 0.1)
    assert model._trace() is None
    monkeypatch.setattr(model, "_traced", None)
    assert model(["mug"]) == pytest.approx(rows, abs=1e-5)


def test_no_sentences_give_no_rows(model: MiniLM) -> None:
    assert len(model([])) == 0
