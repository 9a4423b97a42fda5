"""OpenCLIP behind the protocols: real package, real loading, a tiny model with random weights."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import need, orbit, small_config

from ig_ros.config import LanguageConfig
from ig_ros.errors import EncoderError
from ig_ros.language import ImageEncoder, LabelEncoder, rank
from ig_ros.language.open_clip_encoder import BATCH, OpenClipEncoder, crop, repair_torchvision, tag_of
from ig_ros.language.sentence_encoder import SentenceEncoder
from ig_ros.mapper import Mapper
from ig_ros.types import Masks

TINY = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("open_clip", "clip")
    assert repair_torchvision()
    import open_clip

    folder = tmp_path_factory.mktemp("clip")
    (folder / "tiny-test.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder / "tiny-test.json")
    torch.manual_seed(0)
    torch.save(open_clip.create_model("tiny-test").state_dict(), folder / "tiny.pt")
    return folder / "tiny.pt"


@pytest.fixture(scope="module")
def encoder(checkpoint: Path) -> OpenClipEncoder:
    return OpenClipEncoder("tiny-test", str(checkpoint), device="cpu")


def test_space(encoder: OpenClipEncoder) -> None:
    assert re.fullmatch(r"open_clip/tiny-test/tiny-[0-9a-f]{8}", encoder.name)
    assert encoder.dimension == 24
    assert isinstance(encoder, ImageEncoder)
    assert not isinstance(encoder, LabelEncoder)
    rows = encoder.encode_text(["a mug", "a sofa", "a mug"])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(rows[0], rows[2])


def test_the_name_tells_files_of_one_name_apart(encoder: OpenClipEncoder, checkpoint: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    weights = {name: w + 0.01 for name, w in torch.load(checkpoint).items()}
    torch.save(weights, tmp_path / "tiny.pt")
    assert OpenClipEncoder("tiny-test", str(tmp_path / "tiny.pt"), device="cpu").name != encoder.name
    assert OpenClipEncoder("tiny-test", str(checkpoint), device="cpu").name == encoder.name
    assert tag_of("laion2b_s34b_b88k") == "laion2b_s34b_b88k"


def test_mask_embedding_sees_its_region_only(encoder: OpenClipEncoder) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
    labels = np.zeros((60, 80), np.int32)
    labels[5:30, 10:30], labels[35:55, 40:75], labels[0, 0] = 3, 7, 9
    rows = encoder.encode_masks(rgb, Masks(labels))
    assert set(rows) == {3, 7}, "a mask of one pixel shows nothing"
    assert rows[3].shape == (24,)
    assert abs(np.linalg.norm(rows[3]) - 1) < 1e-5
    changed = rgb.copy()
    changed[labels != 3] = 0
    np.testing.assert_allclose(encoder.encode_masks(changed, Masks(labels))[3], rows[3], atol=1e-5)
    assert np.abs(encoder.encode_masks(changed, Masks(labels))[7] - rows[7]).max() > 1e-3


def test_the_whole_path_from_images_to_answers(encoder: OpenClipEncoder, checkpoint: Path) -> None:
    """Random weights mean nothing; every part is real: crops, network, association, ranking, refusal."""
    words = {"encoder": "open_clip", "clip_model": "tiny-test", "clip_checkpoint": str(checkpoint)}
    mapper = Mapper(small_config(**{f"language.{key}": value for key, value in words.items()}))
    for frame in orbit(5):
        mapper.add_frame(dataclasses.replace(frame, masks=Masks(frame.masks.labels)))
    for _ in range(20):
        mapper.train_step()
    snapshot = mapper.instantiate()
    found = snapshot.instances
    assert len(found.objects) >= 2  # the cards
    assert found.encoder == encoder.name
    assert found.embeddings.shape == (len(found.objects), encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(found.embeddings, axis=1), 1, atol=1e-5)
    assert not any(o.label for o in found.objects)  # CLIP tells what things look like, not what they are called
    ranked = mapper.query("a card", max_results=0, min_score=1e-6)
    wanted = encoder.relevancy("a card", found.embeddings)
    assert {h.object.id: round(h.score, 5) for h in ranked.hits} == {
        o.id: round(float(s), 5) for o, s in zip(found.objects, wanted, strict=True)
    }
    with pytest.raises(EncoderError, match="open_clip/tiny-test"):
        rank(snapshot, "a card", SentenceEncoder(), LanguageConfig())


def test_preprocessing_is_the_models_own(encoder: OpenClipEncoder) -> None:
    """The same unit vector as open_clip's own transform gives for a crop that already has the right size."""
    import open_clip
    from PIL import Image

    rgb = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8), (9, 9), 3)
    ours = encoder.encode_images(crop(rgb, np.ones((64, 64), bool), 64)[None])[0]
    transform = open_clip.image_transform(64, is_train=False)
    with torch.inference_mode():
        theirs = encoder._model.encode_image(transform(Image.fromarray(rgb))[None])[0].numpy()
    np.testing.assert_allclose(ours, theirs / np.linalg.norm(theirs), atol=1e-4)


