"""Meta's segment-anything from a checkpoint file: automatic masks, flattened to one label image.

Only the network comes from the package: its automatic mask generator and its predictor import torchvision, whose
compiled operators do not load beside a CPU torch. So the package is opened here without running its `__init__`, and
the prompt grid, filtering and suppression are done in this file.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import torch

from ig_ros.config import SegmentationConfig
from ig_ros.errors import SegmenterError
from ig_ros.geometry import box_iou
from ig_ros.segmentation.depth_surface import Mask
from ig_ros.segmentation.label_images import compact, least_pixels
from ig_ros.types import Array, Camera, FloatArray, IntArray, Masks

FILES = {
    "vit_b": ("sam_vit_b_01ec64.pth", "375 MB"),
    "vit_l": ("sam_vit_l_0b3195.pth", "1.2 GB"),
    "vit_h": ("sam_vit_h_4b8939.pth", "2.6 GB"),
}
PLACE = "https://dl.fbaipublicfiles.com/segment_anything/"
MIN_QUALITY = 0.86  # predicted IoU; segment-anything's own default is 0.88
MIN_STABILITY = 0.92  # IoU of the mask cut at logits +1 and -1
MAX_OVERLAP = 0.7  # box IoU above which the worse of two masks goes
BATCH = 64  # point prompts decoded at once, to bound memory
ALIAS = "_ig_ros_segment_anything"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One proposed mask at the image's size."""

    mask: Mask  # (H, W)
    quality: float  # predicted IoU x stability, [0, 1]


