"""The picture from above: every label can be read."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ig_ros.report.pictures import LINE, TOP_WIDTH, cloud_from_above, free_places
from ig_ros.types import Instances, MapSnapshot, ObjectInstance

WIDE = 300
labels = st.lists(
    st.tuples(st.tuples(st.integers(0, WIDE), st.integers(0, 90)), st.integers(5, WIDE)), min_size=1, max_size=14
)


@given(labels)
def test_no_label_covers_another_and_all_are_inside(labels: list[tuple[tuple[int, int], int]]) -> None:
    spots, widths = [spot for spot, _ in labels], [width for _, width in labels]
    places = free_places(spots, widths, WIDE)
    for ((x, y), w), ((px, py), pw) in itertools.combinations(zip(places, widths, strict=True), 2):
        assert abs(y - py) >= LINE or x + w <= px or px + pw <= x
    assert all(0 <= x <= WIDE - w for (x, _), w in zip(places, widths, strict=True))
    assert places[0][1] == spots[0][1], "the first has nothing to give way to"


def test_the_names_of_two_things_in_one_place_stand_on_two_lines() -> None:
    xyz = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    ids = np.repeat([1, 2], 100).astype(np.int32)
    heights = []
    for names in (("mug",), ("mug", "mug")):
        things = tuple(ObjectInstance(i + 1, n, 0.9, 3, np.eye(4), np.ones(3), 100) for i, n in enumerate(names))
        instances = Instances(ids, np.ones(200, np.float32), things)
        picture = cloud_from_above(MapSnapshot(1, 1, 0, xyz, np.full((200, 3), 255, np.uint8), np.ones(200), instances))
        assert picture.shape[1] == TOP_WIDTH
        black = np.flatnonzero((picture == 0).all(2).any(1))
        heights.append(np.ptp(black))
    assert heights[1] == heights[0] + LINE
