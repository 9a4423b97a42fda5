"""The compiled image loss against plain torch in float64, and plain torch against an independent SSIM."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from ig_ros.errors import RasterError
from ig_ros.raster import image_loss, library
from ig_ros.raster.losses import image_loss_torch


def images(height: int, width: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(height, width, 3, generator=generator)
    rendered = (target + 0.2 * torch.randn(height, width, 3, generator=generator)).clamp(0, 1)
    return rendered, target, torch.rand(height, width, generator=generator).round()


@pytest.mark.parametrize("variant", library.available_variants())
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 200), (24, 25), (49, 5), (120, 161)])
@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0])
def test_value_and_gradient(variant: str, masked: bool, height: int, width: int, weight: float) -> None:
    rendered, target, mask = images(height, width, height + width)
    mask[0, 0] = 1.0
    weights = mask if masked else None
    ours, truth = rendered.clone().requires_grad_(), rendered.double().requires_grad_()
    loss = image_loss(ours, target, weight, weights, library.load(variant))
    expected = image_loss_torch(truth, target, weight, weights)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=2e-5, abs=1e-6)
    (3 * loss).backward()
    (3 * expected).backward()
    assert ours.grad is not None
    assert truth.grad is not None
    assert float((ours.grad - truth.grad).norm() / truth.grad.norm()) < 2e-4


def test_ssim_is_the_usual_one() -> None:
    rendered, target, _ = images(60, 70, 1)
    _, full = structural_similarity(
        rendered.numpy(), target.numpy(), channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    inner = torch.zeros(60, 70)
    inner[5:-5, 5:-5] = 1.0  # the border pads differently there
    expected = 1 - full[5:-5, 5:-5].mean()
    assert float(image_loss(rendered, target, 1.0, inner)) == pytest.approx(float(expected), abs=1e-4)


def test_slices_of_a_wider_image_need_no_copy() -> None:
    rendered, target, _ = images(30, 40, 2)
    wide = torch.cat([rendered, torch.zeros(30, 40, 7)], 2).requires_grad_()
    plain = rendered.clone().requires_grad_()
    image_loss(wide[..., :3], target, 0.2).backward()
    image_loss(plain, target, 0.2).backward()
    assert wide.grad is not None
    assert plain.grad is not None
    assert torch.equal(wide.grad[..., :3], plain.grad)
    assert not wide.grad[..., 3:].any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), weight=st.floats(0, 1))
def test_zero_for_equal_images_positive_otherwise(seed: int, weight: float) -> None:
    rendered, target, _ = images(20, 20, seed)
    assert float(image_loss(target, target, weight)) == pytest.approx(0.0, abs=2e-6)
    assert float(image_loss(rendered, target, weight)) > 0.01


def test_an_empty_mask_gives_zero() -> None:
    rendered, target, _ = images(20, 20, 0)
    rendered.requires_grad_()
    loss = image_loss(rendered, target, 0.2, torch.zeros(20, 20))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert rendered.grad is not None
    assert not rendered.grad.any()


def test_masked_pixels_far_from_the_mask_do_not_matter() -> None:
    rendered, target, _ = images(40, 40, 3)
    mask = torch.zeros(40, 40)
    mask[:10] = 1.0
    changed = rendered.clone()
    changed[20:] = 0.0
    assert float(image_loss(rendered, target, 0.5, mask)) == float(image_loss(changed, target, 0.5, mask))


def test_deterministic_for_any_number_of_threads() -> None:
    rendered, target, _ = images(100, 90, 4)
    before = torch.get_num_threads()
    try:
        values = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            values.append(float(image_loss(rendered, target, 0.2)))
    finally:
        torch.set_num_threads(before)
    assert len(set(values)) == 1


def test_wrong_shapes_are_named() -> None:
    rendered, target, _ = images(20, 20, 0)
    with pytest.raises(RasterError, match="two \\(H, W, 3\\) images"):
        image_loss(rendered, target[:10], 0.2)
    with pytest.raises(RasterError, match="mask has shape"):
        image_loss(rendered, target, 0.2, torch.ones(5, 5))
