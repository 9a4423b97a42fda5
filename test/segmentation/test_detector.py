"""A TFLite SSD names geometric masks: decoding of both kinds of model, and what is wrong with files."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ig_ros.config import SegmentationConfig
from ig_ros.errors import SegmenterError
from ig_ros.segmentation import make_segmenter
from ig_ros.segmentation.detector import SsdDetector, best_boxes, read_labels, ssd_anchors
from ig_ros.segmentation.geometric import GeometricSegmenter
from ig_ros.types import Camera, Masks

LABELS = ["???", "mug", "table"]
SIDE = 300


class Model:
    """An interpreter that sees a mug in the middle, whatever it is shown."""

    plain = True

    def __init__(self, path: str, num_threads: int) -> None:  # noqa: ARG002
        if b"TFL3" not in Path(path).read_bytes():
            raise ValueError("Model provided has model identifier 'no model', should be 'TFL3'")
        anchors = ssd_anchors(SIDE, 1917, Path(path))
        near = np.abs(anchors - [0.5, 0.5, 0.2, 0.2]).sum(1).argmin()
        y, x, h, w = anchors[near]
        encoded = np.zeros((1, 1917, 4), np.float32)
        encoded[0, near] = [10 * (0.5 - y) / h, 10 * (0.5 - x) / w, 5 * np.log(0.2 / h), 5 * np.log(0.2 / w)]
        logits = np.full((1, 1917, 3), -9, np.float32)
        logits[0, near, 1] = np.log(0.8 / 0.2)
        box = np.array([[[0.4, 0.4, 0.6, 0.6], [0, 0, 1, 1]]], np.float32)
        self.outputs = [logits, encoded] if self.plain else [
            box, np.array([[0, 1]], np.float32), np.array([[0.8, 0.1]], np.float32), np.array([2], np.float32)
        ]  # fmt: skip

    def allocate_tensors(self) -> None: ...

    def get_input_details(self) -> list[dict]:
        return [{"index": 0, "shape": np.array([1, SIDE, SIDE, 3]), "dtype": np.float32}]

    def get_output_details(self) -> list[dict]:
        return [{"index": i, "shape": np.array(o.shape)} for i, o in enumerate(self.outputs)]

    def set_tensor(self, _: int, image: np.ndarray) -> None:
        assert image.shape == (1, SIDE, SIDE, 3)
        assert abs(image).max() <= 1

    def invoke(self) -> None: ...

    def get_tensor(self, index: int) -> np.ndarray:
        return self.outputs[index]


@pytest.fixture(params=[True, False], ids=["plain", "postprocessed"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    module = ModuleType("ai_edge_litert.interpreter")
    module.Interpreter = Model
    monkeypatch.setattr(Model, "plain", request.param)
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert", ModuleType("ai_edge_litert"))
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert.interpreter", module)
    model = tmp_path / "ssd.tflite"
    model.write_bytes(b"....TFL3")
    model.with_suffix(".txt").write_text("\n".join(LABELS))
    return model


def test_boxes_are_decoded_in_pixels(path: Path) -> None:
    found = SsdDetector(path).detect(np.zeros((90, 120, 3), np.uint8))
    assert found.names == ("mug",)
    np.testing.assert_allclose(found.boxes, [[48, 36, 72, 54]], atol=0.01)
    np.testing.assert_allclose(found.scores, [0.8], atol=1e-6)


def test_a_large_image_is_also_looked_at_in_quarters(path: Path) -> None:
    """The double sees its mug in every picture: once in the whole, once in each quarter."""
    found = SsdDetector(path).detect(np.zeros((480, 640, 3), np.uint8))
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    assert sorted(map(tuple, middles.round().tolist())) == [
        (192, 144), (192, 336), (320, 240), (448, 144), (448, 336)
    ]  # fmt: skip


def test_the_segmenter_names_the_mask_in_the_box(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.ones((90, 120), np.int32)
    labels[36:54, 48:72] = 2
    monkeypatch.setattr(GeometricSegmenter, "segment", lambda *_: Masks(labels))
    segmenter = make_segmenter(SegmentationConfig(segmenter="detector", detector_model=str(path)))
    assert segmenter is not None
    camera = Camera(np.array([[100.0, 0, 60], [0, 100, 45], [0, 0, 1]]), 120, 90)
    masks = segmenter.segment(np.zeros((90, 120, 3), np.uint8), None, camera)
    assert masks.names == {2: "mug"}
    np.testing.assert_allclose(masks.scores[2], 0.8, atol=1e-6)


def test_of_boxes_that_overlap_the_best_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 11], [0, 0, 10, 10], [5, 5, 5, 9]], float)
    found = best_boxes(boxes, np.array([1, 1, 2, 1]), np.array([0.4, 0.6, 0.5, 0.9]), LABELS)
    assert list(zip(found.names, found.scores.tolist(), strict=True)) == [("mug", 0.6), ("table", 0.5)]


@pytest.mark.field("wrong", "a detector model that is none, has no labels or too few", "one line with file and remedy")
def test_what_is_wrong_with_a_model_is_told(path: Path, tmp_path: Path) -> None:
    with pytest.raises(SegmenterError, match="set segmentation.detector_model to its path"):
        make_segmenter(SegmentationConfig(segmenter="detector"))
    with pytest.raises(SegmenterError, match=r"no checkpoint of detector at .*gone"):
        make_segmenter(SegmentationConfig(segmenter="detector", detector_model=str(tmp_path / "gone.tflite")))
    path.with_suffix(".txt").write_text("mug")
    if Model.plain:
        with pytest.raises(SegmenterError, match="tells 3 classes apart, ssd.txt beside it has 1 lines"):
            SsdDetector(path)
    path.with_suffix(".txt").unlink()
    with pytest.raises(SegmenterError, match="brings no labels"):
        read_labels(path)
    path.write_bytes(b"no model")
    with pytest.raises(SegmenterError, match="is no TFLite model"):
        SsdDetector(path)
    with pytest.raises(SegmenterError, match="has 5 anchors"):
        ssd_anchors(SIDE, 5, path)
