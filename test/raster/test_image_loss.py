"""The compiled image loss against plain torch in float64, and plain torch against an independent SSIM."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from ig_ros.raster import library
from ig_ros.raster.losses import image_loss_gradient, image_loss_torch


def images(height: int, width: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(height, width, 3, generator=generator)
    rendered = (target + 0.2 * torch.randn(height, width, 3, generator=generator)).clamp(0, 1)
    return rendered, target


def compiled(
    rendered: torch.Tensor, target: torch.Tensor, weight: float, variant: str = "best"
) -> tuple[float, torch.Tensor]:
    gradient = torch.empty(target.shape)
    return image_loss_gradient(library.load(variant), rendered, target, weight, gradient), gradient


@pytest.mark.parametrize("variant", library.available_variants())
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 200), (24, 25), (49, 5), (120, 161)])
@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0])
def test_value_and_gradient(variant: str, height: int, width: int, weight: float) -> None:
    rendered, target = images(height, width, height + width)
    truth = rendered.double().requires_grad_()
    loss, gradient = compiled(rendered, target, weight, variant)
    expected = image_loss_torch(truth, target, weight)
    assert loss == pytest.approx(float(expected.detach()), rel=2e-5, abs=1e-6)
    expected.backward()
    assert truth.grad is not None
    assert float((gradient - truth.grad).norm() / truth.grad.norm()) < 2e-4


def test_ssim_is_the_usual_one() -> None:
    rendered, target = (torch.nn.functional.pad(image, (0, 0, 12, 12, 12, 12)) for image in images(60, 70, 1))
    _, full = structural_similarity(
        rendered.numpy(), target.numpy(), channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    assert compiled(rendered, target, 1.0)[0] == pytest.approx(1 - float(full.mean()), abs=1e-4)


def test_a_target_in_bytes_is_the_same_in_shares() -> None:
    rendered, target = images(30, 40, 2)
    shown = (255 * target).round().to(torch.uint8)
    value, gradient = compiled(rendered, shown / 255, 0.2)
    assert compiled(rendered, shown, 0.2)[0] == pytest.approx(value, rel=1e-6)
    torch.testing.assert_close(compiled(rendered, shown, 0.2)[1], gradient)


def test_slices_of_a_wider_image_need_no_copy() -> None:
    rendered, target = images(30, 40, 2)
    wide = torch.cat([rendered, torch.zeros(30, 40, 7)], 2)
    gradient = torch.zeros(30, 40, 10)
    value = image_loss_gradient(library.load(), wide[..., :3], target, 0.2, gradient[..., :3])
    plain = compiled(rendered, target, 0.2)
    assert value == plain[0]
    assert torch.equal(gradient[..., :3], plain[1])
    assert not gradient[..., 3:].any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), weight=st.floats(0, 1))
def test_zero_for_equal_images_positive_otherwise(seed: int, weight: float) -> None:
    rendered, target = images(20, 20, seed)
    assert compiled(target, target, weight)[0] == pytest.approx(0.0, abs=2e-6)
    assert compiled(rendered, target, weight)[0] > 0.01


def test_deterministic_for_any_number_of_threads() -> None:
    rendered, target = images(100, 90, 4)
    before = torch.get_num_threads()
    try:
        values = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            values.append(compiled(rendered, target, 0.2)[0])
    finally:
        torch.set_num_threads(before)
    assert len(np.unique(values)) == 1
