"""Pictures of masks and of the mapped objects, beside their photographs."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ig_ros.raster import top_contributor
from ig_ros.report.pictures import paint
from ig_ros.segmentation import Segmenter
from ig_ros.types import Frame, IntArray, MapSnapshot

Picture = npt.NDArray[np.uint8]
SIZE = (320, 240)  # px of one photograph


def mask_picture(frames: Sequence[Frame], segmenter: Segmenter) -> Picture:
    """Photograph | masks, two frames a row."""
    return sheet(
        [pair(frame.rgb, segmenter.segment(frame.rgb, frame.depth, frame.camera).labels * 7) for frame in frames]
    )


def object_picture(frames: Sequence[Frame], snapshot: MapSnapshot) -> Picture:
    """Photograph | objects of the map as the camera sees them, two frames a row."""
    assert snapshot.gaussians is not None
    pairs = []
    for frame in frames:
        camera = frame.camera.resized(320, 240)
        rows = top_contributor(snapshot.gaussians, frame.T_world_camera, camera).cpu().numpy()
        ids = np.where(rows >= 0, snapshot.instances.point_ids[np.maximum(rows, 0)], -1)
        pairs.append(pair(frame.rgb, ids))
    return sheet(pairs)


def pair(rgb: Picture, ids: IntArray) -> Picture:
    """A photograph beside the same one painted by id."""
    photo = cv2.resize(rgb, SIZE, interpolation=cv2.INTER_AREA)
    painted = cv2.resize(paint(ids.astype(np.int32)), SIZE, interpolation=cv2.INTER_NEAREST)
    return np.hstack([photo, (0.7 * painted + 0.3 * photo).astype(np.uint8)])


def sheet(pairs: Sequence[Picture]) -> Picture:
    """Two a row."""
    return np.vstack([np.hstack(pairs[i : i + 2]) for i in range(0, len(pairs), 2)])
