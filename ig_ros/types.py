"""The values that travel between the stages: frozen, validated once at construction, without further logic.

Conventions: metres, nanosecond stamps, OpenCV camera axes (x right, y down, z forward), `T_a_b` maps points of
frame b into frame a, quaternions (w, x, y, z). NumPy arrays and tensors inside are never written after construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt
import torch

from ig_ros.errors import FrameError

Array = npt.NDArray[np.generic]
FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Camera:
    """Pinhole camera without distortion. Pixel centres are at +0.5 (the top-left pixel spans [0, 1) x [0, 1))."""

    K: FloatArray  # (3, 3), pixels
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.K.shape != (3, 3) or not np.isfinite(self.K).all():
            raise FrameError("bad_camera_info", f"camera matrix must be a finite 3x3 matrix, got shape {self.K.shape}")
        if self.K[0, 0] <= 0 or self.K[1, 1] <= 0:
            raise FrameError(
                "bad_camera_info", "camera matrix has a focal length <= 0: publish a calibrated camera_info"
            )
        if self.width <= 0 or self.height <= 0:
            raise FrameError("bad_camera_info", f"image size {self.width}x{self.height} is not positive")

    def resized(self, width: int, height: int) -> Camera:
        """The same camera after its image has been resampled to width x height pixels."""
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return Camera(scale @ self.K, width, height)


@dataclass(frozen=True, slots=True)
class Masks:
    """2D segmentation of one image; ids are local to the image and mean nothing in another one."""

    labels: IntArray  # (H, W) int32, 0 = no mask
    names: Mapping[int, str] = field(default_factory=dict)  # id -> label text, where known
    scores: Mapping[int, float] = field(default_factory=dict)  # id -> [0, 1], 1 where absent
    embeddings: Mapping[int, FloatArray] = field(default_factory=dict)  # id -> (E,) unit norm, where known
    encoder: str = ""  # name of the encoder the embeddings come from, "" = not said

    def __post_init__(self) -> None:
        if self.labels.ndim != 2 or not np.issubdtype(self.labels.dtype, np.integer):
            raise FrameError(
                "bad_masks", f"label image must be (H, W) integers, got {self.labels.dtype} {self.labels.shape}"
            )


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes of an object detector in one image; they name the masks that they fit."""

    boxes: FloatArray  # (n, 4) px: left, top, right, bottom; the top-left pixel spans [0, 1) x [0, 1)
    names: tuple[str, ...]
    scores: FloatArray  # (n,) in [0, 1]

    def __post_init__(self) -> None:
        n = len(self.names)
        if self.boxes.shape != (n, 4) or self.scores.shape != (n,):
            raise FrameError("bad_detections", f"{n} labels, boxes {self.boxes.shape}, scores {self.scores.shape}")
        for i in range(n):
            (left, top, right, bottom), score = self.boxes[i].tolist(), float(self.scores[i])
            if not (np.isfinite(self.boxes[i]).all() and left < right and top < bottom):
                raise FrameError(
                    "bad_detections",
                    f"box {i} ('{self.names[i][:40]}') is [{left:g}, {top:g}, {right:g}, {bottom:g}]: give left, top, "
                    "right, bottom in pixels, each side longer than 0",
                )
            if not 0 <= score <= 1:
                raise FrameError("bad_detections", f"box {i} ('{self.names[i][:40]}') has score {score:g}: give 0 to 1")


@dataclass(frozen=True, slots=True)
class Frame:
    """One posed, undistorted image with whatever came along with it."""

    stamp: int  # ns
    rgb: npt.NDArray[np.uint8]  # (H, W, 3)
    camera: Camera
    T_world_camera: FloatArray  # (4, 4), m
    depth: FloatArray | None = None  # (H, W) float32, m along z, 0 = none; registered to rgb
    masks: Masks | None = None
    index: int = -1  # frame number in its dataset, -1 for a stream
    source: str = ""  # which of several cameras took it; stamps are unique over all of them
    detections: Detections | None = None  # name those of the masks that bring no name
    ignored: BoolArray | None = None  # (H, W) pixels that do not show the scene: the robot itself, people
    photograph: bool = False  # of a set in no order: neither its stamp nor the way from the one before means anything

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        if self.rgb.shape != (*size, 3) or self.rgb.dtype != np.uint8:
            raise FrameError(
                "image_size",
                f"image is {self.rgb.dtype} {self.rgb.shape}, camera_info says {size[1]}x{size[0]} rgb uint8",
            )
        if self.T_world_camera.shape != (4, 4) or not np.isfinite(self.T_world_camera).all():
            raise FrameError("bad_pose", "pose is not a finite 4x4 matrix: check the SLAM system's output")
        if self.depth is not None and self.depth.shape != size:
            raise FrameError(
                "depth_size",
                f"depth is {self.depth.shape[1]}x{self.depth.shape[0]}, image is {size[1]}x{size[0]}: "
                "publish depth registered to the image",
            )
        if self.masks is not None and self.masks.labels.shape != size:
            shape = self.masks.labels.shape
            raise FrameError("mask_size", f"label image is {shape[1]}x{shape[0]}, image is {size[1]}x{size[0]}")
        if self.ignored is not None and (self.ignored.shape != size or self.ignored.dtype != np.bool_):
            kind = f"{self.ignored.dtype} {self.ignored.shape}"
            raise FrameError("ignore_size", f"ignored pixels are {kind}, image is {size[1]}x{size[0]}: want bool of it")