def test_relevancy_is_lerfs(encoder: OpenClipEncoder) -> None:
    query, other = encoder.encode_text(["a mug", "things"])
    scores = encoder.relevancy("a mug", np.stack([query, other]))
    assert scores[0] > 0.5 > scores[1]
    against = encoder.encode_text(["object", "things", "stuff", "texture"]) @ query
    pairs = [np.exp(10.0) / (np.exp(10.0) + np.exp(10 * a)) for a in against]
    np.testing.assert_allclose(scores[0], min(pairs), rtol=1e-4)


def test_crop_pads_to_a_square_and_blacks_out() -> None:
    rgb = np.full((20, 40, 3), 200, np.uint8)
    mask = np.zeros((20, 40), bool)
    mask[5:10, 10:30] = True
    mask[5:7, 10:12] = False
    out = crop(rgb, mask, 20)
    assert out.shape == (20, 20, 3)
    assert (out[:7] == 0).all()
    assert (out[13:] == 0).all()
    assert (out[10, 5:] == 200).all()


def test_a_larger_scale_shows_the_same_smaller_amid_black() -> None:
    rgb = np.full((20, 40, 3), 200, np.uint8)
    mask = np.zeros((20, 40), bool)
    mask[5:15, 10:20] = True
    out = crop(rgb, mask, 20, 2.0)
    assert (out[5:15, 5:15] == 200).all()
    assert np.count_nonzero(out) == 3 * 100


def test_three_scales_of_many_masks_are_batched_and_averaged(
    encoder: OpenClipEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb = np.random.default_rng(2).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    labels = np.zeros((60, 80), np.int32)
    for i in range(19):  # ids with gaps: 19 masks are 57 crops
        labels[10 * (i // 7) : 10 * (i // 7) + 5 + i % 4, 11 * (i % 7) : 11 * (i % 7) + 8] = 3 * i + 2
    sizes: list[int] = []
    encode = encoder.encode_images
    monkeypatch.setattr(encoder, "encode_images", lambda images: (sizes.append(len(images)), encode(images))[1])
    rows = encoder.encode_masks(rgb, Masks(labels))
    assert sorted(rows) == [3 * i + 2 for i in range(19)]
    assert sizes == [BATCH, BATCH, BATCH, 3 * 19 - 3 * BATCH]
    for i in (2, 17, 56):
        one = np.mean([encode(crop(rgb, labels == i, 64, s)[None])[0] for s in (1.0, 1.5, 2.0)], axis=0)
        np.testing.assert_allclose(rows[i], one / np.linalg.norm(one), atol=1e-5)
    assert encoder.encode_masks(rgb, Masks(np.zeros((60, 80), np.int32))) == {}


@pytest.mark.parametrize(
    ("model", "weights", "words"),
    [
        ("ViT-B-16", "/nowhere/clip.pt", ["/nowhere/clip.pt", "language.clip_checkpoint", "600 MB"]),
        ("ViT-B-16", "no_such_tag", ["no_such_tag", "laion2b_s34b_b88k"]),
        ("ViT-Z", "laion2b_s34b_b88k", ["language.clip_model", "ViT-Z"]),
    ],
)
def test_missing_weights(checkpoint: Path, model: str, weights: str, words: list[str]) -> None:
    with pytest.raises(EncoderError) as error:
        OpenClipEncoder(model, weights)
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


def test_file_of_something_else(checkpoint: Path, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(EncoderError, match="cannot load"):
        OpenClipEncoder("tiny-test", str(tmp_path / "other.pt"))
