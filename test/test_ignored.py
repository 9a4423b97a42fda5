"""What is not the scene is as if nobody had looked there: no colour, no depth, no mask, no anchor, no vote."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ig_ros.config import Config
from ig_ros.datasets.ignoring import IgnoringDataset
from ig_ros.errors import ConfigError, FrameError
from ig_ros.frame_queue import Intake, LateMasks
from ig_ros.ignored import IgnoreMask, reduced, without_ignored
from ig_ros.map_io import load_map, save_map
from ig_ros.mapper import Mapper
from ig_ros.named_objects import labelled_view
from ig_ros.raster.library import load
from ig_ros.raster.losses import image_loss_gradient, image_loss_torch
from ig_ros.scaffold.keyframe_selection import SeenArea
from ig_ros.scaffold.multiview_stereo import OUTSIDE, channels
from ig_ros.types import BoolArray, Frame, Masks
from test.helpers import CAMERA, orbit, small_config

SIZE = (CAMERA.height, CAMERA.width)


def corner() -> BoolArray:
    """The lower right of the image, where a gripper would be."""
    pixels = np.zeros(SIZE, bool)
    pixels[40:, 60:] = True
    return pixels


def with_arm(frame: Frame, pixels: BoolArray, near: float = 0.3) -> Frame:
    """A green thing close to the camera."""
    rgb, depth = frame.rgb.copy(), None if frame.depth is None else frame.depth.copy()
    rgb[pixels] = (0, 255, 0)
    if depth is not None:
        depth[pixels] = near
    return dataclasses.replace(frame, rgb=rgb, depth=depth)


def named(frame: Frame, pixels: BoolArray, name: str) -> Frame:
    assert frame.masks is not None
    labels = np.where(pixels, 77, frame.masks.labels).astype(np.int32)
    return dataclasses.replace(frame, masks=Masks(labels, {**frame.masks.names, 77: name}))


def planted_near(mapper: Mapper, frame: Frame) -> int:
    """Anchors within half a metre of the camera, where only the arm is."""
    return int((np.linalg.norm(mapper.scaffold.anchors.position - frame.T_world_camera[:3, 3], axis=1) < 0.5).sum())


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return orbit(4)


@pytest.mark.parametrize("kind", ["pixels", "name", "other case"])
def test_nothing_is_planted_on_what_is_ignored(frames: list[Frame], kind: str) -> None:
    seen = with_arm(frames[0], corner())
    config = dataclasses.replace(small_config(), ignore_labels=("robot",))
    if kind == "pixels":
        frame = dataclasses.replace(seen, ignored=corner())
    else:
        frame = named(seen, corner(), "robot" if kind == "name" else " Robot")
    plain, mapper = Mapper(small_config()), Mapper(config)
    plain.add_frame(seen)
    mapper.add_frame(frame)
    assert planted_near(plain, seen) > 5
    assert planted_near(mapper, seen) == 0
    keyframe = mapper.keyframes.items[0]
    assert keyframe.ignored is not None and keyframe.depth is not None and keyframe.labels is not None
    assert np.array_equal(keyframe.ignored.numpy(), corner())
    assert not keyframe.depth[keyframe.ignored].any()
    assert not keyframe.labels[keyframe.ignored].any()
    assert keyframe.labels.any()


def test_other_names_stay(frames: list[Frame]) -> None:
    frame = named(frames[0], corner(), "robotic arm poster")
    assert without_ignored(frame, ("robot", "")) is frame


def test_the_colour_loss_says_nothing_of_ignored_pixels() -> None:
    random = torch.Generator().manual_seed(0)
    rendered = torch.rand(*SIZE, 3, generator=random)
    target = (torch.rand(*SIZE, 3, generator=random) * 255).to(torch.uint8)
    other, ignored = target.clone(), torch.from_numpy(corner())
    other[ignored] = 255 - other[ignored]
    gradients = [torch.zeros_like(rendered) for _ in range(2)]
    losses = [
        image_loss_gradient(load(), rendered, image, 0.2, gradient, ignored)
        for image, gradient in zip((target, other), gradients, strict=True)
    ]
    assert losses[0] == losses[1]
    assert torch.equal(*gradients)
    assert not gradients[0][ignored].any()
    assert gradients[0][~ignored].abs().min() > 0

    leaf = rendered.double().requires_grad_()
    loss = image_loss_torch(leaf, target.double() / 255, 0.2, ignored)
    loss.backward()
    assert leaf.grad is not None
    assert losses[0] == pytest.approx(float(loss.detach()), rel=1e-4)
    assert torch.allclose(gradients[0].double(), leaf.grad, atol=1e-7)


def test_a_perfect_picture_has_no_loss_beside_the_arm() -> None:
    rendered = torch.rand(*SIZE, 3, generator=torch.Generator().manual_seed(0))
    target = rendered.clone()
    ignored = torch.from_numpy(corner())
    target[ignored] = 0
    assert image_loss_gradient(load(), rendered, target, 0.2, torch.zeros_like(rendered), ignored) < 1e-6
    assert image_loss_gradient(load(), rendered, target, 0.2, torch.zeros_like(rendered)) > 0.05


def test_an_ignored_pixel_shows_no_new_area(frames: list[Frame]) -> None:
    everything = np.ones(SIZE, bool)
    assert SeenArea(4).new_share(frames[0]) == 1
    assert SeenArea(4).new_share(without_ignored(dataclasses.replace(frames[0], ignored=everything), ())) == 0


def test_an_arm_before_a_thing_is_no_vote_and_no_proof_of_its_absence(frames: list[Frame]) -> None:
    mapper = Mapper(small_config())
    mapper.add_frame(dataclasses.replace(with_arm(frames[0], corner(), near=9.0), ignored=corner()))  # beyond all
    keyframe = mapper.keyframes.items[0]
    for _ in range(5):
        assert mapper.state.changes.update(keyframe) == 0
    keyframe.depth = None  # without a sensor the model's own surface would be seen there
    view = labelled_view(keyframe, mapper.freeze().gaussians)
    assert not view.depth[corner()].any()


@pytest.mark.parametrize("how", ["masks", "pixels"])
def test_late_ones_take_back_what_was_planted(frames: list[Frame], how: str) -> None:
    config = dataclasses.replace(small_config(), ignore_labels=("robot",))
    seen = with_arm(frames[0], corner())
    mapper = Mapper(config)
    mapper.add_frame(dataclasses.replace(seen, masks=None))
    before = len(mapper.scaffold.anchors)
    assert planted_near(mapper, seen) > 5
    masks = named(seen, corner(), "robot").masks
    late = (masks, None) if how == "masks" else (None, corner())
    assert mapper.attach_masks(seen.stamp, *late)
    assert planted_near(mapper, seen) == 0
    assert len(mapper.scaffold.anchors) > before / 2
    ignored = mapper.keyframes.items[0].ignored
    assert ignored is not None and np.array_equal(ignored.numpy(), corner())


def test_late_ignored_pixels_reach_an_image_that_masks_make_a_keyframe_later(frames: list[Frame]) -> None:
    mapper = Mapper(small_config())
    intake = Intake(mapper)
    with pytest.raises(FrameError):
        intake.take(1, LateMasks(5, Masks(np.zeros(SIZE, np.int32))))  # from now on frames are remembered
    frame = dataclasses.replace(frames[0], masks=None)
    number, taken = intake.take(2, frame)
    assert isinstance(taken, Frame)
    intake.take(3, LateMasks(frame.stamp, None, corner()))
    number, late = intake.take(4, LateMasks(frame.stamp, frames[0].masks))
    assert number == 2 and isinstance(late, LateMasks)
    assert late.ignored is not None and np.array_equal(late.ignored, corner())
    assert late.masks is not None and not late.masks.labels[corner()].any()


def test_stereo_does_not_match_with_ignored_pixels() -> None:
    image = channels(np.zeros((*SIZE, 3), np.uint8), torch.from_numpy(corner()))
    assert not image[corner()][:, 3].any()
    assert (image[~corner()][:, 3] == OUTSIDE).all()


def test_a_pixel_that_is_ignored_in_part_is_ignored_when_the_image_is_reduced() -> None:
    pixels = np.zeros((8, 8), bool)
    pixels[3, 3] = True
    assert np.argwhere(reduced(pixels, 2, 2)).tolist() == [[0, 0]]


def test_a_saved_map_remembers_them(frames: list[Frame], tmp_path: Path) -> None:
    mapper = Mapper(small_config())
    mapper.add_frame(dataclasses.replace(frames[0], ignored=corner()))
    mapper.train_step()
    save_map(mapper, tmp_path / "map")
    again = Mapper(small_config())
    load_map(again, tmp_path / "map")
    ignored = again.keyframes.items[0].ignored
    assert ignored is not None and np.array_equal(ignored.numpy(), corner())


def write(path: Path, pixels: BoolArray) -> str:
    cv2.imwrite(str(path), 255 * pixels.astype(np.uint8))
    return str(path)


@pytest.mark.field("scene", "an ignore_mask of the camera's image at twice its size", "scaled to the image")
def test_a_mask_of_the_same_shape_is_scaled(tmp_path: Path) -> None:
    double = cv2.resize(corner().astype(np.uint8), (2 * SIZE[1], 2 * SIZE[0]), interpolation=cv2.INTER_NEAREST) > 0
    assert np.array_equal(IgnoreMask.read(write(tmp_path / "m.png", double)).sized(SIZE[1], SIZE[0]), corner())


@pytest.mark.field("scene", "an ignore_mask that is missing, no image, or ignores everything", "refused at start")
@pytest.mark.parametrize("content", ["missing", "text", "all"])
def test_an_unusable_mask_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "m.png"
    if content == "text":
        path.write_text("no image")
    if content == "all":
        write(path, np.ones(SIZE, bool))
    with pytest.raises(ConfigError, match=r"ignore_mask.*m\.png") as error:
        IgnoreMask.read(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.field("scene", "an ignore_mask of another shape than the images", "refused in one line with both sizes")
def test_a_mask_of_another_shape_is_refused(tmp_path: Path, frames: list[Frame]) -> None:
    mask = IgnoreMask.read(write(tmp_path / "m.png", np.eye(72, dtype=bool)))
    with pytest.raises(FrameError, match="72x72, the image 96x72"):
        mask.sized(SIZE[1], SIZE[0])
    with pytest.raises(ConfigError, match="72x72"):
        IgnoringDataset(frames, mask)[0]  # type: ignore[arg-type]


def test_frames_of_a_dataset_ignore_a_mask_and_their_own(tmp_path: Path, frames: list[Frame]) -> None:
    own = np.zeros(SIZE, bool)
    own[0, 0] = True
    dataset = IgnoringDataset(
        [dataclasses.replace(frames[0], ignored=own)],  # type: ignore[arg-type]
        IgnoreMask.read(write(tmp_path / "m.png", corner())),
    )
    assert len(dataset) == 1
    ignored = dataset[0].ignored
    assert ignored is not None and np.array_equal(ignored, corner() | own)


def test_one_name_need_not_be_a_list() -> None:
    assert Config.from_dict({"ignore_labels": "person"}).ignore_labels == ("person",)
