"""Meta's SAM 2 from a checkpoint file: the same automatic masks as `sam`, from its faster network.

As there, only the network comes from the package, so that its image pipeline (torchvision) is not needed.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch

from ig_ros.errors import SegmenterError
from ig_ros.segmentation.sam import SamSegmenter, find_checkpoint
from ig_ros.types import Array

FILES = {  # model -> config inside the package, checkpoint, its size
    "tiny": ("configs/sam2.1/sam2.1_hiera_t.yaml", "sam2.1_hiera_tiny.pt", "156 MB"),
    "small": ("configs/sam2.1/sam2.1_hiera_s.yaml", "sam2.1_hiera_small.pt", "184 MB"),
    "base_plus": ("configs/sam2.1/sam2.1_hiera_b+.yaml", "sam2.1_hiera_base_plus.pt", "324 MB"),
    "large": ("configs/sam2.1/sam2.1_hiera_l.yaml", "sam2.1_hiera_large.pt", "898 MB"),
}
PLACE = "https://dl.fbaipublicfiles.com/segment_anything_2/092824/"
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pixels it was trained on, in [0, 1]


class Sam2Segmenter(SamSegmenter):
    """Automatic masks from a grid of point prompts; needs no depth and gives no names."""

    name = "sam2"

    def load(self) -> Any:
        """Returns the network on the CPU. Raises SegmenterError naming what is missing and where to get it."""
        settings, file, size = FILES[self.config.sam2_model]
        remedy = f"download {PLACE}{file} ({size}) and set segmentation.sam2_checkpoint to its path"
        path = find_checkpoint("sam2", self.config.sam2_checkpoint, remedy)
        try:
            from sam2.build_sam import build_sam2
        except ImportError as error:
            raise SegmenterError(
                f"the sam2 segmenter needs the package {error.name}, which is missing: pip install sam2==1.1.0"
            ) from error
        try:
            return build_sam2(settings, str(path), device="cpu", apply_postprocessing=False)
        except Exception as error:  # torch and hydra raise a dozen kinds for a file that is not what it should be
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise SegmenterError(
                f"{path} is no SAM 2 {self.config.sam2_model} checkpoint ({reason}): {remedy}"
            ) from error

    def encode(self, rgb: Array) -> tuple[Any, tuple[int, int]]:
        """Returns features of three resolutions; the image fills the square input."""
        side = int(self.model.image_size)
        image = cv2.resize(np.ascontiguousarray(rgb), (side, side), interpolation=cv2.INTER_LINEAR)
        scaled = (image.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
        pixels = torch.from_numpy(scaled).permute(2, 0, 1)[None].to(self.device)
        _, levels, _, sizes = self.model._prepare_backbone_features(self.model.forward_image(pixels))
        if self.model.directly_add_no_mem_embed:
            levels[-1] = levels[-1] + self.model.no_mem_embed
        maps = [level.permute(1, 2, 0).reshape(1, -1, *size) for level, size in zip(levels, sizes, strict=True)]
        return maps, (side, side)

    def decode(self, features: Any, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mask logits (B * 3, h, w) and predicted IoU (B * 3,) for points (B, 1, 2) in pixels of the input."""
        ones = torch.ones(points.shape[:2], dtype=torch.int32, device=self.device)
        sparse, dense = self.model.sam_prompt_encoder(points=(points, ones), boxes=None, masks=None)
        logits, quality, _, _ = self.model.sam_mask_decoder(
            image_embeddings=features[-1],
            image_pe=self.model.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
            repeat_image=True,
            high_res_features=features[:-1],
        )
        return logits.flatten(0, 1), quality.flatten()

    def enlarge(self, logits: torch.Tensor, size: tuple[int, int], full: tuple[int, int]) -> torch.Tensor:  # noqa: ARG002
        """Returns logits (n, h, w) at the image's size `full` (H, W)."""
        return torch.nn.functional.interpolate(logits[:, None], full, mode="bilinear", align_corners=False)[:, 0]
