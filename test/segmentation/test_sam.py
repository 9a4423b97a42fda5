"""segment-anything: real package, real loading of a checkpoint with random weights; exact flattening."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.fx.experimental._config as fx_config
from helpers import CAMERA as CARDS
from helpers import need, orbit, small_config

from ig_ros.config import SegmentationConfig
from ig_ros.errors import SegmenterError
from ig_ros.mapper import Mapper
from ig_ros.segmentation import make_segmenter, sam
from ig_ros.segmentation.sam import ALIAS, BATCH, Candidate, SamSegmenter, box_iou, flatten, open_package, suppress
from ig_ros.segmentation.sam2 import Sam2Segmenter
from ig_ros.types import Camera

CAMERA = Camera(np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]), 64, 48)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """vit_b with random weights whose decoder thinks well of its masks and makes them stable, so that they pass."""
    need("segment_anything", "sam")
    torch.manual_seed(0)
    weights = open_package().sam_model_registry["vit_b"]().state_dict()
    weights["mask_decoder.iou_prediction_head.layers.2.bias"] += 1.0
    weights["mask_decoder.output_upscaling.3.weight"] *= 300.0
    path = tmp_path_factory.mktemp("sam") / "vit_b.pth"
    torch.save(weights, path)
    yield path
    path.unlink()  # 375 MB


def settings(checkpoint: Path, points: int = 2) -> SegmentationConfig:
    return SegmentationConfig(segmenter="sam", sam_checkpoint=str(checkpoint), sam_points_per_side=points)


@pytest.fixture(scope="module")
def segmenter(checkpoint: Path) -> SamSegmenter:
    """The checkpoint, loaded; then its image encoder (ten seconds an image) gives way to one layer of the package."""
    made = make_segmenter(settings(checkpoint))
    assert isinstance(made, SamSegmenter)
    encoder = type(made.model.image_encoder)(
        img_size=1024, patch_size=16, embed_dim=32, depth=1, num_heads=2, out_chans=256, window_size=14
    )
    made.model.image_encoder = encoder.to(made.device)
    return made


def block(rows: slice, cols: slice, quality: float = 0.9) -> Candidate:
    mask = np.zeros((48, 64), bool)
    mask[rows, cols] = True
    return Candidate(mask, quality)


def test_segments_with_a_real_checkpoint(segmenter: SamSegmenter) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    candidates = segmenter.propose(rgb)
    assert candidates
    assert all(c.mask.shape == (48, 64) and 0 < c.quality <= 1 for c in candidates)
    masks = segmenter.segment(rgb, None, CAMERA)
    ids = set(np.unique(masks.labels)) - {0}
    assert ids == set(range(1, len(ids) + 1)) == set(masks.scores)
    assert ids
    assert f"{ALIAS}.predictor" not in sys.modules, "the predictor would pull torchvision in"


def test_the_whole_path_from_images_to_objects(checkpoint: Path) -> None:
    """Random weights mean nothing; every part is real: the ViT-B, prompts, label images, training, instantiation."""
    words = dataclasses.asdict(settings(checkpoint, points=3))
    mapper = Mapper(small_config(**{f"segmentation.{key}": value for key, value in words.items()}))
    for frame in orbit(2):
        mapper.add_frame(dataclasses.replace(frame, masks=None))
    for _ in range(20):
        mapper.train_step()
    shown = [keyframe.masks for keyframe in mapper.keyframes.items]
    assert len(shown) == 2
    assert all(masks.labels.shape == (CARDS.height, CARDS.width) and masks.labels.max() >= 1 for masks in shown)
    assert all(set(masks.scores) == set(np.unique(masks.labels)) - {0} for masks in shown)
    assert mapper.instantiate().instances.objects


def test_everything_is_done_on_the_device_asked_for(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The meta device has shapes and no values: a tensor left on the CPU would not meet it."""
    monkeypatch.setattr(fx_config, "meta_nonzero_assume_all_nonzero", True)  # for the prompt encoder's x[labels == 1]
    segmenter = SamSegmenter(settings(checkpoint), device="meta")
    features, size = segmenter.encode(np.zeros((48, 64, 3), np.uint8))
    assert (features.device.type, tuple(features.shape), size) == ("meta", (1, 256, 64, 64), (768, 1024))
    logits, quality = segmenter.decode(features, torch.zeros(BATCH, 1, 2, device="meta"))
    assert (logits.device.type, tuple(logits.shape)) == ("meta", (3 * BATCH, 256, 256))
    assert tuple(quality.shape) == (3 * BATCH,)
    assert tuple(segmenter.enlarge(logits[:5], size, (48, 64)).shape) == (5, 48, 64)


