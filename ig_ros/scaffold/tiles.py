"""Tiles: anchors of one cell of space, out of memory, in a safetensors file of their own."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ig_ros.geometry import inverse
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.scaffold.poses import blended_motions
from ig_ros.scaffold.turns import compose
from ig_ros.soundness import demand, demand_table
from ig_ros.types import FloatArray, IntArray

PREFIX = "ig_ros_tiles_"  # of the directories they lie in; the number of the owning process follows


@dataclass(slots=True)
class Tile:
    """What stays in memory of anchors on disk."""

    number: int
    path: Path
    uid: IntArray  # (n,) of the anchors
    low: FloatArray  # (3,) m, corner of their bounding box ...
    high: FloatArray  # (3,) m, ... and the opposite one, at the time of writing
    keyframes: IntArray  # (K,) growing uids of the keyframes that bore them, and of those keyframes' neighbours
    poses: FloatArray  # (K, 4, 4) T_world_camera of those at the time of writing
    motion: FloatArray  # (4, 4) of the whole tile since then: the poses have been corrected

    def distance(self, point: FloatArray) -> float:
        """Distance (m) of a point (3,) from the tile's box, which moves with its keyframes."""
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        local = (point - self.motion[:3, 3]) @ self.motion[:3, :3] - middle  # into the frame of the writing
        return float(np.linalg.norm(np.maximum(np.abs(local) - half, 0.0)))


class TileFiles:
    """Writes and reads tiles in a directory of its own, which goes when this object does."""

    def __init__(self, parent: str) -> None:
        """`parent` is the directory for the tiles' directory; empty = the system's for temporary files."""
        self._parent = parent
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._next = 0

    def write(self, rows: dict[str, torch.Tensor], keyframes: list[Keyframe]) -> Tile:
        """Put anchors (see AnchorStore.rows) on disk. Raises OSError or SafetensorError; then nothing is there."""
        number, self._next = self._next, self._next + 1
        path = self._path(number)
        try:
            save_file({name: table.detach().cpu().contiguous() for name, table in rows.items()}, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        position = rows["data.position"].double().cpu().numpy()
        uids, poses = concerned(np.unique(rows["data.owner"].cpu().numpy()), keyframes)
        uid = rows["data.uid"].cpu().numpy().copy()
        return Tile(number, path, uid, position.min(0), position.max(0), uids, poses, np.eye(4))

    def adopt(self, path: Path, entry: dict[str, Any]) -> Tile:
        """A tile that `described` and a copy of its file have kept, see Pager.save; the copy stays where it is.

        Raises OSError, SafetensorError, KeyError, ValueError or StorageError for a copy or an entry that is damaged.
        """
        with safe_open(path, "pt") as file:
            position = file.get_tensor("data.position").double().numpy()
            uid = file.get_tensor("data.uid").numpy()
        number, own = int(entry["number"]), self._path(int(entry["number"]))
        demand(number >= 0, "a tile's number is negative")
        link(path, own)
        self._next = max(self._next, number + 1)
        poses, motion = np.array(entry["poses"], float).reshape(-1, 4, 4), np.array(entry["motion"], float)
        uids = np.array(entry["keyframes"], np.int64)
        demand_table(f"poses of tile {number}", poses, "float64", len(uids), 4, 4)
        demand_table(f"motion of tile {number}", motion, "float64", 4, 4)
        return Tile(number, own, uid, position.min(0), position.max(0), uids, poses, motion)

    def read(self, tile: Tile, keyframes: list[Keyframe]) -> dict[str, torch.Tensor]:
        """The anchors, where the keyframes' poses of today put them; the file is removed.

        Raises OSError or SafetensorError where the file is lost or damaged.
        """
        rows = load_file(tile.path)
        tile.path.unlink()
        uids, motions = motions_since(tile, keyframes)
        if len(uids) and not np.allclose(motions, np.eye(4)):
            owners, group = np.unique(rows["data.owner"].numpy(), return_inverse=True)
            matrices, rotations = blended_motions(owners, uids, motions)
            matrix = torch.from_numpy(matrices[group])
            position = rows["data.position"]
            moved = (matrix[:, :3, :3] @ position.double()[..., None])[..., 0] + matrix[:, :3, 3]
            rows["data.position"] = moved.to(position)
            turned = compose(torch.from_numpy(rotations[group]).to(position), rows["data.turn"])
            rows["data.turn"] = torch.nn.functional.normalize(turned, dim=1)
        return rows

    def close(self) -> None:
        """Remove the directory with all tiles, before the process leaves without cleaning up."""
        if self._directory is not None:
            self._directory.cleanup()

    def _path(self, number: int) -> Path:
        """Where a tile lies; the directory is made when it is first needed. Raises OSError."""
        if self._directory is None:
            parent = Path(self._parent).expanduser() if self._parent else None
            if parent is not None:
                parent.mkdir(parents=True, exist_ok=True)
            sweep(parent or Path(tempfile.gettempdir()))
            prefix = f"{PREFIX}{os.getpid()}_"
            self._directory = tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True)
        return Path(self._directory.name) / file_name(number)


def sweep(parent: Path) -> None:
    """Remove the directories of processes that were killed; nobody else would. Those without an owner's name stay."""
    for directory in parent.glob(f"{PREFIX}*_*"):
        owner = directory.name.removeprefix(PREFIX).split("_")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(directory, ignore_errors=True)


def file_name(number: int) -> str:
    """Of a tile."""
    return f"{number}.safetensors"


def described(tile: Tile) -> dict[str, Any]:
    """What JSON has to keep of a tile beside a copy of its file."""
    return {
        "number": tile.number,
        "keyframes": tile.keyframes.tolist(),
        "poses": tile.poses.tolist(),
        "motion": tile.motion.tolist(),
    }


def link(source: Path, target: Path) -> None:
    """A second name for a file that is never written again, or a copy where the file system knows no such."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def concerned(owners: IntArray, keyframes: list[Keyframe]) -> tuple[IntArray, FloatArray]:
    """Uids (K,) and poses (K, 4, 4) of the keyframes on which the place of these owners' anchors depends."""
    uids = np.array([k.uid for k in keyframes], np.int64)
    after = np.searchsorted(uids, owners)
    places = np.unique(np.concatenate([after - 1, after, after + 1]).clip(0, len(uids) - 1))
    return uids[places], np.stack([keyframes[i].T_world_camera for i in places])


def motions_since(tile: Tile, keyframes: list[Keyframe]) -> tuple[IntArray, FloatArray]:
    """Uids (K,) of the tile's keyframes that are still there, and what has moved each (K, 4, 4) since the writing."""
    now = {k.uid: k.T_world_camera for k in keyframes}
    left = [i for i, uid in enumerate(tile.keyframes.tolist()) if uid in now]
    motions = [now[int(tile.keyframes[i])] @ inverse(tile.poses[i]) for i in left]
    return tile.keyframes[left], np.stack(motions) if motions else np.zeros((0, 4, 4))
