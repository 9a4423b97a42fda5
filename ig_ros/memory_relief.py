"""What the map gives up when the machine has no memory left, so that mapping goes on."""

from __future__ import annotations

import dataclasses

import torch

from ig_ros.config import SeedingConfig, leaves
from ig_ros.mapper import Mapper

SHARE = 0.1  # of the anchors and of the keyframes


def is_out_of_memory(error: Exception) -> bool:
    """Python, CUDA and PyTorch's CPU allocator each say it in their own way."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def shrink(mapper: Mapper, share: float = SHARE) -> tuple[int, int]:
    """Drop the least opaque anchors and the least informative keyframes; returns how many of each are left.

    What is left becomes the budget: the map does not grow back into the same lack of memory.
    """
    anchors, keyframes = mapper.scaffold.anchors, mapper.keyframes
    least = int(next(leaf.low or 0 for leaf in leaves(SeedingConfig) if leaf.name == "max_anchors"))
    count = max(int(len(anchors) * (1 - share)), min(len(anchors), least))
    if count < len(anchors):
        keep = torch.zeros(len(anchors), dtype=torch.bool, device=anchors.data["opacity"].device)
        keep[anchors.data["opacity"].topk(count).indices] = True
        anchors.keep(keep)
    keyframes.shrink(int(len(keyframes) * (1 - share)))
    config = mapper.config
    seeding = dataclasses.replace(config.seeding, max_anchors=max(count, least))
    mapper.config = mapper.trainer.config = dataclasses.replace(config, seeding=seeding)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return count, len(keyframes)


def relieve(mapper: Mapper) -> str:
    """Shrink the map, where there is one; returns what there is to say about it."""
    if not len(mapper.scaffold.anchors):
        return "out of memory, and there is no map yet that could shrink"
    anchors, views = shrink(mapper)
    return f"out of memory: the map has shrunk to {anchors} anchors and {views} keyframes"
