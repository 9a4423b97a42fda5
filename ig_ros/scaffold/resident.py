"""Images of keyframes on the training device, sent there once and kept in the compact types they are stored in."""

from __future__ import annotations

import torch
from torch.utils.weak import WeakTensorKeyDictionary


class Resident:
    """Copies of stored images on a device; a copy lives as long as its original. On the CPU nothing is copied.

    A keyframe is replayed tens of times: without this every step would send its picture over the bus, and wait for it.
    Images are never written in place, they are replaced; so a copy is true as long as it is found.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._copies = WeakTensorKeyDictionary()

    def __len__(self) -> int:
        return len(self._copies)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """The image, any shape and type, on the device."""
        if image.device.type == self.device.type:
            return image
        if image not in self._copies:
            self._copies[image] = image.to(self.device)
        copy: torch.Tensor = self._copies[image]
        return copy
