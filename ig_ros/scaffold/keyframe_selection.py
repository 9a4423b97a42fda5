"""Decides which frames become keyframes, from motion, newly seen area and sharpness."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

import cv2
import numpy as np

from ig_ros.config import KeyframeConfig
from ig_ros.errors import FrameError
from ig_ros.geometry import back_project, rotation_angle, transform
from ig_ros.types import FloatArray, Frame, IntArray

BLUR_PATIENCE = 3  # blurred images refused in a row at most
SHARPNESS_WINDOW = 8  # previous images that an image's sharpness is compared with
CELL = 0.25  # m, edge of the cells of seen area: noise of depth and pose stays within a cell and its neighbours
GRID = 32  # pixels sampled along the longer side of a depth image; a frame with fewer measured pixels shows no area


class Sharpness:
    """Variance of the Laplacian [Pech-Pacheco et al. 2000] of an image relative to the median of those just before."""

    def __init__(self, width: int) -> None:
        """Compares images `width` px wide: blur that cannot be seen at training resolution does no harm."""
        self._width = width
        self._recent: deque[float] = deque(maxlen=SHARPNESS_WINDOW)

    def compare(self, rgb: IntArray) -> float:
        """Returns the sharpness of the next image (H, W, 3) u8 in units of its predecessors'; 1 for the first one.

        The absolute value depends on the texture of what is seen; the predecessors show about the same.
        """
        own = laplacian_variance(rgb, self._width)
        usual = float(np.median(self._recent)) if self._recent else own
        self._recent.append(own)
        return own / usual if usual > 0 else 1.0


def laplacian_variance(rgb: IntArray, most: int) -> float:
    """Returns the variance of the Laplacian of the grey image (H, W), reduced to at most so many pixels of width."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    if width > most:
        size = (most, max(1, height * most // width))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


class SeenArea:
    """Cells in which keyframes have measured a surface, with the 26 cells around each."""

    def __init__(self, capacity: int) -> None:
        """Remembers what about `capacity` keyframes have measured, of more cells the newest half."""
        self._capacity = capacity * GRID**2
        self._cells: dict[int, None] = {}  # in order of arrival

    def new_share(self, frame: Frame) -> float:
        """Returns the share of the frame's measured pixels in cells not seen before; 0 without depth."""
        points = sample_points(frame)
        if len(points) < GRID:
            return 0.0
        keys = cell_keys(cells_of(points)).tolist()
        return sum(key not in self._cells for key in keys) / len(keys)

    def add(self, frame: Frame) -> None:
        """Adds what a keyframe has measured."""
        cells = np.unique(cells_of(sample_points(frame)), axis=0)
        around = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3), -1).reshape(-1, 3)
        self._cells.update(dict.fromkeys(np.unique(cell_keys(cells[:, None] + around)).tolist()))
        if len(self._cells) > self._capacity:
            self._cells = dict.fromkeys(list(self._cells)[len(self._cells) // 2 :])


def sample_points(frame: Frame) -> FloatArray:
    """Returns the measured surface at a grid of pixels, (P, 3) m world."""
    if frame.depth is None:
        return np.zeros((0, 3))
    stride = max(1, max(frame.camera.width, frame.camera.height) // GRID)
    rows, cols = (a.ravel() for a in np.mgrid[0 : frame.camera.height : stride, 0 : frame.camera.width : stride])
    depth = frame.depth[rows, cols]
    good = np.isfinite(depth) & (depth > 0)
    return transform(frame.T_world_camera, back_project(frame.depth, frame.camera, rows[good], cols[good]))


def cells_of(points: FloatArray) -> IntArray:
    """Returns the cell (P, 3) of each point (P, 3) m."""
    cells: IntArray = np.floor(points / CELL).astype(np.int64)
    return cells


def cell_keys(cells: IntArray) -> IntArray:
    """Returns one number (...,) per cell (..., 3), 20 bits per axis (130 km)."""
    low = cells & 0xFFFFF
    keys: IntArray = low[..., 0] << 40 | low[..., 1] << 20 | low[..., 2]
    return keys


class Verdict(Enum):
    """Whether a frame becomes a keyframe; the values are the causes that diagnostics count."""

    KEYFRAME = "keyframe"
    NOT_NEW = "not_a_keyframe"
    BLURRED = "blurred"


@dataclass(slots=True)
class CameraHistory:
    """What the gate remembers of one camera."""

    sharpness: Sharpness
    last: Frame | None = None  # newest frame whose pose is plausible
    suspect: Frame | None = None  # newest frame refused because its pose jumped
    keyframe: FloatArray | None = None  # (4, 4) pose of the newest keyframe
    masked: FloatArray | None = None  # (4, 4) pose of the newest keyframe that came with masks
    blurred: int = field(default=0)  # candidates refused in a row


class KeyframeGate:
    """Admits frames that saw something new, each camera judged by its own motion and sharpness."""

    def __init__(self, config: KeyframeConfig, width: int) -> None:
        """`width` in px is that of the images used for training."""
        self._config, self._width = config, width
        self._cameras: dict[str, CameraHistory] = {}
        self._area = SeenArea(config.capacity)

    def admit(self, frame: Frame) -> bool:
        """Whether the frame becomes a keyframe, see `judge`."""
        return self.judge(frame) is Verdict.KEYFRAME

    def judge(self, frame: Frame) -> Verdict:
        """Judges whether the camera has moved or turned since its last keyframe or its depth shows new area, sharply.

        At most BLUR_PATIENCE blurred candidates in a row are refused: a blurred image is better than none. Where
        masks come for some frames only, a frame with masks is compared with the last keyframe that has some. Raises
        FrameError for a pose that jumped; a jump that two frames agree on (the SLAM system relocalised) is accepted.
        A photograph of a set in no order always becomes a keyframe.
        """
        if frame.photograph:
            return Verdict.KEYFRAME
        camera = self._cameras.setdefault(frame.source, CameraHistory(Sharpness(self._width)))
        self._check_jump(camera, frame)
        blurred = camera.sharpness.compare(frame.rgb) < self._config.blur_ratio
        moved = _moved(camera.keyframe, frame, self._config)
        moved = moved or (frame.masks is not None and _moved(camera.masked, frame, self._config))
        if not moved and self._area.new_share(frame) <= self._config.new_area:
            return Verdict.NOT_NEW
        if blurred and camera.blurred < BLUR_PATIENCE:
            camera.blurred += 1
            return Verdict.BLURRED
        camera.blurred = 0
        camera.keyframe = frame.T_world_camera
        camera.masked = frame.T_world_camera if frame.masks is not None else camera.masked
        self._area.add(frame)
        return Verdict.KEYFRAME

    def admit_masks(self, frame: Frame) -> bool:
        """Returns whether masks are wanted that come late for a frame: its camera has moved since the last with some.

        If so, the frame counts as one that has masks.
        """
        camera = self._cameras.setdefault(frame.source, CameraHistory(Sharpness(self._width)))
        if not _moved(camera.masked, frame, self._config):
            return False
        camera.masked = frame.T_world_camera
        return True

    def forget_area(self) -> None:
        """Forgets the seen area: it is elsewhere once past poses have been corrected."""
        self._area = SeenArea(self._config.capacity)

    def _check_jump(self, camera: CameraHistory, frame: Frame) -> None:
        known = (camera.last, camera.suspect) if camera.last is not None else ()
        if known and all(before is None or self._jumped(before, frame) for before in known):
            camera.suspect = frame
            raise FrameError(
                "pose_jump", "pose jumped faster than keyframes.max_speed: frame skipped; raise it for fast robots"
            )
        camera.last, camera.suspect = frame, None

    def _jumped(self, before: Frame, after: Frame) -> bool:
        seconds = abs(after.stamp - before.stamp) * 1e-9
        distance = float(np.linalg.norm(after.T_world_camera[:3, 3] - before.T_world_camera[:3, 3]))
        return distance > self._config.max_speed * max(seconds, 1.0 / 30) + 0.1


def _moved(before: FloatArray | None, frame: Frame, config: KeyframeConfig) -> bool:
    """Returns whether the camera has moved or turned enough since the pose (4, 4), None = there was none yet."""
    if before is None:
        return True
    moved = float(np.linalg.norm(frame.T_world_camera[:3, 3] - before[:3, 3]))
    turned = np.degrees(rotation_angle(before, frame.T_world_camera))
    return bool(moved >= config.min_translation or turned >= config.min_rotation)
