"""Copies of keyframes on the training device; torch's device without memory stands in for a GPU."""

from __future__ import annotations

import gc

import torch

from ig_ros.scaffold.trainer import Resident

ELSEWHERE = torch.device("meta")


def test_an_image_is_sent_once_in_its_own_type() -> None:
    resident = Resident(ELSEWHERE)
    rgb, depth = torch.zeros(4, 5, 3, dtype=torch.uint8), torch.zeros(4, 5, dtype=torch.float16)
    first = resident(rgb)
    assert resident(rgb) is first
    assert (first.device.type, first.dtype, first.shape) == ("meta", torch.uint8, rgb.shape)
    assert resident(depth).dtype == torch.float16
    assert len(resident) == 2


def test_equal_images_are_different_ones() -> None:
    resident = Resident(ELSEWHERE)
    assert resident(torch.zeros(2, 2)) is not resident(torch.zeros(2, 2))


def test_a_copy_goes_with_its_original() -> None:
    resident = Resident(ELSEWHERE)
    image = torch.zeros(2, 2)
    resident(image)
    del image
    gc.collect()
    assert len(resident) == 0


def test_on_the_cpu_nothing_is_copied() -> None:
    resident, image = Resident(torch.device("cpu")), torch.zeros(2, 2)
    assert resident(image) is image
    assert len(resident) == 0
