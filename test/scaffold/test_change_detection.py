"""A block moved by hand: its old place is empty after three looks, and it is the same object in the new one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from helpers import CAMERA, TEXEL, TEXTURE, look_at, small_config

from ig_ros.mapper import Mapper
from ig_ros.scaffold.change_detection import looked_through, silhouette_of
from ig_ros.scaffold.keyframes import KeyframeStore, make_keyframe
from ig_ros.types import FloatArray, Frame, Masks

HEIGHT = 0.15  # m, of the blocks' upper faces, all that the camera sees of them
HALF = 0.12  # m
AFTER = small_config().memory.vanish_after
RED, BLUE = (1.0, 0.2, 0.2), (0.2, 0.3, 1.0)
HERE, THERE, OTHER = (-0.25, 0.0), (0.2, 0.28), (0.25, -0.12)


def frame(number: int, blocks: dict[tuple[float, float], tuple[float, float, float]]) -> Frame:
    """A look at textured ground and coloured blocks; frames of rising number come from another side each."""
    angle = 0.35 * number - 1.2
    T = look_at((0.3 * np.sin(angle), -0.3 * np.cos(angle), 1.1), (0.0, 0.0, 0.0))
    rows, cols = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width]
    K = CAMERA.K
    rays = np.stack([(cols + 0.5 - K[0, 2]) / K[0, 0], (rows + 0.5 - K[1, 2]) / K[1, 1], np.ones(rows.shape)], 2)
    rays = rays @ T[:3, :3].T
    depth, labels, tint = -T[2, 3] / rays[..., 2], np.zeros(rows.shape, np.int32), np.ones((*rows.shape, 3))
    names = {}
    for label, ((cx, cy), color) in enumerate(blocks.items(), 1):
        z = (HEIGHT - T[2, 3]) / rays[..., 2]
        x, y = T[0, 3] + z * rays[..., 0], T[1, 3] + z * rays[..., 1]
        face = (np.abs(x - cx) < HALF) & (np.abs(y - cy) < HALF)
        depth[face], labels[face], tint[face] = z[face], label, color
        names[label] = "red block" if color == RED else "blue block"
    x, y = (T[i, 3] + depth * rays[..., i] for i in range(2))
    texel = [np.clip((a + 3.0) / TEXEL, 0, len(TEXTURE) - 1).astype(int) for a in (x, y)]
    rgb = (255 * np.clip(TEXTURE[texel[1], texel[0]][..., None] * tint, 0, 1)).astype(np.uint8)
    return Frame(number * 100_000_000, rgb, CAMERA, T, depth.astype(np.float32), Masks(labels, names), number)


def above_ground(mapper: Mapper, place: tuple[float, float]) -> int:
    """How many anchors stand on the block's upper face."""
    position: FloatArray = mapper.scaffold.anchors.data["position"].numpy()
    near = (np.abs(position[:, :2] - place) < HALF).all(1)
    return int((near & (np.abs(position[:, 2] - HEIGHT) < 0.05)).sum())


def add(mapper: Mapper, shot: Frame, steps: int = 12) -> None:
    mapper.add_frame(shot)
    for _ in range(steps):
        mapper.train_step()


def test_a_moved_block_vanishes_within_three_keyframes_and_keeps_its_id() -> None:
    mapper = Mapper(small_config(keyframes__new_area=1.0, threads=1))
    for number in range(4):
        add(mapper, frame(number, {HERE: RED, OTHER: BLUE}))
    first = {o.label: o for o in mapper.instantiate().instances.objects}
    before = above_ground(mapper, HERE)
    assert before > 20
    for number in range(4, 4 + AFTER):
        add(mapper, frame(number, {THERE: RED, OTHER: BLUE}))
    assert above_ground(mapper, HERE) <= 0.1 * before
    assert above_ground(mapper, OTHER) > 20
    now = {o.label: o for o in mapper.instantiate().instances.objects}
    assert {n: o.id for n, o in now.items()} == {n: o.id for n, o in first.items()}
    np.testing.assert_allclose(now["red block"].T_world_box[:2, 3], THERE, atol=0.05)
    assert now["red block"].born == first["red block"].born
    assert now["red block"].last_seen > first["red block"].last_seen
    for _ in range(60):  # replaying the keyframes that saw it grows nothing again
        mapper.train_step()
    assert above_ground(mapper, HERE) <= 0.1 * before
    oldest = mapper.keyframes.items[0]
    assert oldest.masks is not None
    red = next(i for i, name in oldest.masks.names.items() if name == "red block")
    assert (oldest.masks.labels == red).mean() < 0.2 * (frame(0, {HERE: RED, OTHER: BLUE}).masks.labels == red).mean()


