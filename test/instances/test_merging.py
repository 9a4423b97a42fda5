"""Two sub-objects become one while the masks of the views say so, and by their features where no view does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ig_ros.config import InstanceConfig
from ig_ros.instances.mask_histograms import MaskHistograms
from ig_ros.instances.merging import merge_sub_objects
from ig_ros.instances.region_graph import Boundaries
from ig_ros.instances.visibility import HIDDEN, Observations
from ig_ros.instances.witnesses import GOES_ON, SAME_CLARITY, clarity, feature_prior, surface_prior, unequal
from ig_ros.types import FloatArray, IntArray

CONFIG = InstanceConfig()
POINTS = 40  # per sub-object


def seen(views: list[list[int]], points: int = POINTS) -> tuple[np.ndarray, Observations]:
    """Every sub-object s lies in view k wholly on mask views[k][s] (0 = unlabelled, -1 = hidden)."""
    size = len(views[0])
    labels = np.repeat(np.arange(size), points)
    view_of, label_of, mask = [0], [0], []
    for k, row in enumerate(views):
        column = {HIDDEN: HIDDEN, 0: 0}
        for label in sorted({m for m in row if m > 0}):
            column[label] = len(view_of)
            view_of.append(k)
            label_of.append(label)
        mask.append(np.repeat([column[m] for m in row], points))
    size_of = np.full(len(view_of), points, np.int64)
    return labels, Observations(np.array(mask, np.int32), np.array(view_of), np.array(label_of), size_of)


def contacts(pairs: list[list[int]], smooth: float = GOES_ON) -> Boundaries:
    """Edges with a hundred contacts each, of which a share is smooth; by default the surface says nothing."""
    length = np.full(len(pairs), 100.0)
    return Boundaries(np.array(pairs, np.int64).reshape(-1, 2), length, smooth * length)


def merged(labels: IntArray, edges: Boundaries, feature: FloatArray, observed: Observations) -> IntArray:
    """(S,) group of every sub-object."""
    histograms = MaskHistograms(labels, len(feature), observed, CONFIG)
    return merge_sub_objects(labels, edges, feature, histograms, CONFIG)


def groups(
    views: list[list[int]], feature: list[list[float]] | None = None, edges: list[list[int]] | None = None
) -> list[list[int]]:
    """Merge and return the partition of the sub-objects as sorted lists."""
    labels, observed = seen(views)
    size = len(views[0])
    chain = [[i, i + 1] for i in range(size - 1)]
    table = np.array(feature if feature is not None else [[0.15 * i] for i in range(size)], float)
    group = merged(labels, contacts(chain if edges is None else edges), table, observed)
    return sorted(np.flatnonzero(group == g).tolist() for g in np.unique(group))


def test_agreeing_masks_merge_what_touches() -> None:
    assert groups([[1, 1]] * 4) == [[0, 1]]


def test_disagreeing_masks_keep_apart() -> None:
    assert groups([[1, 2]] * 4) == [[0], [1]]


def test_agreement_without_touch_does_not_merge() -> None:
    assert groups([[1, 1]] * 4, edges=[]) == [[0], [1]]


def test_mask_ids_mean_nothing_across_views() -> None:
    assert groups([[1, 1], [5, 5], [2, 2]]) == [[0, 1]]
    assert groups([[1, 2], [2, 1], [7, 8]]) == [[0], [1]]


@pytest.mark.parametrize(("agree", "expected"), [(4, [[0, 1]]), (1, [[0], [1]])])
def test_the_majority_of_the_views_decides(agree: int, expected: list[list[int]]) -> None:
    assert groups([[1, 1]] * agree + [[1, 2]] * (5 - agree)) == expected


def test_features_decide_where_no_view_sees_both() -> None:
    alternating = [[1, HIDDEN], [HIDDEN, 1]] * 2
    assert groups(alternating, [[0.0], [0.05]]) == [[0, 1]]
    assert groups(alternating, [[0.0], [0.40]]) == [[0], [1]]
    assert groups([[0, 0]] * 3, [[0.0], [0.05]]) == [[0, 1]]


def test_views_overrule_features() -> None:
    assert groups([[1, 2]] * 4, [[0.0], [0.0]]) == [[0], [1]]
    assert groups([[1, 1]] * 4, [[0.0], [1.0]]) == [[0, 1]]


def test_a_chain_of_parts_becomes_one_thing_and_its_neighbour_stays() -> None:
    views = [[1, 1, 1, 2, 2], [3, 3, HIDDEN, 4, 4], [HIDDEN, 1, 1, 2, HIDDEN]] * 2
    assert groups(views) == [[0, 1, 2], [3, 4]]


def test_one_bad_view_does_not_glue_two_things() -> None:
    good, under_segmented = [1, 1, 2, 2], [1, 1, 1, 1]
    assert groups([good] * 5 + [under_segmented] * 2) == [[0, 1], [2, 3]]


def test_a_mixed_sub_object_has_no_say_in_that_view() -> None:
    """Under `dominance` no mask speaks for it, so the features decide alone."""
    labels, observed = seen([[1, 2]] * 3)
    mask = observed.mask.copy()
    mask[:, :POINTS:2] = mask[:, -1:]  # every second point of sub-object 0 lies on the other mask
    mixed = dataclasses.replace(observed, mask=mask)
    edges = contacts([[0, 1]])
    close, far = (merged(labels, edges, np.array([[0.0], [d]]), mixed) for d in (0.02, 0.5))
    assert close[0] == close[1]
    assert far[0] != far[1]


def test_few_visible_points_have_no_say() -> None:
    labels, observed = seen([[1, 2]] * 3, points=CONFIG.min_points - 1)
    group = merged(labels, contacts([[0, 1]]), np.array([[0.0], [0.01]]), observed)
    assert group[0] == group[1]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_partition_is_valid_and_its_groups_are_connected(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 8))
    views = data.draw(st.lists(st.lists(st.integers(-1, 3), min_size=size, max_size=size), min_size=1, max_size=4))
    pairs = [[i, j] for i in range(size) for j in range(i + 1, size)]
    edges = data.draw(st.lists(st.sampled_from(pairs), unique_by=tuple)) if pairs else []
    parts = groups(views, edges=edges)
    assert sorted(i for part in parts for i in part) == list(range(size))
    for part in parts:
        reached, grew = {part[0]}, True
        while grew:
            more = {v for e in edges for v in e if set(e) & reached and set(e) <= set(part)} - reached
            grew = bool(more)
            reached |= more
        assert reached == set(part)


def test_without_any_view_features_alone_decide() -> None:
    labels = np.repeat([0, 1], 10)
    nothing = Observations(np.zeros((0, 20), np.int32), *(np.zeros(1, np.int64) for _ in range(3)))
    edges = contacts([[0, 1]])
    assert len(np.unique(merged(labels, edges, np.array([[0.0], [0.01]]), nothing))) == 1
    assert len(np.unique(merged(labels, edges, np.array([[0.0], [0.9]]), nothing))) == 2


def test_the_prior_falls_with_distance_and_is_undecided_at_the_gap() -> None:
    values = feature_prior(np.array([0.0, 0.1, 0.15, 0.2, 10.0]), 0.15)
    assert (np.diff(values) < 0).all()
    assert values[2] == pytest.approx(0.5)
    assert values[0] > 0.97
    assert values[-1] < 0.01


def test_a_crease_keeps_apart_what_segmenters_swallow_in_half_of_their_views() -> None:
    labels, observed = seen([[1, 1]] * 6 + [[1, 2]] * 4)
    undecided = np.array([[0.0], [CONFIG.feature_gap]])
    crease, smooth = (merged(labels, contacts([[0, 1]], s), undecided, observed) for s in (0.1, 0.9))
    assert crease[0] != crease[1]
    assert smooth[0] == smooth[1]


def test_no_surface_outvotes_masks_that_agree() -> None:
    labels, observed = seen([[1, 1]] * 10)
    group = merged(labels, contacts([[0, 1]], 0.0), np.zeros((2, 1)), observed)
    assert group[0] == group[1]
    labels, observed = seen([[1, 2]] * 10)
    group = merged(labels, contacts([[0, 1]], 1.0), np.zeros((2, 1)), observed)
    assert group[0] != group[1]


def test_few_contacts_are_no_evidence() -> None:
    belief, _ = surface_prior(np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 100.0]]), 0.6)
    assert belief[0] == pytest.approx(0.5)
    assert belief[0] > belief[1] > belief[2]


def swallowed(sizes: tuple[int, int], distance: float) -> bool:
    """Whether two sub-objects of these sizes, one mask in 6 of 10 views, become one at this feature distance."""
    labels, observed = seen([[1, 1]] * 6 + [[1, 2]] * 4, points=1)
    size = np.array(sizes)
    spread = Observations(
        np.repeat(observed.mask, size, axis=1), observed.view_of_column, observed.label_of_column, observed.pixels
    )
    feature = np.array([[0.0], [distance]])
    group = merged(np.repeat(labels, size), contacts([[0, 1]]), feature, spread)
    return bool(group[0] == group[1])


def test_what_segmenters_swallow_stays_itself_where_training_tells_it_apart() -> None:
    far, near = 4 * CONFIG.feature_gap, 0.1 * CONFIG.feature_gap
    assert not swallowed((40, 1200), far)
    assert not swallowed((1200, 40), far)
    assert swallowed((40, 1200), near)
    assert swallowed((40, 60), far), "parts of one thing are of like size: the masks decide"


def test_one_thing_cut_in_the_same_parts_again_and_again_is_one_where_training_says_so() -> None:
    """Six views in ten give one mask, and a crease runs between the parts."""
    labels, observed = seen([[1, 1]] * 6 + [[1, 2]] * 4, points=40)

    def one(distance: float) -> bool:
        group = merged(labels, contacts([[0, 1]], 0.1), np.array([[0.0], [distance]]), observed)
        return bool(group[0] == group[-1])

    assert one(0.0)
    assert not one(0.9 * CONFIG.feature_gap)
    assert not one(4.0 * CONFIG.feature_gap)


def test_sizes_count_as_unlike_from_a_few_times_on() -> None:
    share = unequal(np.full(7, 100.0), np.array([1.0, 10.0, 50.0, 100.0, 200.0, 1000.0, 9999.0]))
    np.testing.assert_allclose(share, [1, 1, 0, 0, 0, 1, 1])


def test_features_are_clear_at_both_ends() -> None:
    gap, equal, unlike = CONFIG.feature_gap, np.zeros(1), np.ones(1)
    for sizes in (equal, unlike):
        assert clarity(np.zeros(1), sizes, gap) == pytest.approx(SAME_CLARITY)
        assert clarity(np.array([0.9 * gap]), sizes, gap) == 0.0
    assert clarity(np.array([2 * gap]), equal, gap) == 0.0
    assert clarity(np.array([2 * gap]), unlike, gap) == 1.0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 60), views=st.integers(0, 12))
def test_only_what_touches_is_merged_and_the_inputs_stay_as_they_are(seed: int, size: int, views: int) -> None:
    random = np.random.default_rng(seed)
    points = random.integers(1, 60, size)
    labels = np.repeat(np.arange(size), points)
    thing = random.integers(0, max(1, size // 4), size)  # true things, each of some sub-objects
    shown = np.where(random.random((views, size)) < 0.2, random.integers(-1, 9, (views, size)), thing + 1)
    column, view_of = np.zeros((views, len(labels)), np.int32), [0]
    for k in range(views):
        row = np.where(random.random(len(labels)) < 0.1, random.integers(-1, 9, len(labels)), shown[k][labels])
        ids = np.unique(row[row > 0])
        column[k] = np.where(row > 0, len(view_of) + np.searchsorted(ids, row), row)
        view_of += [k] * len(ids)
    observed = Observations(column, np.array(view_of), np.array(view_of), np.ones(len(view_of), np.int64))
    s, t = np.nonzero(np.triu(random.random((size, size)) < 0.2, 1))
    length = random.integers(1, 300, len(s)).astype(float)
    edges = Boundaries(np.stack([s, t], axis=1), length, length * random.random(len(s)))
    feature = 0.3 * random.random((max(1, size // 4), 4))[thing] + 0.02 * random.normal(size=(size, 4))
    histograms = MaskHistograms(labels, size, observed, CONFIG)
    before = histograms.count.copy(), histograms.dominant.copy(), histograms.weight.copy(), feature.copy()
    group = merge_sub_objects(labels, edges, feature, histograms, CONFIG)
    inside = group[s] == group[t]
    graph = coo_array((np.ones(int(inside.sum())), (s[inside], t[inside])), shape=(size, size))
    assert connected_components(graph, directed=False)[0] == len(set(group.tolist()))
    assert (group[group] == group).all()
    for a, b in zip(before, (histograms.count, histograms.dominant, histograms.weight, feature), strict=True):
        np.testing.assert_array_equal(a, b)
