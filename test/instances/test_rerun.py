"""A rerun remembers, and never shows it: whatever changed since, it equals a first run on the same scene."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers import ground_frame, ground_labels, look_at
from ig_ros.instances.neighbors import Neighbors
from ig_ros.instances.rerun_memory import MOVED, Scene, hold
from ig_ros.instances.view_lookup import CLOSE, ENOUGH, Sight, surface_of

from ig_ros.config import InstanceConfig
from ig_ros.instances import Children, Instantiation, Instantiator, LabelledView, ObjectTracker, PointSet
from ig_ros.instances.groups import Remembered, changed_groups, in_order
from ig_ros.instances.visibility import observe
from ig_ros.raster import visible_pixels
from ig_ros.types import FloatArray

CONFIG = dataclasses.replace(InstanceConfig(), sub_objects=60)
EDGE = 0.03
NOISE = 0.008  # m of depth: some views show a point closely, others loosely, others not


def scene(seed: int = 0, n: int = 900, views: int = 5) -> Scene:
    """Anchors with one to three Gaussians each on the ground with its two cards."""
    random = np.random.default_rng(seed)
    xyz = np.concatenate([random.uniform(-0.5, 0.5, (n, 2)), np.zeros((n, 1))], axis=1)
    feature = 0.5 * np.eye(6)[(ground_labels(*xyz[:, :2].T) > 0).astype(int)]
    anchor = np.repeat(np.arange(n), random.integers(1, 4, n))
    child = xyz[anchor] + random.uniform(-0.3, 0.3, (len(anchor), 3)) * EDGE * [1, 1, 0]
    points = PointSet(xyz, random.uniform(0.4, 0.5, (n, 3)), feature, np.full(n, EDGE), np.arange(n))
    return Scene(points, Children(child, anchor), tuple(view(x) for x in np.linspace(-0.3, 0.3, views)))


def view(x: float) -> LabelledView:
    frame = ground_frame(look_at((x, -0.5, 0.8), (0.0, 0.0, 0.0)))
    assert frame.masks is not None
    assert frame.depth is not None
    depth = frame.depth + np.random.default_rng(int(1e6 * (x + 1))).normal(0, NOISE, frame.depth.shape)
    return LabelledView(frame.camera, frame.T_world_camera, frame.masks.labels, depth.astype(np.float32))


def run(memory: Instantiator, s: Scene) -> Instantiation:
    return memory.run(s.points, s.children, s.views, ObjectTracker(), CONFIG)


def changed(s: Scene, what: str, random: np.random.Generator) -> Scene:
    """The scene after one of the things that happen to maps."""
    n = len(s.points.xyz)
    here = np.linalg.norm(s.points.xyz[:, :2] - random.uniform(-0.4, 0.4, 2), axis=1) < 0.15
    if what == "moved":
        far = random.choice([-1.0, 1.0], (n, 3)) * random.uniform(MOVED, 2.0, (n, 3))  # what moves less is held
        step = np.where(here[:, None], far * EDGE * [1, 1, 0], 0.0)
        points = dataclasses.replace(s.points, xyz=s.points.xyz + step)
        return Scene(points, Children(s.children.xyz + step[s.children.anchor], s.children.anchor), s.views)
    if what == "learnt":
        feature = np.where(here[:, None], random.permutation(s.points.feature), s.points.feature)
        return dataclasses.replace(s, points=dataclasses.replace(s.points, feature=feature))
    if what == "pruned":
        stay = np.flatnonzero(~here)
        kept = np.isin(s.children.anchor, stay)
        place = np.searchsorted(stay, s.children.anchor[kept])
        points = PointSet(*(getattr(s.points, f.name)[stay] for f in dataclasses.fields(s.points)))
        return Scene(points, Children(s.children.xyz[kept], place), s.views)
    if what == "grown":
        more = scene(int(random.integers(1000)), 80, 0)
        uid = s.points.uid.max() + 1 + more.points.uid
        pairs = [(getattr(s.points, f.name), getattr(more.points, f.name)) for f in dataclasses.fields(s.points)[:4]]
        points = PointSet(*(np.concatenate(p) for p in pairs), np.concatenate([s.points.uid, uid]))
        xyz = np.concatenate([s.children.xyz, more.children.xyz])
        return Scene(points, Children(xyz, np.concatenate([s.children.anchor, n + more.children.anchor])), s.views)
    if what == "looked":
        return dataclasses.replace(s, views=(*s.views, view(random.uniform(-0.4, 0.4))))
    if what == "forgot":
        return dataclasses.replace(s, views=s.views[1:])
    if what == "relabelled":
        labels = np.where(s.views[1].labels == 1, 7, s.views[1].labels)
        return dataclasses.replace(s, views=(s.views[0], dataclasses.replace(s.views[1], labels=labels), *s.views[2:]))
    if what == "permuted":  # went to disk and came back
        order = random.permutation(n)
        points = PointSet(*(getattr(s.points, f.name)[order] for f in dataclasses.fields(s.points)))
        child = np.argsort(np.argsort(order)[s.children.anchor], kind="stable")
        return Scene(points, Children(s.children.xyz[child], np.argsort(order)[s.children.anchor[child]]), s.views)
    if what == "stood still":
        return dataclasses.replace(s, views=(*s.views, dataclasses.replace(s.views[-1])))
    return s


CHANGES = ["permuted", "stood still", "moved", "learnt", "pruned", "grown", "looked", "forgot", "relabelled", "nothing"]


@pytest.mark.parametrize("seed", range(4))
def test_a_rerun_equals_a_first_run(seed: int) -> None:
    random = np.random.default_rng(seed)
    s, memory = scene(seed), Instantiator()
    run(memory, s)
    for what in random.permutation(CHANGES).tolist():
        s = changed(s, what, random)
        again, first = run(memory, s), run(Instantiator(), s)
        assert len(first.objects) >= 1
        np.testing.assert_array_equal(again.observed.mask, first.observed.mask, what)
        np.testing.assert_array_equal(again.child_ids, first.child_ids, what)
        np.testing.assert_allclose(again.child_confidence, first.child_confidence, atol=1e-6, err_msg=what)
        assert [o.id for o in again.objects] == [o.id for o in first.objects]
        assert again.matches == first.matches


@pytest.mark.parametrize("what", ["grown", "pruned"])
def test_a_run_that_fails_is_forgotten(what: str) -> None:
    def no_memory(sub_objects: object, feature: object) -> FloatArray:
        raise MemoryError

    s, memory, random = scene(), Instantiator(), np.random.default_rng(3)
    for _ in range(2):
        run(memory, s)
        s = changed(s, what, random)
        with pytest.raises(MemoryError):
            memory.run(s.points, s.children, s.views, ObjectTracker(), CONFIG, no_memory)
        np.testing.assert_array_equal(run(memory, s).child_ids, run(Instantiator(), s).child_ids)


def test_without_views_nothing_is_found_again_and_again() -> None:
    s, memory = dataclasses.replace(scene(), views=()), Instantiator()
    for _ in range(3):
        assert (run(memory, s).child_ids == -1).all()


def test_a_group_in_another_order_is_looked_at_again() -> None:
    remembered: Remembered[tuple[int, ...]] = Remembered()
    labels = np.array([0, 1, 0, 1, 0])
    remembered.each(labels, np.full(5, -1), 2, lambda rows: tuple(rows.tolist()))
    looked = []
    remembered.each(labels, np.array([4, 1, 2, 3, 0]), 2, lambda rows: looked.append(rows.tolist()) or (0,))
    assert looked == [[0, 2, 4]]


def test_each_of_two_views_from_one_place_is_known_again() -> None:
    s = scene(views=1)
    s = dataclasses.replace(s, views=(s.views[0], dataclasses.replace(s.views[0])))
    np.testing.assert_array_equal(hold(s, s)[1].view, [0, 1])


def test_where_enough_views_show_a_point_closely_the_others_do_not_count() -> None:
    s = scene()
    seen = Sight().look(s.children.xyz, s.views, 0.03, hold(None, s)[1])
    expected = observe(s.children.xyz, s.views, 0.03)
    for name in ("view_of_column", "label_of_column", "pixels"):
        np.testing.assert_array_equal(getattr(seen.observed, name), getattr(expected, name))
    narrow = [surface_of(v, 0.03) for v in s.views]
    parts = ("relative", "absolute", "quadratic", "least")
    narrow = [dataclasses.replace(v, **{part: CLOSE * getattr(v, part) for part in parts}) for v in narrow]
    close = np.stack([visible_pixels(s.children.xyz, v) >= 0 for v in narrow])
    unasked = (expected.mask >= 0) & ~close & (close.sum(0) >= ENOUGH)
    assert 0.05 < unasked.mean() < 0.5
    assert 0.05 < ((expected.mask >= 0) & ~close & ~unasked).mean() < 0.5
    np.testing.assert_array_equal(seen.observed.mask < 0, unasked | (expected.mask < 0))
    np.testing.assert_array_equal(seen.observed.mask[~unasked], expected.mask[~unasked])


def test_what_hardly_moved_is_held_where_it_was() -> None:
    old = scene()
    step = np.zeros((len(old.points.xyz), 3))
    step[0], step[1] = 0.5 * MOVED * EDGE, 2.0 * MOVED * EDGE
    new = Scene(
        dataclasses.replace(old.points, xyz=old.points.xyz + step),
        Children(old.children.xyz + step[old.children.anchor], old.children.anchor),
        old.views,
    )
    held, kept = hold(old, new)
    np.testing.assert_array_equal(held.points.xyz[0], old.points.xyz[0])
    np.testing.assert_array_equal(held.points.xyz[1], new.points.xyz[1])
    np.testing.assert_array_equal(kept.point < 0, old.children.anchor == 1)
    np.testing.assert_array_equal(kept.view, np.arange(len(old.views)))


def test_an_anchor_with_another_number_of_gaussians_has_changed() -> None:
    old = scene()
    kept = hold(old, dataclasses.replace(old, children=Children(old.children.xyz[1:], old.children.anchor[1:])))[1]
    np.testing.assert_array_equal(kept.point < 0, old.children.anchor[1:] == 0)


def test_slow_drift_is_noticed_in_the_end() -> None:
    first = latest = scene()
    held = first
    for _ in range(5):
        moved = dataclasses.replace(latest.points, xyz=latest.points.xyz + np.array([0.4 * MOVED * EDGE, 0, 0]))
        latest = dataclasses.replace(latest, points=moved)
        held, _ = hold(held, latest)
    assert np.abs(held.points.xyz - latest.points.xyz).max() <= MOVED * EDGE + 1e-12
    assert (held.points.xyz != first.points.xyz).any()


def test_neighbours_follow_their_points() -> None:
    random = np.random.default_rng(1)
    memory, xyz = Neighbors(), random.random((400, 3))
    memory.find(xyz, 5, np.full(400, -1))
    stay = np.flatnonzero(random.random(400) > 0.1)
    now = np.concatenate([xyz[stay], random.random((60, 3))])
    index, same = memory.find(now, 5, np.concatenate([stay, np.full(60, -1)]))
    np.testing.assert_array_equal(index, Neighbors().find(now, 5, np.full(len(now), -1))[0])
    assert 0 < same.sum() < len(stay)


def test_groups_that_lost_won_or_swapped_a_point_have_changed() -> None:
    before = np.array([0, 0, 1, 1, 2, 2, 3])
    size = np.bincount(before)
    assert not changed_groups(before, before, size).any()
    joined = np.array([0, 0, 1, 1, 2, 2, 2])
    assert changed_groups(joined, before, size).tolist() == [False, False, True]
    lost = np.array([0, 1, 1, 2, 2, 3])  # the second point of group 0 is gone
    assert changed_groups(lost, np.array([0, 1, 1, 2, 2, 3]), size).tolist() == [True, False, False, False]
    new = np.where(np.arange(7) == 3, -1, before)
    assert changed_groups(before, new, size).tolist() == [False, True, False, False]


def test_labels_are_numbered_by_their_first_point() -> None:
    assert in_order(np.array([7, 3, 7, 9, 3])).tolist() == [0, 1, 0, 2, 1]
