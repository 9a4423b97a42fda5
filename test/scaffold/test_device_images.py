"""Copies of keyframes on the training device; torch's device without memory stands in for a GPU."""

from __future__ import annotations

import gc

import torch

from ig_ros.scaffold.trainer import DeviceImages

ELSEWHERE = torch.device("meta")


def test_an_image_is_sent_once_in_its_own_type() -> None:
    on_device = DeviceImages(ELSEWHERE)
    rgb, depth = torch.zeros(4, 5, 3, dtype=torch.uint8), torch.zeros(4, 5, dtype=torch.float16)
    first = on_device(rgb)
    assert on_device(rgb) is first
    assert (first.device.type, first.dtype, first.shape) == ("meta", torch.uint8, rgb.shape)
    assert on_device(depth).dtype == torch.float16
    assert len(on_device) == 2


def test_equal_images_are_different_ones() -> None:
    on_device = DeviceImages(ELSEWHERE)
    assert on_device(torch.zeros(2, 2)) is not on_device(torch.zeros(2, 2))


def test_a_copy_goes_with_its_original() -> None:
    on_device = DeviceImages(ELSEWHERE)
    image = torch.zeros(2, 2)
    on_device(image)
    del image
    gc.collect()
    assert len(on_device) == 0


def test_on_the_cpu_nothing_is_copied() -> None:
    on_device, image = DeviceImages(torch.device("cpu")), torch.zeros(2, 2)
    assert on_device(image) is image
    assert len(on_device) == 0
