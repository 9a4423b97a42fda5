"""Exposure that changes from image to image is told from what is seen, and taken out of the training images."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from helpers import ground_frame, look_at

from ig_ros.config import InputConfig, KeyframeConfig
from ig_ros.scaffold.exposure import compensated, measured_gain
from ig_ros.scaffold.keyframes import KeyframeStore
from ig_ros.types import RenderResult

FRAME = ground_frame(look_at((0.1, -0.5, 0.9), (0.0, 0.0, 0.0)))
GAIN = np.array([1.2, 1.0, 0.8])


def rendered(rgb: np.ndarray, alpha: float = 1.0) -> RenderResult:
    image = torch.from_numpy(np.ascontiguousarray(rgb)).float() / 255
    opacity = torch.full(image.shape[:2], alpha)
    return RenderResult(image, opacity, opacity)


def test_gain_is_found_though_a_third_of_the_image_shows_something_else() -> None:
    random = np.random.default_rng(0)
    model = random.integers(60, 150, (60, 80, 3)).astype(np.uint8)
    photograph = (model * GAIN).round().astype(np.uint8)
    photograph[:20] = 200
    gain = measured_gain(rendered(model), torch.from_numpy(photograph))
    assert gain is not None
    np.testing.assert_allclose(np.exp(gain), GAIN, rtol=0.03)


def test_where_the_map_is_absent_or_the_image_saturated_nothing_is_measured() -> None:
    model = np.full((60, 80, 3), 100, np.uint8)
    assert measured_gain(rendered(model, alpha=0.5), torch.from_numpy(model)) is None
    assert measured_gain(rendered(model), torch.full((60, 80, 3), 255, dtype=torch.uint8)) is None


def test_images_are_brought_to_the_mean_exposure_and_alike_ones_stay_as_they_are() -> None:
    store = KeyframeStore(KeyframeConfig())
    bright, dark = (store.add(dataclasses.replace(FRAME, stamp=i), InputConfig()) for i in (1, 2))
    torch.testing.assert_close(compensated(bright, store), bright.rgb / 255)
    bright.log_gain = dark.log_gain = np.log(GAIN)  # all of them alike: that is how the scene looks
    torch.testing.assert_close(compensated(bright, store), bright.rgb / 255)
    bright.log_gain, dark.log_gain = np.full(3, 0.1), np.full(3, -0.1)
    ratio = compensated(dark, store).mean() / compensated(bright, store).mean()
    assert abs(float(ratio.log()) - 0.2) < 0.02
