"""Boxes of object detectors: from files and messages to `Detections`, and from those to names of masks."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ig_ros.errors import FrameError
from ig_ros.geometry import box_iou
from ig_ros.lens_distortion import Rectifier
from ig_ros.types import Detections, FloatArray, IntArray, Masks

FORMAT = '[{"label": "mug", "score": 0.8, "box": [left, top, right, bottom]}, ...] with pixels'
LEAST_FIT = 0.5  # IoU of a box and of the box around a mask from which on the mask is what the box shows ...
LEAST_INSIDE = 0.7  # ... if so much of the mask lies inside: a table sticks out of the box of the mug on it ...
LEAST_COVER = 0.2  # ... and so much of the box is mask: not the floor that is seen around a chair


def detections_from_json(content: bytes) -> Detections:
    """Returns the boxes of one image. Raises FrameError `bad_detections` for anything but a list as in FORMAT."""
    try:
        rows = json.loads(content)
        boxes = np.array([row["box"] for row in rows], np.float64).reshape(len(rows), 4)
        scores = np.array([row.get("score", 1.0) for row in rows], np.float64)
        return Detections(boxes, tuple(str(row["label"]) for row in rows), scores)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FrameError("bad_detections", f"boxes must be {FORMAT} ({type(error).__name__}: {error})") from error


def detections_from_message(message: Any) -> Detections:
    """Returns the boxes of a DetectionArray of ours or a vision_msgs/Detection2DArray: the best hypothesis of each.

    A vision_msgs box is centre and size; of one that is turned, the upright box around it. A class id is its name.
    Raises FrameError `bad_detections`.
    """
    found = [_of_vision_msgs(d) if hasattr(d, "bbox") else _of_ours(d) for d in message.detections]
    named = [row for row in found if row[0].strip()]
    boxes = np.array([box for _, _, box in named], np.float64).reshape(len(named), 4)
    return Detections(boxes, tuple(name for name, _, _ in named), np.array([score for _, score, _ in named], float))


Row = tuple[str, float, tuple[float, float, float, float]]


def _of_ours(d: Any) -> Row:
    return d.label, float(d.score), (d.left, d.top, d.right, d.bottom)


def _of_vision_msgs(d: Any) -> Row:
    """Foxy has `results[].id` and a Pose2D as centre, later releases `results[].hypothesis` and another Pose2D."""
    results = [getattr(result, "hypothesis", result) for result in d.results]
    best = max(results, key=lambda h: h.score, default=None)
    if best is None:
        return "", 0.0, (0.0, 0.0, 0.0, 0.0)
    centre = getattr(d.bbox.center, "position", d.bbox.center)
    turn = abs(np.array([[np.cos(d.bbox.center.theta), np.sin(d.bbox.center.theta)]]))
    half_x, half_y = (
        float(side) / 2
        for side in (
            turn[0, 0] * d.bbox.size_x + turn[0, 1] * d.bbox.size_y,
            turn[0, 1] * d.bbox.size_x + turn[0, 0] * d.bbox.size_y,
        )
    )
    name = str(getattr(best, "class_id", getattr(best, "id", "")))
    return name, float(best.score), (centre.x - half_x, centre.y - half_y, centre.x + half_x, centre.y + half_y)


def rectified(found: Detections, rectifier: Rectifier) -> Detections:
    """Returns boxes of the image as published in that after decoding and undistortion, cut off at its border.

    A straight border of a box bends: the new box is around its corners and the middles of its sides. Boxes out of the
    undistorted image are left out.
    """
    n, camera = rectifier.lens.reduction, rectifier.camera
    boxes = found.boxes / n
    if rectifier.maps is not None:
        boxes = np.array([_around(box, rectifier) for box in boxes]).reshape(-1, 4)
    boxes = np.clip(boxes, 0, [camera.width, camera.height] * 2)
    kept = np.flatnonzero((boxes[:, 2:] - boxes[:, :2] >= 1).all(1))
    return Detections(boxes[kept], tuple(found.names[i] for i in kept), found.scores[kept])


def _around(box: FloatArray, rectifier: Rectifier) -> list[float]:
    left, top, right, bottom = box
    xs, ys = (left, (left + right) / 2, right), (top, (top + bottom) / 2, bottom)
    points = np.array([rectifier.point(x, y) for x in xs for y in ys])
    return [*points.min(0).tolist(), *points.max(0).tolist()]


def named_by_boxes(masks: Masks, found: Detections) -> Masks:
    """Returns the masks with names and scores of the boxes that they fit; masks that have a name keep it.

    Of the masks that fit a box, the best takes its name, of several names for a mask the one with the highest score
    times fit. A mask far larger than a box (the table under a mug) is not what it shows, nor one much smaller (a
    magazine on the table).
    """
    labels = np.maximum(masks.labels, 0)
    ids, places = np.unique(labels, return_inverse=True)
    if not len(found.names) or not len(ids[ids > 0]):
        return masks
    fit = box_fits(places.reshape(labels.shape).astype(np.int32), len(ids), found.boxes)
    fit[:, [i for i, mask in enumerate(ids.tolist()) if mask == 0 or masks.names.get(mask)]] = 0.0
    names, scores, best = dict(masks.names), dict(masks.scores), dict.fromkeys(ids.tolist(), 0.0)
    for i, place in enumerate(fit.argmax(1).tolist()):
        mask, value = int(ids[place]), float(fit[i, place] * found.scores[i])
        if value > best[mask]:
            names[mask], scores[mask], best[mask] = found.names[i], float(found.scores[i]), value
    return dataclasses.replace(masks, names=names, scores=scores)


def box_fits(labels: IntArray, count: int, boxes: FloatArray) -> npt.NDArray[np.float64]:
    """Returns (n, count) in [0, 1]: how well boxes (n, 4) px show the masks of labels (H, W) in [0, count), 0 = none.

    The IoU of the box and of that around the mask, times the share of the mask inside.
    """
    (height, width), size = labels.shape, np.bincount(labels.ravel(), minlength=count)
    places = ndimage.find_objects(labels + 1, count)  # rows and columns of every mask, None where it is not there
    extent = np.array([(p[1].start, p[0].start, p[1].stop, p[0].stop) if p else (0, 0, 0, 0) for p in places])
    fit = np.zeros((len(boxes), count))
    for i, box in enumerate(boxes):
        left, top = np.floor(np.maximum(box[:2], 0)).astype(int)
        right, bottom = np.ceil(np.minimum(box[2:], [width, height])).astype(int)
        common = np.bincount(labels[top:bottom, left:right].ravel(), minlength=count)
        inside, cover = common / np.maximum(size, 1), common / max((bottom - top) * (right - left), 1)
        iou = box_iou(np.clip(box, 0, [width, height] * 2), extent)
        good = (iou >= LEAST_FIT) & (inside >= LEAST_INSIDE) & (cover >= LEAST_COVER)
        fit[i] = np.where(good, iou * inside, 0.0)
    return fit
