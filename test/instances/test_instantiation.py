"""Instantiation from start to end on anchors of known objects, seen by views with exact masks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers import CARDS, HALF, ground_frame, ground_labels, look_at

from ig_ros.config import InstanceConfig
from ig_ros.instances import Children, Instantiation, Instantiator, LabelledView, ObjectTracker, PointSet
from ig_ros.instances.over_segmentation import over_segment

CONFIG = dataclasses.replace(InstanceConfig(), sub_objects=120)
EDGE = 0.03


def ground(seed: int = 0) -> PointSet:
    """Anchors on a jittered grid; colour tells nothing, the feature tells cards (both the same) from bare ground."""
    random = np.random.default_rng(seed)
    x, y = (a.ravel() for a in np.meshgrid(*[np.arange(-0.5, 0.5, EDGE)] * 2))
    xyz = np.stack([x, y, 0 * x], axis=1) + random.uniform(-0.2, 0.2, (len(x), 3)) * EDGE * [1, 1, 0]
    n = len(xyz)
    on_card = ground_labels(*xyz[:, :2].T) > 0
    feature = 0.5 * np.eye(6)[on_card.astype(int)]
    return PointSet(xyz, np.full((n, 3), 0.5), feature, np.full(n, EDGE), np.arange(n))


def views(n: int = 5) -> list[LabelledView]:
    found = []
    for x in np.linspace(-0.3, 0.3, n):
        frame = ground_frame(look_at((x, -0.5, 0.8), (0.0, 0.0, 0.0)))
        assert frame.masks is not None
        assert frame.depth is not None
        found.append(LabelledView(frame.camera, frame.T_world_camera, frame.masks.labels, frame.depth))
    return found


def run(points: PointSet, seen: list[LabelledView], identity: ObjectTracker | None = None) -> Instantiation:
    children = Children(points.xyz, np.arange(len(points.xyz)))
    return Instantiator().run(points, children, seen, identity or ObjectTracker(), CONFIG)


def permuted(points: PointSet, order: np.ndarray) -> PointSet:
    return PointSet(*(getattr(points, f.name)[order] for f in dataclasses.fields(points)))


def test_the_cards_are_found_with_their_boxes_and_views() -> None:
    points = ground()
    found = run(points, views())
    truth = ground_labels(*points.xyz[:, :2].T)
    assert len(found.objects) == 2
    for thing in found.objects:
        mine = found.child_ids == thing.id
        card = np.bincount(truth[mine]).argmax()
        true = truth == card
        assert (mine & true).sum() / (mine | true).sum() > 0.8
        np.testing.assert_allclose(thing.T_world_box[:2, 3], CARDS[card][1], atol=0.03)
        np.testing.assert_allclose(thing.size[:2], 2 * HALF, atol=0.07)
        assert thing.size[2] < 0.01
        assert thing.views == 5
        assert thing.points == mine.sum()
        assert 0.5 < thing.confidence <= 1.0
    assert (found.child_ids[found.child_ids > 0] <= 2).all()
    assert found.child_confidence.dtype == np.float32
    for matches in found.matches:
        assert {m.view for m in matches} == set(range(5))
        assert min(m.iou for m in matches) > 0.5


def test_two_touching_cards_stay_two_when_the_masks_say_so() -> None:
    seen = []
    for v in views():
        # The bare ground between and around the cards is two things: left of x = 0 and right of it.
        rows, cols = np.indices(v.labels.shape)
        rays = np.stack([(cols + 0.5 - 48) / 90, (rows + 0.5 - 36) / 90, np.ones(cols.shape)], -1)
        x = (v.depth[..., None] * rays @ v.T_world_camera[:3, :3].T + v.T_world_camera[:3, 3])[..., 0]
        seen.append(dataclasses.replace(v, labels=np.where(x < 0, 8, 9).astype(np.int32)))
    points = ground()
    points = dataclasses.replace(points, feature=np.full_like(points.feature, 0.5 / np.sqrt(6)))  # masks alone speak
    found = run(points, seen)
    assert len(found.objects) == 2
    left = found.child_ids[points.xyz[:, 0] < -0.05]
    right = found.child_ids[points.xyz[:, 0] > 0.05]
    a, b = (np.bincount(ids[ids > 0]).argmax() for ids in (left, right))
    assert a != b
    assert np.mean(left == a) > 0.9
    assert np.mean(right == b) > 0.9


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_order_of_the_anchors_hardly_matters(seed: int) -> None:
    """Farthest point sampling starts from the first anchor, so borders may move by an anchor, objects may not."""
    points, seen = ground(), views()
    order = np.random.default_rng(seed).permutation(len(points.xyz))
    identity = ObjectTracker()
    a, b = run(points, seen, identity), run(permuted(points, order), seen, identity)
    assert len(a.objects) == len(b.objects) == 2
    assert {o.id for o in a.objects} == {o.id for o in b.objects}
    assert np.mean(a.child_ids[order] == b.child_ids) > 0.95


def test_running_twice_gives_the_same_ids() -> None:
    points, seen, identity = ground(), views(), ObjectTracker()
    a, b = run(points, seen, identity), run(points, seen, identity)
    np.testing.assert_array_equal(a.child_ids, b.child_ids)
    assert [o.id for o in a.objects] == [o.id for o in b.objects]
    assert len(a.objects) == 2


def test_what_is_seen_in_too_few_views_is_noise() -> None:
    points, seen = ground(), views()
    blank = [dataclasses.replace(v, labels=np.zeros_like(v.labels)) for v in seen]
    assert run(points, blank).objects == ()
    once = [seen[0], *blank[1:]]
    assert run(points, once).objects == ()


def test_no_children_no_objects() -> None:
    points = ground()
    found = Instantiator().run(
        points, Children(np.zeros((0, 3)), np.zeros(0, np.int64)), views(), ObjectTracker(), CONFIG
    )
    assert found.objects == ()
    assert len(found.child_ids) == 0


@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_over_segmentation_labels_everything_densely(n: int) -> None:
    random = np.random.default_rng(n)
    feature = random.random((n, 6)) / 2
    points = PointSet(random.random((n, 3)), random.random((n, 3)), feature, np.full(n, EDGE), np.arange(n))
    labels = over_segment(points, CONFIG, use_feature=True)
    assert labels.shape == (n,)
    assert sorted(set(labels.tolist())) == list(range(len(set(labels.tolist()))))


def test_a_change_in_one_place_leaves_the_sub_objects_elsewhere_as_they_are() -> None:
    random = np.random.default_rng(4)
    here, there = random.random((300, 3)), random.random((300, 3)) + np.array([500 * EDGE, 0, 0])
    feature, color = random.random((600, 6)) / 2, random.random((600, 3))
    config = dataclasses.replace(CONFIG, sub_objects=10)
    partition = []
    for moved in (0.0, 0.02):
        xyz = np.concatenate([here, there + moved * random.standard_normal((300, 3))])
        points = PointSet(xyz, color, feature, np.full(600, EDGE), np.arange(600))
        labels = over_segment(points, config, use_feature=True)[:300]
        partition.append(np.unique(labels, return_index=True, return_inverse=True)[2])
    np.testing.assert_array_equal(*partition)


def test_sub_objects_do_not_reach_across_features() -> None:
    points = ground()
    side = points.xyz[:, 0] > 0
    feature = np.zeros_like(points.feature)
    feature[side, 0], feature[~side, 1] = 0.5, 0.5
    labels = over_segment(dataclasses.replace(points, feature=feature), CONFIG, use_feature=True)
    for s in np.unique(labels):
        assert len(set(side[labels == s].tolist())) == 1
