"""SAM 2: the real package with random weights where it is installed; what is missing is named everywhere."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import need

from ig_ros.config import SegmentationConfig
from ig_ros.errors import SegmenterError
from ig_ros.segmentation import make_segmenter
from ig_ros.types import Camera


@pytest.mark.parametrize("path", ["", "/nowhere/sam2.pt"])
def test_missing_file(path: str) -> None:
    with pytest.raises(SegmenterError) as error:
        make_segmenter(SegmentationConfig(segmenter="sam2", sam2_checkpoint=path, sam2_model="small"))
    for word in ("sam2.1_hiera_small.pt", "184 MB", "https://", "segmentation.sam2_checkpoint"):
        assert word in str(error.value)


def test_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(SegmenterError, match=r"no SAM 2 tiny checkpoint|pip install sam2"):
        make_segmenter(SegmentationConfig(segmenter="sam2", sam2_checkpoint=str(tmp_path / "other.pt")))


def test_segments_with_a_real_checkpoint(tmp_path: Path) -> None:
    need("sam2", "sam2")
    from sam2.build_sam import build_sam2

    torch.manual_seed(0)
    weights = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu", apply_postprocessing=False).state_dict()
    weights["sam_mask_decoder.iou_prediction_head.layers.2.bias"] += 1.0
    torch.save({"model": weights}, tmp_path / "tiny.pt")
    made = make_segmenter(
        SegmentationConfig(segmenter="sam2", sam2_checkpoint=str(tmp_path / "tiny.pt"), sam_points_per_side=1)
    )
    assert made is not None
    rgb = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    camera = Camera(np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]), 64, 48)
    assert made.segment(rgb, None, camera).labels.shape == (48, 64)
    assert "sam2.utils.transforms" not in sys.modules, "the predictor would pull torchvision in"
