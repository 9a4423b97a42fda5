"""Ids over time: stamps, what merged and vanished ids are told, and a thing moved by hand that has its old id again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ig_ros.instances.tracking import ObjectTracker
from ig_ros.language.viewpoint import Scope
from ig_ros.types import FloatArray, Instances, IntArray, ObjectInstance

RED, BLUE = (200, 30, 30), (30, 30, 200)
MUG = np.array([0.6, 0.8, 0.0], np.float32)
BOOK = np.array([0.0, 0.6, 0.8], np.float32)
SIZE = (0.1, 0.1, 0.12)


class World:
    """Things of 10 anchors each; `look` is an instantiation of those that are there."""

    def __init__(self) -> None:
        self.tracker = ObjectTracker()
        self.instances = Instances(np.zeros(0, np.int32), np.zeros(0, np.float32))

    def look(
        self,
        things: dict[int, dict[str, Any]],
        left: list[int] | None = None,
        joined: dict[int, int] | None = None,
        stamps: tuple[int, int] = (1, 2),
    ) -> list[int]:
        """Ids of the things (by their place: anchors 10 p ... 10 p + 9), of which some are joined to another one.

        left: places whose anchors are still in the map though nothing is recognised there.
        """
        joined = joined or {}
        places = [*things, *joined]
        uid: IntArray = np.concatenate([np.arange(10 * p, 10 * p + 10) for p in [*places, *(left or [])]])
        own = [list(things).index(joined.get(p, p)) for p in places]
        instance = np.append(np.repeat(own, 10), np.full(10 * len(left or []), -1))
        self.tracker.begin(uid, uid[:0])
        ids = self.tracker.rename(uid, instance, len(things))
        objects = tuple(
            ObjectInstance(
                int(i),
                str(t.get("label", "")),
                0.9,
                3,
                np.eye(4),
                np.array(t.get("size", SIZE)),
                10,
                *t.get("stamps", stamps),
            )
            for i, t in zip(ids, things.values(), strict=True)
        )
        table: FloatArray = np.stack([np.asarray(t.get("embedding", np.zeros(3)), np.float32) for t in things.values()])
        point_ids = np.append(ids, -1)[instance].astype(np.int32)
        colors = np.array([t.get("color", RED) for t in things.values()] + [(0, 0, 0)], np.uint8)[instance]
        found = Instances(point_ids, np.ones(len(uid), np.float32), objects, table)
        self.instances = self.tracker.complete(found, uid, None, colors)
        assert [o.id for o in self.instances.objects] == [
            int(np.bincount(self.instances.point_ids[instance == i]).argmax()) for i in range(len(things))
        ]
        return [o.id for o in self.instances.objects]


def test_born_stays_and_last_seen_never_goes_back() -> None:
    world = World()
    world.look({0: {}}, stamps=(5, 9))
    world.look({0: {}}, stamps=(7, 20))  # the oldest keyframe has been dropped meanwhile
    world.look({0: {}}, stamps=(8, 11))
    assert [(o.born, o.last_seen) for o in world.instances.objects] == [(5, 20)]


def test_a_merged_id_points_to_its_heir_and_a_query_by_it_finds_the_heir() -> None:
    world = World()
    small, big = world.look({0: {}, 1: {}})
    world.look({0: {}, 1: {}, 2: {}})
    heir = world.look({1: {}}, joined={0: 1, 2: 1})[0]
    assert heir in (small, big)
    gone = {small, big} - {heir}
    assert gone <= set(world.instances.merged_into)
    assert set(world.instances.merged_into.values()) == {heir}
    assert world.instances.vanished == ()
    np.testing.assert_array_equal(Scope(id=gone.pop()).admits(world.instances), [True])


def test_a_part_that_comes_off_says_what_it_came_off() -> None:
    world = World()
    whole = world.look({0: {}}, joined={1: 0, 2: 0})[0]
    parts = world.look({0: {}, 1: {}}, joined={2: 0})
    assert parts[0] == whole
    assert {o.id: o.split_from for o in world.instances.objects} == {whole: 0, parts[1]: whole}


def test_what_vanishes_is_told_and_returns_to_its_place() -> None:
    world = World()
    a, b = world.look({0: {}, 1: {"color": BLUE}})
    assert world.look({0: {}}, left=[1]) == [a]
    assert world.instances.vanished == (b,)
    assert world.look({0: {}, 1: {"color": BLUE}}) == [a, b]
    assert world.instances.vanished == ()


MOVED: dict[str, dict[str, Any]] = {
    "as it was": {},
    "seen a little differently": {"color": (185, 40, 45)},
    "in the shade": {"color": (140, 25, 25)},
}


@pytest.mark.parametrize("change", MOVED)
@pytest.mark.parametrize("overlap", [False, True])
def test_a_moved_thing_has_its_old_id_again(change: str, overlap: bool) -> None:
    world, mug = World(), {"embedding": MUG, "label": "mug"}
    first = world.look({0: mug, 1: {"color": BLUE}}, stamps=(1, 10))[0]
    moved = {**mug, **MOVED[change]}
    if overlap:  # seen in the new place before the old one has been seen empty
        old = {**mug, "stamps": (1, 10)}
        assert world.look({0: old, 1: {"color": BLUE}, 5: moved}, stamps=(12, 13))[0] == first
    ids = world.look({1: {"color": BLUE}, 5: moved}, stamps=(12, 13))
    assert ids[1] == first
    thing = world.instances.objects[1]
    assert (thing.born, thing.last_seen) == (1, 13)
    assert world.instances.vanished == ()
    assert world.look({1: {"color": BLUE}, 5: moved}, stamps=(12, 14))[1] == first  # for good
    assert list(world.instances.merged_into.values()) == [first]  # the number it bore in between


OTHERS: dict[str, dict[str, Any]] = {
    "another colour": {"color": BLUE},
    "the same colour, far darker": {"color": (80, 12, 12)},
    "another size": {"size": (0.1, 0.1, 0.4)},
    "another embedding": {"embedding": BOOK},
    "another label": {"embedding": np.zeros(3), "label": "book"},
}


@pytest.mark.parametrize("other", OTHERS)
def test_something_else_gets_an_id_of_its_own(other: str) -> None:
    world, mug = World(), {"embedding": MUG, "label": "mug"}
    first = world.look({0: mug, 1: {"color": BLUE}}, stamps=(1, 10))[0]
    ids = world.look({1: {"color": BLUE}, 5: {**mug, **OTHERS[other]}}, stamps=(12, 13))
    assert first not in ids
    assert first in world.instances.vanished


def test_a_twin_seen_before_or_while_the_place_is_not_empty_is_another_thing() -> None:
    for left, stamps in (([], (3, 13)), ([0], (12, 13))):
        world = World()
        first = world.look({0: {}, 1: {"color": BLUE}}, stamps=(1, 10))[0]
        assert first not in world.look({1: {"color": BLUE}, 5: {}}, left=left, stamps=stamps)


def test_stored_histories_go_on() -> None:
    world, mug = World(), {"embedding": MUG, "label": "mug"}
    first = world.look({0: mug, 1: {"color": BLUE}}, stamps=(1, 10))[0]
    restored = World()
    restored.tracker.load_state(*world.tracker.state(), None)
    assert restored.look({1: {"color": BLUE}, 5: mug}, stamps=(12, 13))[1] == first
    thing = restored.instances.objects[1]
    assert (thing.born, thing.last_seen, thing.split_from) == (1, 13, 0)


@pytest.mark.parametrize("known", [{}, {"label": "block"}, {"embedding": MUG}], ids=["nothing", "label", "embedding"])
def test_colour_and_size_alone_are_no_proof_that_a_thing_is_the_old_one(known: dict[str, Any]) -> None:
    world = World()
    (old,) = world.look({0: known})
    (new,) = world.look({1: known}, stamps=(20, 21))
    assert (new == old) == bool(known)
