"""The default encoder, its cache, and imports beside a torchvision that does not fit torch."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ig_ros.config import LanguageConfig
from ig_ros.language import ImageEncoder, LabelEncoder, make_encoder
from ig_ros.language.encoders import TextCache

BROKEN = """
import pathlib, sys, tempfile
folder = pathlib.Path(tempfile.mkdtemp()) / "torchvision"
folder.mkdir()
(folder / "__init__.py").write_text("import torch\\nfrom torchvision import meta\\nversion = 1\\n")
(folder / "meta.py").write_text(
    "import torch\\n@torch.library.register_fake('torchvision::nms')\\ndef nms(dets, scores, iou_threshold): pass\\n"
)
sys.path.insert(0, str(folder.parent))
from ig_ros.language.open_clip_encoder import repair_torchvision
assert repair_torchvision() and repair_torchvision()
import torchvision
assert torchvision.version == 1
"""


def test_none() -> None:
    assert make_encoder(LanguageConfig(encoder="none")) is None


def test_sentence_encoder() -> None:
    encoder = make_encoder(LanguageConfig())
    assert isinstance(encoder, LabelEncoder)
    assert not isinstance(encoder, ImageEncoder)
    rows = encoder.encode_labels(["mug", "sofa"])
    assert rows.shape == (2, encoder.dimension)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert encoder.encode_text([]).shape == (0, encoder.dimension)
    scores = encoder.relevancy("a coffee cup", rows)
    assert scores[0] > 0.5 > scores[1]
    assert ((scores >= 0) & (scores <= 1)).all()


def test_cache_encodes_every_text_once() -> None:
    calls: list[list[str]] = []

    def encode(texts: list[str]) -> np.ndarray:
        calls.append(texts)
        return np.array([[len(t)] for t in texts], np.float32)

    cache = TextCache(encode, 1)
    assert cache(["a", "bb", "a"]).ravel().tolist() == [1, 2, 1]
    assert cache(["bb", "ccc"]).ravel().tolist() == [2, 3]
    assert calls == [["a", "bb"], ["ccc"]]


def test_what_is_known_does_not_wait_for_the_model() -> None:
    entered, go_on = threading.Event(), threading.Event()
    calls: list[str] = []

    def encode(texts: list[str]) -> np.ndarray:
        calls.extend(texts)
        if "slow" in texts:
            entered.set()
            assert go_on.wait(20.0)
        return np.array([[len(t)] for t in texts], np.float32)

    cache = TextCache(encode, 1)
    cache(["known"])
    with ThreadPoolExecutor(3) as pool:
        slow = [pool.submit(cache, ["slow"]) for _ in range(2)]
        try:
            assert entered.wait(20.0)
            assert pool.submit(cache, ["known"]).result(5.0).tolist() == [[5]]
            assert not any(future.done() for future in slow)
        finally:
            go_on.set()
        assert [future.result(20.0).tolist() for future in slow] == [[[4]], [[4]]]
    assert calls == ["known", "slow"], "two that ask for the same at once have it encoded once"


@pytest.mark.parametrize(
    "code",
    [
        BROKEN,
        "from ig_ros.language import make_encoder, rank\nimport sys\n"
        "assert not {'sentence_transformers', 'open_clip', 'torchvision', 'transformers'} & set(sys.modules)",
    ],
    ids=["broken torchvision is repaired", "importing loads no encoder"],
)
def test_imports(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