class SamSegmenter:
    """Automatic masks from a grid of point prompts; needs no depth and gives no names."""

    name = "sam"

    def __init__(self, config: SegmentationConfig, device: str | None = None) -> None:
        """Loads the checkpoint. Raises SegmenterError naming what is missing and where to get it."""
        self.config = config
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = self.load().to(self.device)

    def load(self) -> Any:
        """Returns the network on the CPU, ready for inference.

        Raises SegmenterError naming what is missing and where to get it.
        """
        name = self.config.sam_model
        file, size = FILES[name]
        remedy = f"download {PLACE}{file} ({size}) and set segmentation.sam_checkpoint to its path"
        path = find_checkpoint("sam", self.config.sam_checkpoint, remedy)
        build = open_package().sam_model_registry[name]
        try:
            model = build()
            model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # torch raises half a dozen kinds for a file that is not what it should be
            reason = str(error).splitlines()[0]
            raise SegmenterError(f"{path} is no {name} checkpoint ({reason}): {remedy}") from error
        return model.eval()

    @torch.inference_mode()
    def segment(self, rgb: Array, depth: FloatArray | None, camera: Camera) -> Masks:  # noqa: ARG002
        """Returns masks of rgb (H, W, 3) u8; depth is not used. Scores are predicted IoU x stability."""
        height, width = rgb.shape[:2]
        least = least_pixels(self.config.min_region, height, width)
        return flatten(suppress(self.propose(rgb)), (height, width), least)

    def propose(self, rgb: Array) -> list[Candidate]:
        """Returns good and stable masks at every grid point, of the level that the configuration asks for."""
        features, size = self.encode(rgb)
        n = self.config.sam_points_per_side
        steps = (np.arange(n) + 0.5) / n
        grid = np.stack(np.meshgrid(steps * size[1], steps * size[0]), -1).reshape(-1, 1, 2)
        points = torch.from_numpy(grid).float().to(self.device)
        found: list[Candidate] = []
        for batch in torch.split(points, BATCH):
            logits, quality = self.decode(features, batch)
            if self.config.sam_level == "whole":
                logits, quality = largest_masks(logits, quality, len(batch))
            found += self.select(logits, quality, size, (rgb.shape[0], rgb.shape[1]))
        return found

    def encode(self, rgb: Array) -> tuple[Any, tuple[int, int]]:
        """Returns features of the image, and the size (H, W) it has in the network's input, which is padded."""
        height, width = rgb.shape[:2]
        side = self.model.image_encoder.img_size
        scale = side / max(height, width)
        size = (round(height * scale), round(width * scale))
        image = cv2.resize(np.ascontiguousarray(rgb), size[::-1], interpolation=cv2.INTER_LINEAR)
        pixels = torch.from_numpy(image).to(self.device).permute(2, 0, 1).float()[None]
        return self.model.image_encoder(self.model.preprocess(pixels)), size

    def decode(self, features: Any, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mask logits (B * 3, h, w) and predicted IoU (B * 3,) for points (B, 1, 2) in pixels of the input."""
        ones = torch.ones(points.shape[:2], device=self.device)
        sparse, dense = self.model.prompt_encoder(points=(points, ones), boxes=None, masks=None)
        logits, quality = self.model.mask_decoder(
            image_embeddings=features,
            image_pe=self.model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
        return logits.flatten(0, 1), quality.flatten()

    def enlarge(self, logits: torch.Tensor, size: tuple[int, int], full: tuple[int, int]) -> torch.Tensor:
        """Returns logits (n, h, w) of the padded input at the image's size `full` (H, W)."""
        enlarged: torch.Tensor = self.model.postprocess_masks(logits[:, None], size, full)[:, 0]
        return enlarged

    def select(
        self, logits: torch.Tensor, quality: torch.Tensor, size: tuple[int, int], full: tuple[int, int]
    ) -> list[Candidate]:
        """Returns the good and stable ones, at the image's size."""
        stability = (logits > 1).sum((1, 2)) / (logits > -1).sum((1, 2)).clamp(min=1)
        good = (quality > MIN_QUALITY) & (stability > MIN_STABILITY)
        if not good.any():
            return []
        masks = self.enlarge(logits[good], size, full) > 0
        scores = (quality[good].clamp(max=1) * stability[good]).tolist()
        return [Candidate(m, s) for m, s in zip(masks.cpu().numpy(), scores, strict=True)]


def largest_masks(logits: torch.Tensor, quality: torch.Tensor, points: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns of every point's three masks, logits (B * 3, h, w) and quality (B * 3,), the largest: level 3 of SAM."""
    area = (logits > 0).sum((1, 2)).reshape(points, -1)
    largest = area.argmax(1) + area.shape[1] * torch.arange(points, device=area.device)
    return logits[largest], quality[largest]


def suppress(candidates: list[Candidate]) -> list[Candidate]:
    """Returns the best of every group of masks whose boxes overlap by more than MAX_OVERLAP, best first."""
    order = sorted((c for c in candidates if c.mask.any()), key=lambda c: -c.quality)
    boxes = np.array([box(c.mask) for c in order], dtype=np.float64).reshape(-1, 4)
    alive = np.ones(len(order), bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= box_iou(boxes[i], boxes[i + 1 :]) <= MAX_OVERLAP
    return [c for c, keep in zip(order, alive, strict=True) if keep]


def box(mask: Mask) -> tuple[int, int, int, int]:
    """Returns first row, first column, one past the last row, one past the last column."""
    rows, cols = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1


def flatten(candidates: list[Candidate], size: tuple[int, int], least: int) -> Masks:
    """Returns one label image of `size` (H, W), small masks on top of large ones; remnants under `least` px go."""
    labels: IntArray = np.zeros(size, np.int32)
    painted = sorted((c for c in candidates if c.mask.sum() >= least), key=lambda c: (-int(c.mask.sum()), -c.quality))
    for number, candidate in enumerate(painted, start=1):
        labels[candidate.mask] = number
    labels[np.bincount(labels.ravel())[labels] < least] = 0
    kept = np.unique(labels[labels > 0]).tolist()
    return Masks(compact(labels), scores={n: painted[i - 1].quality for n, i in enumerate(kept, start=1)})


def find_checkpoint(model: str, checkpoint: str, remedy: str) -> Path:
    """Returns the path of a checkpoint file. Raises SegmenterError where none is set, or none is there."""
    if not checkpoint:
        raise SegmenterError(f"the segmenter {model} needs weights: {remedy}")
    path = Path(checkpoint).expanduser()
    if not path.is_file():
        raise SegmenterError(f"no checkpoint of {model} at {path}: {remedy}")
    return path


def open_package() -> ModuleType:
    """Returns segment_anything.build_sam, imported under another package name so that no torchvision is needed."""
    if ALIAS not in sys.modules:
        spec = importlib.util.find_spec("segment_anything")
        if spec is None or spec.submodule_search_locations is None:
            raise SegmenterError("the sam segmenter needs a package: pip install segment-anything==1.0 (extra sam)")
        package = ModuleType(ALIAS)
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules[ALIAS] = package
    return importlib.import_module(f"{ALIAS}.build_sam")
