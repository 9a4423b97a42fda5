"""The gate: which frames become keyframes, from motion, newly seen area and sharpness, before anything costly runs."""

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

WIDTH = 320  # px: blur that vanishes at training resolution does no harm
NEIGHBORS = 8  # images before


class Sharpness:
    """Variance of the Laplacian [Pech-Pacheco et al. 2000] of an image relative to the median of those just before."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=NEIGHBORS)

    def note(self, rgb: IntArray) -> float:
        """Sharpness of the next image (H, W, 3) u8 in units of its neighbours'; 1 for the first one.

        Alone it would tell a white wall from a bookshelf; the neighbours show the same wall.
        """
        own = laplacian_variance(rgb)
        usual = float(np.median(self._recent)) if self._recent else own
        self._recent.append(own)
        return own / usual if usual > 0 else 1.0


def laplacian_variance(rgb: IntArray) -> float:
    """Variance of the Laplacian of the grey image, at most WIDTH pixels wide."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    if width > WIDTH:
        grey = cv2.resize(grey, (WIDTH, max(1, height * WIDTH // width)), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


CELL = 0.25  # m: noise of depth and pose stays within a cell and its neighbours
GRID = 32  # pixels looked at along the longer side of an image
LEAST = 50  # measured pixels of those, below which a frame says nothing
CAPACITY = 400_000  # cells; the oldest half is forgotten beyond
AROUND = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), -1).reshape(-1, 3)


class SeenArea:
    """Cells in which keyframes have measured a surface, with the cells around them."""

    def __init__(self) -> None:
        self._cells: dict[int, None] = {}  # in order of arrival

    def new_share(self, frame: Frame) -> float:
        """Share of the frame's measured pixels in cells not seen before; 0 without depth."""
        points = sample_points(frame)
        if len(points) < LEAST:
            return 0.0
        keys = cell_keys(cells_of(points)).tolist()
        return sum(key not in self._cells for key in keys) / len(keys)

    def add(self, frame: Frame) -> None:
        """A keyframe has seen its part."""
        cells = np.unique(cells_of(sample_points(frame)), axis=0)
        self._cells.update(dict.fromkeys(np.unique(cell_keys(cells[:, None] + AROUND)).tolist()))
        if len(self._cells) > CAPACITY:
            self._cells = dict.fromkeys(list(self._cells)[len(self._cells) // 2 :])


def sample_points(frame: Frame) -> FloatArray:
    """(P, 3) m world: the measured surface at a grid of pixels."""
    if frame.depth is None:
        return np.zeros((0, 3))
    stride = max(1, max(frame.camera.width, frame.camera.height) // GRID)
    rows, cols = (a.ravel() for a in np.mgrid[0 : frame.camera.height : stride, 0 : frame.camera.width : stride])
    depth = frame.depth[rows, cols]
    good = np.isfinite(depth) & (depth > 0)
    return transform(frame.T_world_camera, back_project(frame.depth, frame.camera, rows[good], cols[good]))


def cells_of(points: FloatArray) -> IntArray:
    """(P, 3) cell of each point (P, 3) m."""
    cells: IntArray = np.floor(points / CELL).astype(np.int64)
    return cells


def cell_keys(cells: IntArray) -> IntArray:
    """(...,) one number per cell (..., 3), 20 bits per axis (130 km)."""
    low = cells & 0xFFFFF
    keys: IntArray = low[..., 0] << 40 | low[..., 1] << 20 | low[..., 2]
    return keys


class Verdict(Enum):
    """What becomes of a frame; the values are the causes diagnostics count."""

    KEYFRAME = "keyframe"
    NOT_NEW = "not_a_keyframe"
    BLURRED = "blurred"


@dataclass(slots=True)
class Track:
    """What the gate remembers of one camera."""

    sharpness: Sharpness
    last: Frame | None = None  # newest frame believed
    suspect: Frame | None = None  # newest frame refused for its jump
    keyframe: FloatArray | None = None  # (4, 4) pose of the newest keyframe
    masked: FloatArray | None = None  # (4, 4) pose of the newest keyframe that came with masks
    blurred: int = field(default=0)  # candidates refused in a row


class KeyframeGate:
    """Admits frames that saw something new, each camera judged by its own motion and sharpness."""

    def __init__(self, config: KeyframeConfig) -> None:
        self._config = config
        self._tracks: dict[str, Track] = {}
        self._area = SeenArea()

    def admit(self, frame: Frame) -> bool:
        """Whether the frame becomes a keyframe, see `judge`."""
        return self.judge(frame) is Verdict.KEYFRAME

    def judge(self, frame: Frame) -> Verdict:
        """A keyframe has moved or turned since its camera's last one, or its depth shows new area; and it is sharp.

        Of candidates that are blurred against their neighbours at most `blur_patience` in a row are refused: where all
        is blurred, a blurred picture is better than none. Where masks come for some frames only, a frame with masks is
        judged by the last keyframe that has some: else they would be lost with it. Raises FrameError for a pose that
        jumped; a jump that stays (the SLAM system relocalised) is believed as soon as two frames agree on it.
        """
        track = self._tracks.setdefault(frame.source, Track(Sharpness()))
        self._believe(track, frame)
        blurred = track.sharpness.note(frame.rgb) < self._config.blur_ratio
        moved = _moved(track.keyframe, frame, self._config)
        moved = moved or (frame.masks is not None and _moved(track.masked, frame, self._config))
        if not moved and self._area.new_share(frame) <= self._config.new_area:
            return Verdict.NOT_NEW
        if blurred and track.blurred < self._config.blur_patience:
            track.blurred += 1
            return Verdict.BLURRED
        track.blurred = 0
        track.keyframe = frame.T_world_camera
        track.masked = frame.T_world_camera if frame.masks is not None else track.masked
        self._area.add(frame)
        return Verdict.KEYFRAME

    def admit_masks(self, frame: Frame) -> bool:
        """Masks have come for a frame that was judged before: whether its camera has moved since the last with some.

        If so, the frame counts as one that has.
        """
        track = self._tracks.setdefault(frame.source, Track(Sharpness()))
        if not _moved(track.masked, frame, self._config):
            return False
        track.masked = frame.T_world_camera
        return True

    def forget_area(self) -> None:
        """Past poses have changed: what was seen is no longer where it was noted."""
        self._area = SeenArea()

    def _believe(self, track: Track, frame: Frame) -> None:
        if track.last is not None and self._jumped(track.last, frame):
            believed = track.suspect is not None and not self._jumped(track.suspect, frame)
            if not believed:
                track.suspect = frame
                raise FrameError(
                    "pose_jump", "pose jumped faster than keyframes.max_speed: frame skipped; raise it for fast robots"
                )
        track.last, track.suspect = frame, None

    def _jumped(self, before: Frame, after: Frame) -> bool:
        seconds = abs(after.stamp - before.stamp) * 1e-9
        distance = float(np.linalg.norm(after.T_world_camera[:3, 3] - before.T_world_camera[:3, 3]))
        return distance > self._config.max_speed * max(seconds, 1.0 / 30) + 0.1


def _moved(before: FloatArray | None, frame: Frame, config: KeyframeConfig) -> bool:
    """Whether the camera has moved or turned enough since the pose (4, 4), None = there was none yet."""
    if before is None:
        return True
    moved = float(np.linalg.norm(frame.T_world_camera[:3, 3] - before[:3, 3]))
    turned = np.degrees(rotation_angle(before, frame.T_world_camera))
    return bool(moved >= config.min_translation or turned >= config.min_rotation)