def test_a_look_that_sees_the_thing_again_starts_the_count_anew() -> None:
    mapper = Mapper(small_config(keyframes__new_area=1.0, threads=1))
    for number, there in enumerate([True, True, False, False, True, False, False]):
        add(mapper, frame(number, {HERE: RED} if there else {OTHER: BLUE}), steps=0)
    assert above_ground(mapper, HERE) > 20


def test_what_nothing_moved_in_loses_nothing() -> None:
    mapper = Mapper(small_config(keyframes__new_area=1.0, threads=1, training__growth_from=1000))
    count = []
    for number in range(8):
        add(mapper, frame(number, {HERE: RED, OTHER: BLUE}), steps=2)
        count.append(len(mapper.scaffold.anchors))
    assert count == sorted(count)


@pytest.mark.parametrize("noise", [0.0, 0.004])
def test_evidence_is_for_what_is_in_front_of_a_measured_surface(noise: float) -> None:
    shot = frame(3, {})
    T = shot.T_world_camera
    depth = shot.depth + np.random.default_rng(0).normal(0, noise, shot.depth.shape).astype(np.float32)
    depth[:20] = 0.0
    keyframe = make_keyframe(0, dataclasses.replace(shot, depth=depth), small_config().input)
    z = float(depth[40, 50])
    ray = np.array([(50.5 - CAMERA.K[0, 2]) / CAMERA.K[0, 0], (40.5 - CAMERA.K[1, 2]) / CAMERA.K[1, 1], 1.0])
    hole = np.array([(50.5 - CAMERA.K[0, 2]) / CAMERA.K[0, 0], (10.5 - CAMERA.K[1, 2]) / CAMERA.K[1, 1], 1.0])
    local = np.stack([ray * (z - 0.2), ray * z, ray * (z + 0.2), -ray, hole * 0.5, ray * [20, 0, 1]])
    points = local @ T[:3, :3].T + T[:3, 3]
    through, there = looked_through(keyframe, points, np.full(6, 0.02))
    assert through.tolist() == [True, False, False, False, False, False]
    assert there.tolist() == [False, True, False, False, False, False]


def test_shown_pixels_are_those_at_the_anchors_depth() -> None:
    keyframe = make_keyframe(0, frame(3, {HERE: RED}), small_config().input)
    block = np.array([[HERE[0] + x, HERE[1] + y, HEIGHT] for x in (-0.06, 0, 0.06) for y in (-0.06, 0, 0.06)])
    mask = silhouette_of(keyframe, block, np.full(9, 0.03))
    assert keyframe.labels is not None
    assert mask.sum() > 9
    assert (keyframe.labels.numpy()[mask] == 1).all()
    assert not silhouette_of(keyframe, block + np.array([0, 0, 0.3]), np.full(9, 0.03)).any()


def test_a_look_without_depth_is_no_evidence() -> None:
    mapper = Mapper(small_config(threads=1))
    mapper.add_frame(frame(0, {HERE: RED}))
    blind = dataclasses.replace(frame(5, {}), depth=None)
    store = KeyframeStore(small_config().keyframes)
    keyframe = store.add(blind, small_config().input)
    before = mapper.scaffold.anchors.data["uid"].clone()
    for _ in range(AFTER + 1):
        assert mapper.state.changes.update(keyframe) == 0
    never = Mapper(small_config(threads=1, memory__vanish_after=0))
    for number in range(5):
        never.add_frame(frame(number, {HERE: RED} if number == 0 else {}))
    assert above_ground(never, HERE) > 20
    assert torch.equal(mapper.scaffold.anchors.data["uid"], before)
