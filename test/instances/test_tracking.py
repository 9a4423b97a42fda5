"""Ids of objects outlive re-instantiation: the larger part of a split and the larger parent of a merge keep theirs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ig_ros.instances.tracking import ObjectTracker

partitions = st.lists(st.integers(-1, 4), min_size=1, max_size=60)


def dense(raw: list[int] | np.ndarray) -> tuple[np.ndarray, int]:
    """Instances numbered 0.. without gaps, -1 kept."""
    raw = np.asarray(raw)
    ids = sorted(set(raw.tolist()) - {-1})
    return np.array([ids.index(i) if i >= 0 else -1 for i in raw.tolist()]), len(ids)


def ids_of(tracker: ObjectTracker, raw: list[int] | np.ndarray, uid: np.ndarray | None = None) -> np.ndarray:
    """Stable id of every anchor, -1 = none."""
    instance, count = dense(raw)
    ids = tracker.rename(np.arange(len(instance)) if uid is None else uid, instance, count)
    assert len(set(ids.tolist())) == len(ids) == count
    return np.where(instance >= 0, np.append(ids, -1)[instance], -1)


@settings(max_examples=40, deadline=None)
@given(raw=partitions, seed=st.integers(0, 1000))
def test_the_same_partition_keeps_its_ids_however_it_is_numbered(raw: list[int], seed: int) -> None:
    tracker = ObjectTracker()
    first = ids_of(tracker, raw)
    renumbered = np.append(np.random.default_rng(seed).permutation(5), -1)[np.array(raw)]
    np.testing.assert_array_equal(ids_of(tracker, renumbered), first)
    order = np.random.default_rng(seed).permutation(len(raw))
    np.testing.assert_array_equal(ids_of(tracker, np.array(raw)[order], order), first[order])


@settings(max_examples=40, deadline=None)
@given(st.lists(partitions, min_size=2, max_size=6))
def test_an_id_that_sleeps_wakes_on_its_own_ground_or_never(history: list[list[int]]) -> None:
    tracker, ground = ObjectTracker(), dict[int, set[int]]()
    for raw in history:
        ids = ids_of(tracker, raw)
        for number in set(ids.tolist()) - {-1}:
            assert number >= 1
            now = set(np.flatnonzero(ids == number).tolist())
            assert now & ground.get(number, now)
            ground[number] = now
        assert not set(tracker.dormant) & set(ids.tolist())
        assert set(tracker.heirs().values()) <= set(ids.tolist())


def test_of_a_split_the_larger_part_keeps_the_id() -> None:
    tracker = ObjectTracker()
    old = ids_of(tracker, [0] * 10)[0]
    split = ids_of(tracker, [0] * 3 + [1] * 7)
    assert split[9] == old
    assert split[0] not in (old, -1)
    assert tracker.split_from == {split[0]: old}


def test_of_a_merge_the_larger_parents_id_survives() -> None:
    tracker = ObjectTracker()
    parents = ids_of(tracker, [0] * 4 + [1] * 6)
    merged = ids_of(tracker, [0] * 10)
    assert set(merged.tolist()) == {parents[9]}
    assert tracker.heirs() == {parents[0]: parents[9]}
    apart = ids_of(tracker, [0] * 4 + [1] * 6)
    np.testing.assert_array_equal(apart, parents)  # a merge that comes apart has both its parents again
    assert tracker.heirs() == {}


def test_growth_keeps_and_unrelated_ground_gets_a_new_id() -> None:
    tracker = ObjectTracker()
    first = ids_of(tracker, [0] * 5 + [1] * 5)
    grown = ids_of(tracker, [0] * 5 + [1] * 5 + [0] * 4 + [2] * 3)
    np.testing.assert_array_equal(grown[:10], first)
    assert (grown[10:14] == first[0]).all()
    assert grown[14] == max(first) + 1


def test_a_sliver_of_common_ground_is_not_the_same_thing() -> None:
    tracker = ObjectTracker()
    old = ids_of(tracker, [0] * 100)[0]
    uid = np.arange(95, 195)
    assert ids_of(tracker, [0] * 100, uid)[0] != old


def test_pruned_and_new_anchors_do_not_change_an_id() -> None:
    tracker = ObjectTracker()
    old = ids_of(tracker, [0] * 20)[0]
    uid = np.concatenate([np.arange(10, 20), np.arange(50, 60)])
    assert ids_of(tracker, [0] * 20, uid)[0] == old


def test_what_vanished_returns_where_it_was() -> None:
    tracker = ObjectTracker()
    first = ids_of(tracker, [0, 0, 1, 1])
    assert (ids_of(tracker, [-1] * 4) == -1).all()
    assert sorted(tracker.dormant) == sorted(set(first.tolist()))
    assert tracker.heirs() == {}
    np.testing.assert_array_equal(ids_of(tracker, [0, 0, 1, 1]), first)
    assert tracker.dormant == {}


def test_other_ground_wakes_nobody() -> None:
    tracker = ObjectTracker()
    first = ids_of(tracker, [0] * 4)[0]
    ids_of(tracker, [-1] * 4)
    assert ids_of(tracker, [0] * 4, np.arange(10, 14))[0] != first


def test_through_several_merges_the_last_heir_is_named() -> None:
    tracker = ObjectTracker()
    a, b, c = ids_of(tracker, [0] * 3 + [1] * 4 + [2] * 9)[[0, 3, 7]]
    ids_of(tracker, [0] * 7 + [2] * 9)
    ids_of(tracker, [0] * 16)
    assert tracker.heirs() == {a: c, b: c}


def test_a_growing_scene_keeps_every_id_over_sixty_runs() -> None:
    """Anchors come, a few are pruned, some change sides at the borders, objects flicker and are merged now and then."""
    random = np.random.default_rng(0)
    tracker, known = ObjectTracker(), dict[int, int]()  # thing -> its id
    thing, uid, next_uid = np.zeros(0, np.int64), np.zeros(0, np.int64), 0
    for run in range(60):
        new = np.repeat(np.arange(run // 5 + 1), random.integers(2, 8))
        thing, uid = np.append(thing, new), np.append(uid, next_uid + np.arange(len(new)))
        next_uid += len(new)
        keep = random.random(len(uid)) > 0.02
        thing, uid = thing[keep], uid[keep]
        raw = np.where(random.random(len(uid)) < 0.05, (thing + 1) % (run // 5 + 1), thing)  # frayed borders
        if run % 7 == 3:
            raw[raw == 0] = -1  # not recognised this time
        if run % 11 == 5:
            raw[raw == 1] = 2  # taken for a part of its neighbour
        ids = ids_of(tracker, raw, uid)
        for number in np.unique(raw[raw >= 0]).tolist():
            if not (run % 11 == 5 and number == 2):
                mine = np.bincount(ids[(raw == number) & (thing == number)]).argmax()
                assert known.setdefault(number, int(mine)) == mine, (run, number)
    assert len(set(known.values())) == len(known) == 12


def test_stored_state_goes_on() -> None:
    tracker, restored = ObjectTracker(), ObjectTracker()
    ids_of(tracker, [0, 0, 0, 1, 2])
    first = ids_of(tracker, [0, 0, 0, 1, 1])
    restored.load_state(*tracker.state(), None)
    assert restored.heirs() == tracker.heirs() != {}
    np.testing.assert_array_equal(restored.dormant[3], tracker.dormant[3])
    np.testing.assert_array_equal(ids_of(restored, [1, 1, 1, 0, 0]), first)
    assert ids_of(restored, [0] * 3 + [1] * 2 + [2] * 3)[-1] == 4