@dataclass(frozen=True, slots=True)
class GaussianBatch:
    """Decoded children of the anchors, in the world frame; the only thing a rasteriser sees.

    Means are float32 from an origin near the map: float32 of the world would round 10 km from its origin to 1 mm, and
    UTM coordinates to half a metre.
    """

    means: torch.Tensor  # (N, 3) m, from `origin`
    quats: torch.Tensor  # (N, 4) wxyz, need not be normalised
    scales: torch.Tensor  # (N, 3) m, standard deviations
    opacities: torch.Tensor  # (N,) in [0, 1]
    features: torch.Tensor  # (N, F): what is blended (colour, instance feature, ...)
    anchors: torch.Tensor  # (N,) int64, row of the anchor that owns the child
    origin: FloatArray = field(default_factory=lambda: np.zeros(3))  # (3,) float64 m, world

    def rows(self, chosen: torch.Tensor) -> GaussianBatch:
        """Returns the Gaussians of a mask (N,) bool or of row numbers."""
        return GaussianBatch(
            self.means[chosen], self.quats[chosen], self.scales[chosen], self.opacities[chosen],
            self.features[chosen], self.anchors[chosen], self.origin,
        )  # fmt: skip

    def world_means(self) -> FloatArray:
        """Returns the means (N, 3) float64 m in the world."""
        return np.asarray(self.means.detach().cpu().numpy() + self.origin)


@dataclass(frozen=True, slots=True)
class RenderResult:
    """What a rasteriser returns for one camera; differentiable."""

    features: torch.Tensor  # (H, W, F), alpha-blended, not divided by alpha
    depth: torch.Tensor  # (H, W) m, alpha-blended z, not divided by alpha
    alpha: torch.Tensor  # (H, W) in [0, 1]


@dataclass(frozen=True, slots=True)
class ObjectInstance:
    """One object of the map. The box is oriented with the world's z axis kept vertical."""

    id: int  # stable over re-instantiations, >= 1, never reused
    label: str  # voted from the masks' names; "" when nobody named it
    confidence: float  # [0, 1], how far the views agree that this is one thing
    views: int  # keyframes in which it was recognised
    T_world_box: FloatArray  # (4, 4) m, pose of the box's centre
    size: FloatArray  # (3,) m, full edge lengths along the box's own axes
    points: int  # Gaussians that belong to it
    born: int = 0  # ns, stamp of the first keyframe that recognised it
    last_seen: int = 0  # ns, stamp of the newest keyframe that recognised it
    split_from: int = 0  # id of the object it came off, 0 = none
    certainty: float = 1.0  # probability that the label is right, told from all views of the object; 1 without a label


@dataclass(frozen=True, slots=True)
class Instances:
    """Result of one instantiation: which Gaussian belongs to which object."""

    point_ids: IntArray  # (N,) int32, ObjectInstance.id of each Gaussian, -1 = none
    point_confidence: FloatArray  # (N,) float32 in [0, 1]
    objects: tuple[ObjectInstance, ...] = ()
    embeddings: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # (S, E), zero row = unknown
    encoder: str = ""  # name of the encoder the embeddings come from
    threshold: float = 0.0  # score below which a thing is not there, learnt from canonical phrases; 0 = not learnt
    merged_into: Mapping[int, int] = field(default_factory=dict)  # id that is no more -> object it is part of now
    vanished: tuple[int, ...] = ()  # ids that are nowhere now; they may return


@dataclass(frozen=True, eq=False)  # without slots: caches refer to it weakly
class MapSnapshot:
    """An immutable picture of the map, safe to read from any thread; equal to itself alone."""

    version: int  # grows with every snapshot
    step: int  # training steps done
    stamp: int  # ns, of the newest frame used
    xyz: FloatArray  # (N, 3) float64 m, world
    rgb: npt.NDArray[np.uint8]  # (N, 3)
    opacity: FloatArray  # (N,) float32
    instances: Instances
    T_world_view: FloatArray | None = None  # (4, 4) pose of the newest camera, None = unknown
    gaussians: GaussianBatch | None = None  # what `render_view` draws, row for row; None after loading from disk


class QueryStatus(Enum):
    FOUND = "found"
    ABSENT = "absent"
    NOT_READY = "not ready"
    AMBIGUOUS = "ambiguous"  # one thing was asked for and several fit: the hits are those


@dataclass(frozen=True, slots=True)
class QueryHit:
    """One ranked answer."""

    object: ObjectInstance
    score: float  # [0, 1] relevancy: above the threshold of the config it counts as present


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Answer to a text query; `message` explains an empty answer in one line."""

    status: QueryStatus
    hits: tuple[QueryHit, ...]
    message: str
    threshold: float = 0.0  # score below which a thing counted as absent, 0 = nothing was scored
