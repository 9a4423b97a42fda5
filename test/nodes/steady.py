"""A mapping node whose map depends on the frames alone: the real mapper, with so many steps after every frame.

`python test/nodes/steady.py --ros-args ...`; `ig/save_map` writes the frames' masks and the map as arrays.
"""

from __future__ import annotations

import sys
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import torch
from nodes.doubles import MaskMapper, _done

from ig_ros.config import Config
from ig_ros.mapper import Mapper
from ig_ros.nodes.mapping_node import run
from ig_ros.types import Frame, MapSnapshot

STEPS = 4  # after every frame


class SteadyMapper(MaskMapper):
    """Nothing runs by itself: a frame is mapped while it is handed over."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        torch.set_num_threads(1)
        self.mapper = Mapper(config)

    def submit(self, frame: Frame) -> None:
        if self.mapper.add_frame(frame):
            for _ in range(STEPS):
                self.mapper.train_step()
        super().submit(frame)  # only now it counts as received

    def reset(self) -> Future[None]:
        self.mapper.reset()
        return super().reset()

    def instantiate(self) -> Future[MapSnapshot]:
        self._snapshot = self.mapper.instantiate()
        return _done(self._snapshot)

    def save(self, directory: Path) -> Future[Path]:
        directory.mkdir(parents=True, exist_ok=True)
        found = self._snapshot
        masks = {f"masks_{i}": k.labels.numpy() for i, k in enumerate(self.mapper.keyframes.items) if k.masks}
        boxes = np.array([[*o.T_world_box[:3, 3], *o.size] for o in found.instances.objects])
        np.savez(
            directory / "map.npz", xyz=found.xyz, rgb=found.rgb, ids=found.instances.point_ids, boxes=boxes, **masks
        )
        return _done(directory)


if __name__ == "__main__":
    run(SteadyMapper, sys.argv)
