"""Semi-global matching: smooth where costs are silent, sharp where they speak."""

from __future__ import annotations

import numpy as np

from ig_ros.scaffold.multiview_stereo import TRUNCATION, aggregate, choose, vertex

DEPTH, HEIGHT, WIDTH = 9, 6, 20


def volume_of(best: np.ndarray, cost: float = 20.0) -> np.ndarray:
    """Costs (DEPTH, h, w) of `cost` per hypothesis away from `best` (h, w), saturating at three."""
    away = np.abs(np.arange(DEPTH)[:, None, None] - best)
    return (np.minimum(away, 3) * cost).astype(np.float32)


def test_clear_costs_are_kept_with_their_fraction() -> None:
    best = np.full((HEIGHT, WIDTH), 2.0)
    best[:, 10:] = 6.25
    place, contrast = choose(aggregate(volume_of(best)))
    assert np.abs(place - best).max() < 0.3
    assert np.abs(place[:, 2:9] - 2.0).max() < 0.05  # a whole hypothesis stays whole
    assert (contrast > 1.5).all()


def test_a_silent_pixel_takes_its_neighbours_depth() -> None:
    volume = volume_of(np.full((HEIGHT, WIDTH), 4.0))
    volume[:, 2:4, 5:12] = 7.0  # every hypothesis alike
    place, _ = choose(aggregate(volume))
    assert np.abs(place - 4.0).max() < 0.3


def test_one_loud_outlier_below_the_jump_penalty_is_overruled() -> None:
    volume = volume_of(np.full((HEIGHT, WIDTH), 4.0), cost=7.0)
    volume[:, 3, 9] = volume_of(np.full((1, 1), 8.0), cost=7.0)[:, 0, 0]
    assert volume[4, 3, 9] - volume[8, 3, 9] < TRUNCATION
    assert abs(choose(aggregate(volume))[0][3, 9] - 4.0) < 0.5


def test_two_equal_explanations_have_no_contrast() -> None:
    volume = np.minimum(volume_of(np.full((HEIGHT, WIDTH), 1.0)), volume_of(np.full((HEIGHT, WIDTH), 7.0)))
    volume += 5.0
    _, contrast = choose(aggregate(volume))
    assert np.allclose(contrast, 1.0, atol=1e-3)


def test_aggregation_does_not_prefer_a_direction() -> None:
    volume = np.random.default_rng(0).uniform(0, 60, (DEPTH, HEIGHT, WIDTH)).astype(np.float32)
    total = aggregate(volume)
    assert np.allclose(aggregate(volume[:, ::-1, ::-1]), total[:, ::-1, ::-1], atol=1e-3)
    assert np.allclose(aggregate(volume.transpose(0, 2, 1)), total.transpose(0, 2, 1), atol=1e-3)


def test_vertex_of_a_parabola() -> None:
    x = np.linspace(-0.45, 0.45, 7)
    assert np.allclose(vertex(*(3 * (k - x) ** 2 for k in (-1.0, 0.0, 1.0)), 1.0), x, atol=1e-6)
    assert np.allclose(vertex(*(3 * (k - x) ** 2 for k in (-1.0, 0.0, 1.0)), 0.1), np.clip(x, -0.1, 0.1), atol=1e-6)
    flat = np.zeros(3)
    assert not vertex(flat, flat, flat, 1.0).any()
    assert not vertex(flat - 1, flat, flat - 2, 1.0).any()  # a hill has no lowest place
