"""The geometric segmenter's masks with names from a TFLite object detector (an SSD), on the CPU.

Boxes are no masks: what no mask fits stays without a name, and without depth, where masks are patches of one colour,
little is named. The model comes as a file: one with TFLite_Detection_PostProcess at its end (four outputs: boxes,
classes, scores, count), or the plain network (box encodings and class scores), whose boxes are decoded here.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ig_ros.config import SegmentationConfig
from ig_ros.detections import named_by_boxes
from ig_ros.errors import SegmenterError
from ig_ros.geometry import box_iou
from ig_ros.segmentation.geometric import GeometricSegmenter
from ig_ros.segmentation.sam import find_checkpoint
from ig_ros.types import Array, Camera, Detections, FloatArray, Masks

REMEDY = "`ig weights` lists one and where it comes from; set segmentation.detector_model to its path"
MIN_SCORE = 0.2  # boxes below it are noise
MIN_QUARTER = 0.6  # of the model's side: smaller quarters of an image show it nothing new
CUT = 4  # px from a quarter's inner border within which a box is of a thing that is cut off there
MAX_OVERLAP = 0.6  # IoU of two boxes of a class above which the better one stays [Liu et al. 2016: 0.45 to 0.6]
SCALES = (0.2, 0.95)  # of the anchors of first and last grid, as shares of the image [SSD-MobileNet]
FIRST = ((0.1, 1.0), (0.2, 2.0), (0.2, 0.5))  # scale and aspect of the anchors of the finest grid
ASPECTS = (1.0, 2.0, 0.5, 3.0, 1 / 3)  # of the others, and one between two scales
VARIANCE = np.array([10.0, 10.0, 5.0, 5.0])  # by which box encodings (y, x, h, w) are scaled


class DetectorSegmenter:
    """Masks of the geometric segmenter, named by the boxes that they fit."""

    name = "detector"

    def __init__(self, config: SegmentationConfig) -> None:
        """Loads the model. Raises SegmenterError naming what is missing and where to get it."""
        self._masks = GeometricSegmenter(config)
        self.detector = SsdDetector(find_checkpoint("detector", config.detector_model, REMEDY))

    def segment(self, rgb: Array, depth: FloatArray | None, camera: Camera) -> Masks:
        """Returns masks of rgb (H, W, 3) u8 with registered depth (H, W) m, 0 = unknown, or without any."""
        return named_by_boxes(self._masks.segment(rgb, depth, camera), self.detector.detect(rgb))


class SsdDetector:
    """A TFLite SSD with its labels."""

    def __init__(self, path: Path) -> None:
        """Raises SegmenterError for a missing package and for a file that is no such model."""
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise SegmenterError(
                "the detector segmenter needs the package ai-edge-litert: pip install ai-edge-litert==2.3.0 (extra "
                "detector)"
            ) from error
        try:
            self._model = Interpreter(str(path), num_threads=1)
            self._model.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise SegmenterError(f"{path} is no TFLite model ({' '.join(str(error).split())[:120]})") from error
        self.labels = read_labels(path)
        (self._input,) = self._model.get_input_details()[:1]
        self._outputs: list[dict[str, Any]] = self._model.get_output_details()
        sizes = [tuple(o["shape"].tolist()) for o in self._outputs]
        self._plain = len(sizes) == 2 and all(len(s) == 3 and s[0] == 1 for s in sizes)
        shape = tuple(self._input["shape"].tolist())
        if not (len(shape) == 4 and shape[3] == 3 and (self._plain or len(sizes) == 4)):
            raise SegmenterError(
                f"{path} is no SSD: it takes {shape} and returns {sizes}; wanted is one image in, out box "
                "encodings (1, n, 4) and class scores (1, n, classes), or the four of TFLite_Detection_PostProcess"
            )
        if self._plain:
            self._order = sorted(range(2), key=lambda i: sizes[i][2] != 4)
            self._anchors = ssd_anchors(shape[1], sizes[self._order[0]][1], path)
            self._require_labels(sizes[self._order[1]][2], path)

    def _require_labels(self, classes: int, path: Path) -> None:
        if len(self.labels) == classes - 1:  # the background has no line
            self.labels = ["???", *self.labels]
        if len(self.labels) != classes:
            raise SegmenterError(
                f"{path} tells {classes} classes apart, {path.with_suffix('.txt').name} beside it has "
                f"{len(self.labels)} lines: one label a line, in the order of the model's classes"
            )

    def detect(self, rgb: Array) -> Detections:
        """Returns what the model sees in an image rgb (H, W, 3) u8, in its pixels; the best box of those that overlap.

        It looks at the whole image and, since it reduces that to some 300 px, at its four overlapping quarters, too.
        """
        height, width = rgb.shape[:2]
        found = [self._look(rgb)]
        rows, cols = (-(-size * 3 // 5) for size in (height, width))
        if min(rows, cols) >= MIN_QUARTER * self._input["shape"][1]:
            for top, left in product((0, height - rows), (0, width - cols)):
                boxes, *rest = self._look(rgb[top : top + rows, left : left + cols])
                boxes = np.add(boxes, [left, top, left, top])
                inner = [left + CUT, top + CUT, left + cols - CUT, top + rows - CUT]
                border = np.array([left == 0, top == 0, left + cols == width, top + rows == height])
                whole = (border | np.concatenate([boxes[:, :2] > inner[:2], boxes[:, 2:] < inner[2:]], axis=1)).all(1)
                found.append((boxes[whole], *(values[whole] for values in rest)))
        boxes, classes, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return best_boxes(boxes, classes, scores, self.labels)

    def _look(self, rgb: Array) -> tuple[FloatArray, Array, FloatArray]:
        """Returns boxes (n, 4) px, classes (n,) and scores (n,) of one pass."""
        height, width = rgb.shape[:2]
        _, rows, cols, _ = self._input["shape"].tolist()
        image = cv2.resize(np.ascontiguousarray(rgb), (cols, rows), interpolation=cv2.INTER_AREA)[None]
        floating = np.issubdtype(self._input["dtype"], np.floating)
        self._model.set_tensor(
            self._input["index"], (image / 127.5 - 1).astype(np.float32) if floating else image.astype(np.uint8)
        )
        self._model.invoke()
        values: list[FloatArray] = [np.asarray(self._model.get_tensor(o["index"])[0]) for o in self._outputs]
        boxes, classes, scores = self._decoded(values) if self._plain else self._postprocessed(values)
        return boxes * ([width, height] * 2), classes, scores

    def _decoded(self, values: Sequence[FloatArray]) -> tuple[FloatArray, Array, FloatArray]:
        """Boxes (n, 4) in [0, 1], classes (n,) and scores (n,) of a plain network: one row per anchor and class."""
        encoded, logits = (values[i].astype(np.float64) for i in self._order)
        centre, size = self._anchors[:, :2], self._anchors[:, 2:]
        moved = encoded / VARIANCE
        middle, extent = centre + moved[:, :2] * size, size * np.exp(np.minimum(moved[:, 2:], 4))
        boxes = np.concatenate([middle - extent / 2, middle + extent / 2], axis=1)[:, [1, 0, 3, 2]]
        scores = 1 / (1 + np.exp(-logits))
        scores[:, 0] = 0.0  # the background
        anchor, which = np.nonzero(scores >= MIN_SCORE)
        return boxes[anchor], which, scores[anchor, which]

    def _postprocessed(self, values: Sequence[FloatArray]) -> tuple[FloatArray, Array, FloatArray]:
        boxes, classes, scores, count = values[0], values[1].astype(int), values[2], int(np.ravel(values[3])[0])
        good = np.flatnonzero(scores[:count] >= MIN_SCORE)
        offset = 1 if self.labels[:1] == ["???"] else 0  # the background has a line, but no class there
        return boxes[good][:, [1, 0, 3, 2]], classes[good] + offset, scores[good]


def read_labels(path: Path) -> list[str]:
    """Returns the label of every class: of NAME.txt beside NAME.tflite, else of the file packed into the model.

    Raises SegmenterError where there is neither.
    """
    beside = path.with_suffix(".txt")
    text = ""
    if beside.is_file():
        text = beside.read_text(errors="replace")
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            text = next((packed.read(n).decode(errors="replace") for n in packed.namelist() if n.endswith(".txt")), "")
    if not text.strip():
        raise SegmenterError(
            f"{path} brings no labels: put them into {beside}, one a line, in the order of its classes"
        )
    return [line.strip() for line in text.strip().splitlines()]


def ssd_anchors(side: int, count: int, path: Path) -> FloatArray:
    """Returns (n, 4) anchors y, x, h, w in [0, 1] of an SSD-MobileNet on side x side px: six grids, first side / 16.

    Raises SegmenterError where that makes another number of anchors than the model has.
    """
    grids = [-(-side // 16)]
    while len(grids) < 6:
        grids.append(-(-grids[-1] // 2))
    low, high = SCALES
    scales = [*(low + (high - low) * i / (len(grids) - 1) for i in range(len(grids))), 1.0]
    rows = []
    for k, n in enumerate(grids):
        shapes = FIRST if not k else (*((scales[k], a) for a in ASPECTS), ((scales[k] * scales[k + 1]) ** 0.5, 1.0))
        place = (np.arange(n) + 0.5) / n
        y, x = np.meshgrid(place, place, indexing="ij")
        sizes = np.array([(s / a**0.5, s * a**0.5) for s, a in shapes])
        centres = np.stack([y, x], axis=-1).reshape(-1, 1, 2).repeat(len(sizes), axis=1)
        rows.append(np.concatenate([centres, np.broadcast_to(sizes, centres.shape)], axis=-1).reshape(-1, 4))
    anchors: FloatArray = np.concatenate(rows)
    if len(anchors) != count:
        raise SegmenterError(
            f"{path} has {count} anchors, an SSD-MobileNet of {side} px has {len(anchors)}: take a model that ends in "
            "TFLite_Detection_PostProcess"
        )
    return anchors


def best_boxes(boxes: FloatArray, classes: Array, scores: FloatArray, labels: Sequence[str]) -> Detections:
    """Returns the best of every group of boxes (n, 4) of one class that overlap by more than MAX_OVERLAP."""
    order = [int(i) for i in np.argsort(-scores, kind="stable") if (boxes[i, 2:] > boxes[i, :2]).all()]
    kept: list[int] = []
    for i in order:
        rivals = boxes[[k for k in kept if classes[k] == classes[i]]].reshape(-1, 4)
        if classes[i] < len(labels) and (box_iou(boxes[i], rivals) <= MAX_OVERLAP).all():
            kept.append(i)
    return Detections(
        boxes[kept].astype(np.float64).reshape(-1, 4), tuple(labels[int(classes[i])].lower() for i in kept),
        np.clip(scores[kept], 0, 1).astype(np.float64),
    )  # fmt: skip
