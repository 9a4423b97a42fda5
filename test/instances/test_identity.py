"""Ids of objects outlive re-instantiation: the larger part of a split and the larger parent of a merge keep theirs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ig_ros.instances import Identity

partitions = st.lists(st.integers(-1, 4), min_size=1, max_size=60)


def dense(raw: list[int] | np.ndarray) -> tuple[np.ndarray, int]:
    """Instances numbered 0.. without gaps, -1 kept."""
    raw = np.asarray(raw)
    ids = sorted(set(raw.tolist()) - {-1})
    return np.array([ids.index(i) if i >= 0 else -1 for i in raw.tolist()]), len(ids)


def ids_of(identity: Identity, raw: list[int] | np.ndarray, uid: np.ndarray | None = None) -> np.ndarray:
    """Stable id of every anchor, -1 = none."""
    instance, count = dense(raw)
    ids = identity.rename(np.arange(len(instance)) if uid is None else uid, instance, count)
    assert len(set(ids.tolist())) == len(ids) == count
    return np.where(instance >= 0, np.append(ids, -1)[instance], -1)


@settings(max_examples=40, deadline=None)
@given(raw=partitions, seed=st.integers(0, 1000))
def test_the_same_partition_keeps_its_ids_however_it_is_numbered(raw: list[int], seed: int) -> None:
    identity = Identity()
    first = ids_of(identity, raw)
    renumbered = np.append(np.random.default_rng(seed).permutation(5), -1)[np.array(raw)]
    np.testing.assert_array_equal(ids_of(identity, renumbered), first)
    order = np.random.default_rng(seed).permutation(len(raw))
    np.testing.assert_array_equal(ids_of(identity, np.array(raw)[order], order), first[order])


@settings(max_examples=40, deadline=None)
@given(st.lists(partitions, min_size=2, max_size=6))
def test_an_id_that_has_died_never_comes_back(history: list[list[int]]) -> None:
    identity, dead, before = Identity(), set(), set()
    for raw in history:
        alive = set(ids_of(identity, raw).tolist()) - {-1}
        assert not alive & dead
        assert all(i >= 1 for i in alive)
        dead |= before - alive
        before = alive


def test_of_a_split_the_larger_part_keeps_the_id() -> None:
    identity = Identity()
    old = ids_of(identity, [0] * 10)[0]
    split = ids_of(identity, [0] * 3 + [1] * 7)
    assert split[9] == old
    assert split[0] not in (old, -1)


def test_of_a_merge_the_larger_parents_id_survives() -> None:
    identity = Identity()
    parents = ids_of(identity, [0] * 4 + [1] * 6)
    merged = ids_of(identity, [0] * 10)
    assert set(merged.tolist()) == {parents[9]}


def test_growth_keeps_and_unrelated_ground_gets_a_new_id() -> None:
    identity = Identity()
    first = ids_of(identity, [0] * 5 + [1] * 5)
    grown = ids_of(identity, [0] * 5 + [1] * 5 + [0] * 4 + [2] * 3)
    np.testing.assert_array_equal(grown[:10], first)
    assert (grown[10:14] == first[0]).all()
    assert grown[14] == max(first) + 1


def test_a_sliver_of_common_ground_is_not_the_same_thing() -> None:
    identity = Identity()
    old = ids_of(identity, [0] * 100)[0]
    uid = np.arange(95, 195)
    assert ids_of(identity, [0] * 100, uid)[0] != old


def test_pruned_and_new_anchors_do_not_change_an_id() -> None:
    identity = Identity()
    old = ids_of(identity, [0] * 20)[0]
    uid = np.concatenate([np.arange(10, 20), np.arange(50, 60)])
    assert ids_of(identity, [0] * 20, uid)[0] == old


def test_nothing_found_and_found_again() -> None:
    identity = Identity()
    first = ids_of(identity, [0, 0, 1, 1])
    assert (ids_of(identity, [-1] * 4) == -1).all()
    again = ids_of(identity, [0, 0, 1, 1])
    assert not set(again.tolist()) & set(first.tolist())


def test_stored_state_goes_on() -> None:
    identity, restored = Identity(), Identity()
    first = ids_of(identity, [0, 0, 0, 1, 1])
    restored.load_state(identity.state())
    np.testing.assert_array_equal(ids_of(restored, [1, 1, 1, 0, 0]), first)
    assert ids_of(restored, [0] * 3 + [1] * 2 + [2] * 3)[-1] == max(first) + 1
