"""Depth images are reduced and filled with what was measured, never with a mean across a step."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ig_ros.depth_images import filled_depth, fitted_depth, reduced_depth
from ig_ros.lens_distortion import Lens, Rectifier
from ig_ros.types import Camera


def slope(share: float, seed: int = 0) -> np.ndarray:
    """A floor of 640x480 pixels from 1 to 2 m, of whose pixels a share is known."""
    rng = np.random.default_rng(seed)
    floor = np.tile(np.linspace(1.0, 2.0, 640, dtype=np.float32), (480, 1))
    return np.where(rng.random(floor.shape) < share, floor, 0).astype(np.float32)


def test_depth_of_an_image_that_is_reduced_while_it_is_decoded_is_reduced_with_it() -> None:
    camera = Camera(np.array([[160.0, 0, 160], [0, 160.0, 120], [0, 0, 1]]), 320, 240)
    rectifier = Rectifier.of(Lens(camera, np.zeros(5), reduction=2))
    whole = slope(0.24)
    np.testing.assert_array_equal(fitted_depth(whole, rectifier), reduced_depth(whole, (320, 240)))
    for other in (whole[:240, :320], whole[:, :600]):
        np.testing.assert_array_equal(fitted_depth(other, rectifier), other)


def test_a_quarter_of_the_pixels_is_enough() -> None:
    depth = slope(0.24)
    plain = cv2.resize(depth, (320, 240), interpolation=cv2.INTER_NEAREST)
    reduced = reduced_depth(depth, (320, 240))
    assert (plain > 0).mean() < 0.25
    assert (reduced > 0).mean() > 0.65
    filled = filled_depth(reduced)
    assert (filled > 0).mean() > 0.95
    truth = np.linspace(1.0, 2.0, 320)
    assert np.abs(filled - truth)[filled > 0].max() < 0.01


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), width=st.integers(20, 64), height=st.integers(15, 48))
def test_reduced_depth_was_measured_in_its_block(seed: int, width: int, height: int) -> None:
    rng = np.random.default_rng(seed)
    depth = np.where(rng.random((48, 64)) < 0.4, rng.uniform(0.5, 5.0, (48, 64)), 0).astype(np.float32)
    reduced = reduced_depth(depth, (width, height))
    assert reduced.shape == (height, width)
    assert set(reduced[reduced > 0].tolist()) <= set(depth.ravel().tolist())
    first = depth[np.arange(height) * 48 // height][:, np.arange(width) * 64 // width]
    np.testing.assert_array_equal(reduced[first > 0], first[first > 0])


def test_what_is_no_depth_is_unknown() -> None:
    depth = np.array([[np.nan, np.inf], [-1.0, 0.0]], np.float32)
    assert not reduced_depth(depth, (2, 2)).any()
    assert not reduced_depth(depth, (1, 1)).any()


def test_steps_and_gaps_stay() -> None:
    depth = np.full((20, 21), 1.0, np.float32)
    depth[:, 11:] = 1.5
    depth[:, 10] = 0  # the sensor's shadow at a step
    np.testing.assert_array_equal(filled_depth(depth), depth)
    depth[:, 9:] = 1.0  # two things at one depth, the sensor's shadow between them
    depth[:, 9:11] = 0
    np.testing.assert_array_equal(filled_depth(depth), depth)
    depth[:, 9:11] = 1.0
    depth[5, 5] = 0
    assert filled_depth(depth)[5, 5] == 1.0