def test_wrong_model_is_named(tmp_path: Path) -> None:
    need("segment_anything", "sam")
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(SegmenterError, match="no vit_b checkpoint"):
        make_segmenter(SegmentationConfig(segmenter="sam", sam_checkpoint=str(tmp_path / "other.pth")))


@pytest.mark.parametrize(
    ("path", "model", "words"),
    [
        ("", "vit_b", ["segmentation.sam_checkpoint", "375 MB", "sam_vit_b_01ec64.pth", "https://"]),
        ("/nowhere/sam.pth", "vit_h", ["/nowhere/sam.pth", "2.6 GB", "sam_vit_h_4b8939.pth"]),
    ],
)
def test_missing_file(path: str, model: str, words: list[str]) -> None:
    with pytest.raises(SegmenterError) as error:
        make_segmenter(SegmentationConfig(segmenter="sam", sam_checkpoint=path, sam_model=model))
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


class Nested:
    """A network whose three masks at a point are one inside the other, in any order; without weights."""

    def load(self) -> torch.nn.Module:
        return torch.nn.Identity()

    def encode(self, rgb: np.ndarray) -> tuple[None, tuple[int, int]]:
        return None, (rgb.shape[0], rgb.shape[1])

    def decode(self, features: None, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ARG002
        logits = torch.full((len(points), 3, 48, 64), -20.0)
        for n, (x, y) in enumerate(points[:, 0].int().tolist()):
            for level, half in enumerate(((10, 12, 4), (4, 10, 12))[n % 2]):
                logits[n, level, y - half : y + half, x - half : x + half] = 20.0
        return logits.flatten(0, 1), torch.full((3 * len(points),), 0.9)

    def enlarge(self, logits: torch.Tensor, size: tuple[int, int], full: tuple[int, int]) -> torch.Tensor:  # noqa: ARG002
        return logits


@pytest.mark.parametrize("kind", [SamSegmenter, Sam2Segmenter])
@pytest.mark.parametrize(("level", "regions", "pixels"), [("whole", 4, 24 * 24), ("all", 12, 8 * 8)])
def test_level_whole_is_the_largest_of_the_three(
    kind: type[SamSegmenter], level: str, regions: int, pixels: int
) -> None:
    made = type("Made", (Nested, kind), {})(
        SegmentationConfig(segmenter=kind.name, sam_level=level, sam_points_per_side=2), device="cpu"
    )
    labels = made.segment(np.zeros((48, 64, 3), np.uint8), None, CAMERA).labels
    assert labels.max() == regions
    for y, x in ((12, 16), (12, 48), (36, 16), (36, 48)):
        assert (labels == labels[y, x]).sum() == pixels


def test_more_prompts_than_a_batch(segmenter: SamSegmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    decode = segmenter.decode
    monkeypatch.setattr(sam, "BATCH", 4)
    monkeypatch.setattr(segmenter, "config", dataclasses.replace(segmenter.config, sam_points_per_side=3))
    monkeypatch.setattr(segmenter, "decode", lambda f, points: (sizes.append(len(points)), decode(f, points))[1])
    candidates = segmenter.propose(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8))
    assert sizes == [4, 4, 1]
    assert 1 < len(candidates) <= 9, "one mask of three at a point"


def test_small_masks_lie_on_large_ones() -> None:
    table, cup = block(np.s_[10:48], np.s_[:], 0.95), block(np.s_[20:30], np.s_[20:30], 0.9)
    masks = flatten([cup, table], (48, 64), 8)
    assert len(set(masks.scores)) == 2
    assert masks.scores[masks.labels[25, 25]] == 0.9
    assert masks.scores[masks.labels[40, 40]] == 0.95
    assert masks.labels[0, 0] == 0


def test_remnants_go() -> None:
    below, above = block(np.s_[0:10], np.s_[0:10]), block(np.s_[0:10], np.s_[1:10])
    masks = flatten([below, above], (48, 64), 20)
    assert masks.labels.max() == 1
    assert (masks.labels[0:10, 0] == 0).all()


def test_the_better_of_two_alike_stays() -> None:
    worse, better = block(np.s_[0:20], np.s_[0:20], 0.88), block(np.s_[0:20], np.s_[1:21], 0.97)
    other = block(np.s_[30:40], np.s_[30:40], 0.9)
    assert [c.quality for c in suppress([worse, better, other])] == [0.97, 0.9]
    assert suppress([]) == []


def test_box_iou() -> None:
    iou = box_iou(np.array([0, 0, 2, 2.0]), np.array([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 6, 6.0]]))
    np.testing.assert_allclose(iou, [1, 1 / 7, 0])
