"""Which points a view sees, and on which of its masks they fall."""

from __future__ import annotations

import numpy as np
from helpers import CAMERA, ground_frame, ground_labels, look_at
from hypothesis import given, settings
from hypothesis import strategies as st

from ig_ros.instances.visibility import HIDDEN, PARALLAX, THICKNESS, UNLABELLED, LabelledView, observe, visible_points

POSE = look_at((0.0, -0.4, 0.8), (0.0, 0.0, 0.0))
TOLERANCE = 0.03


def view(pose: np.ndarray = POSE) -> LabelledView:
    frame = ground_frame(pose)
    assert frame.masks is not None
    assert frame.depth is not None
    return LabelledView(frame.camera, pose, frame.masks.labels, frame.depth)


def ground(n: int = 500, seed: int = 0) -> np.ndarray:
    """Points on the ground, most of them in the picture."""
    xy = np.random.default_rng(seed).uniform(-0.5, 0.5, (n, 2))
    return np.concatenate([xy, np.zeros((n, 1))], axis=1)


def slow_pixel(point: np.ndarray) -> tuple[int, int] | None:
    """Row and column of the pixel a world point falls on, None outside the picture."""
    local = np.linalg.inv(POSE) @ np.append(point, 1.0)
    x, y, w = CAMERA.K @ local[:3]
    col, row = int(np.floor(x / w)), int(np.floor(y / w))
    return (row, col) if w > 0 and 0 <= row < CAMERA.height and 0 <= col < CAMERA.width else None


def test_masks_are_looked_up_where_points_project() -> None:
    points, v = ground(), view()
    observed = observe(points, [v], TOLERANCE)
    for point, column in zip(points, observed.mask[0], strict=True):
        pixel = slow_pixel(point)
        if pixel is None:
            assert column == HIDDEN
        elif column != HIDDEN:
            label = v.labels[pixel]
            assert observed.label_of_column[column] == label
            assert (column == UNLABELLED) == (label == 0)
    inside = np.array([slow_pixel(p) is not None for p in points])
    assert inside.sum() > 200
    assert (observed.mask[0][inside] != HIDDEN).all()
    agree = observed.label_of_column[observed.mask[0][inside]] == ground_labels(*points[inside, :2].T)
    assert agree.mean() > 0.97  # a point near the edge of a card may share its pixel with the other side


@settings(max_examples=20, deadline=None)
@given(height=st.floats(-0.3, 0.3))
def test_points_behind_or_before_the_surface_are_hidden(height: float) -> None:
    point = np.array([[0.0, 0.0, height]])
    index, _ = visible_points(point, view(), TOLERANCE)
    eye = POSE[:3, 3]
    z = float((point[0] - eye) @ POSE[:3, 2])
    along = (point[0] - eye) * (eye[2] / (eye[2] - height))  # to where the ray meets the ground
    gap = abs(float(along @ POSE[:3, 2]) - z)
    tolerance = min(TOLERANCE * z, max(PARALLAX * z * z, THICKNESS))
    if gap < 0.8 * tolerance:
        assert len(index) == 1
    elif gap > 1.2 * tolerance:
        assert len(index) == 0


def test_an_occluder_in_the_depth_hides_what_is_behind_it() -> None:
    v, points = view(), ground()
    near = v.depth.copy()
    near[:, :48] *= 0.7
    before = observe(points, [v], TOLERANCE).mask[0]
    after = observe(points, [LabelledView(v.camera, v.T_world_camera, v.labels, near)], TOLERANCE).mask[0]
    pixels = [slow_pixel(p) for p in points]
    left = np.array([p is not None and p[1] < 48 for p in pixels])
    assert (before[left] != HIDDEN).all()
    assert (after[left] == HIDDEN).all()
    np.testing.assert_array_equal(before[~left], after[~left])


def test_unknown_depth_hides_and_tolerance_adds_up() -> None:
    v, points = view(), np.array([[0.0, 0.0, 0.05]])
    unknown = LabelledView(v.camera, v.T_world_camera, v.labels, np.zeros_like(v.depth))
    assert (observe(ground(), [unknown], TOLERANCE).mask == HIDDEN).all()
    assert len(visible_points(points, v, 0.001)[0]) == 0
    thick = LabelledView(v.camera, v.T_world_camera, v.labels, v.depth, tolerance=0.1)
    assert len(visible_points(points, thick, 0.001)[0]) == 1


def test_points_behind_the_camera_are_hidden() -> None:
    behind = (POSE[:3, 3] - POSE[:3, 2])[None]
    assert (observe(behind, [view()], 10.0).mask == HIDDEN).all()


def test_columns_number_the_masks_of_all_views_through() -> None:
    first, second = view(), view(look_at((-0.4, -0.3, 0.6), (-0.25, 0.0, 0.0)))
    empty = LabelledView(first.camera, first.T_world_camera, np.zeros_like(first.labels), first.depth)
    observed = observe(ground(), [first, empty, second], TOLERANCE)
    expected = [(k, label) for k, v in enumerate((first, empty, second)) for label in np.unique(v.labels) if label]
    assert list(zip(observed.view_of_column[1:], observed.label_of_column[1:], strict=True)) == expected
    views = (first, empty, second)
    assert observed.pixels[1:].tolist() == [int((views[k].labels == label).sum()) for k, label in expected]
    for k, mask in enumerate(observed.mask):
        assert (observed.view_of_column[mask[mask > 0]] == k).all()


def test_no_points_and_no_views() -> None:
    assert observe(np.zeros((0, 3)), [view()], TOLERANCE).mask.shape == (1, 0)
    assert observe(ground(5), [], TOLERANCE).mask.shape == (0, 5)
