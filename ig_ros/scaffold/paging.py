"""Bounds the map's memory: anchors far from the camera are moved to disk and back when it returns.

Keyframes that show anchors on disk are not replayed: training would grow a replacement for what is missing.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from ig_ros.config import MemoryConfig
from ig_ros.geometry import inverse, project, transform
from ig_ros.scaffold.anchors import AnchorStore
from ig_ros.scaffold.change_detection import depth_noise
from ig_ros.scaffold.keyframes import Keyframe, KeyframeStore
from ig_ros.scaffold.pose_correction import blended_motions
from ig_ros.scaffold.rotations import compose
from ig_ros.types import BoolArray, FloatArray, IntArray
from ig_ros.validation import demand, demand_table

PREFIX = "ig_ros_tiles_"  # of the tiles' directories; the number of the owning process follows


@dataclass(slots=True)
class Tile:
    """A file of anchors on disk, and what is kept in memory of it."""

    number: int
    path: Path
    uid: IntArray  # (n,) of the anchors
    low: FloatArray  # (3,) m, world, corner of their bounding box ...
    high: FloatArray  # (3,) m, ... and the opposite one, at the time of writing
    keyframes: IntArray  # (K,) growing uids of the keyframes that own them, and of those keyframes' neighbours
    poses: FloatArray  # (K, 4, 4) T_world_camera of those at the time of writing
    motion: FloatArray  # (4, 4) of the whole tile since then: the poses have been corrected

    def distance(self, point: FloatArray) -> float:
        """Returns the distance (m) of a point (3,) from the tile's box, which moves with its keyframes."""
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        local = (point - self.motion[:3, 3]) @ self.motion[:3, :3] - middle  # into the frame of the writing
        return float(np.linalg.norm(np.maximum(np.abs(local) - half, 0.0)))


class TileFiles:
    """Writes and reads tiles in a directory of its own, which is removed with this object."""

    def __init__(self, parent: str, anchors: AnchorStore) -> None:
        """`parent` is the directory for the tiles' directory; empty = the system's for temporary files."""
        self._parent, self._anchors = parent, anchors
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._next = 0

    def write(self, rows: dict[str, torch.Tensor], keyframes: list[Keyframe]) -> Tile:
        """Writes anchors (see AnchorStore.rows) to disk. Raises OSError or SafetensorError, and then leaves no file."""
        number, self._next = self._next, self._next + 1
        path = self._path(number)
        try:
            save_file({name: table.detach().cpu().contiguous() for name, table in rows.items()}, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        position = rows["data.position"].cpu().numpy() + self._anchors.origin
        uids, poses = neighborhood(np.unique(rows["data.owner"].cpu().numpy()), keyframes)
        uid = rows["data.uid"].cpu().numpy().copy()
        return Tile(number, path, uid, position.min(0), position.max(0), uids, poses, np.eye(4))

    def adopt(self, path: Path, entry: dict[str, Any]) -> Tile:
        """Restores a tile from its description and a copy of its file, see Pager.save; the copy stays where it is.

        Raises OSError, SafetensorError, KeyError, ValueError or StorageError for a copy or an entry that is damaged.
        """
        with safe_open(path, "pt") as file:
            position = file.get_tensor("data.position").numpy() + self._anchors.origin
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
        """Returns the anchors, moved with their keyframes' poses, and removes the file.

        Raises OSError or SafetensorError where the file is lost or damaged.
        """
        rows = load_file(tile.path)
        tile.path.unlink()
        uids, motions = motions_since(tile, keyframes)
        if len(uids) and not np.allclose(motions, np.eye(4)):
            owners, group = np.unique(rows["data.owner"].numpy(), return_inverse=True)
            matrices, rotations = blended_motions(owners, uids, motions)
            position = (rows["data.position"].numpy() + self._anchors.origin)[..., None]
            moved = (matrices[group, :3, :3] @ position)[..., 0] + matrices[group, :3, 3] - self._anchors.origin
            rows["data.position"] = torch.from_numpy(moved).float()
            rotated = compose(torch.from_numpy(rotations[group]).float(), rows["data.rotation"])
            rows["data.rotation"] = torch.nn.functional.normalize(rotated, dim=1)
        return rows

    def close(self) -> None:
        """Removes the directory with all tiles: for a process that exits without cleaning up."""
        if self._directory is not None:
            self._directory.cleanup()

    def _path(self, number: int) -> Path:
        """Returns the path of a tile; makes the directory when it is first needed. Raises OSError."""
        if self._directory is None:
            parent = Path(self._parent).expanduser() if self._parent else None
            if parent is not None:
                parent.mkdir(parents=True, exist_ok=True)
            remove_orphans(parent or Path(tempfile.gettempdir()))
            prefix = f"{PREFIX}{os.getpid()}_"
            self._directory = tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True)
        return Path(self._directory.name) / file_name(number)


def remove_orphans(parent: Path) -> None:
    """Removes the tile directories of processes that no longer run."""
    for directory in parent.glob(f"{PREFIX}*_*"):
        owner = directory.name.removeprefix(PREFIX).split("_")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(directory, ignore_errors=True)


def file_name(number: int) -> str:
    """Returns the name of a tile's file."""
    return f"{number}.safetensors"


def link(source: Path, target: Path) -> None:
    """Makes a hard link to a file that is never written again, or a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def neighborhood(owners: IntArray, keyframes: list[Keyframe]) -> tuple[IntArray, FloatArray]:
    """Returns uids (K,) and poses (K, 4, 4) of the owners and their neighbours, with which the anchors move."""
    uids = np.array([k.uid for k in keyframes], np.int64)
    after = np.searchsorted(uids, owners)
    places = np.unique(np.concatenate([after - 1, after, after + 1]).clip(0, len(uids) - 1))
    return uids[places], np.stack([keyframes[i].T_world_camera for i in places])


def motions_since(tile: Tile, keyframes: list[Keyframe]) -> tuple[IntArray, FloatArray]:
    """Returns uids (K,) and motions (K, 4, 4) since the writing of the tile's keyframes that are still there."""
    now = {k.uid: k.T_world_camera for k in keyframes}
    left = [i for i, uid in enumerate(tile.keyframes.tolist()) if uid in now]
    motions = [now[int(tile.keyframes[i])] @ inverse(tile.poses[i]) for i in left]
    return tile.keyframes[left], np.stack(motions) if motions else np.zeros((0, 4, 4))


log = logging.getLogger(__name__)

FULL = 0.9  # share of the budget from which anchors are moved to disk ...
ROOM = 0.7  # ... down to this share, so that it happens rarely
NEARER = 0.8  # share of memory.reach within which tiles return: between the two limits nothing moves
SAMPLE = 8  # every so many anchors tell whether a keyframe sees a tile
MISSING = 0.1  # share of what a keyframe sees: with more of it on disk the keyframe is not replayed


class Pager:
    """Moves anchors between an AnchorStore and tiles on disk; called by the thread that trains."""

    def __init__(self, anchors: AnchorStore, keyframes: KeyframeStore, config: MemoryConfig) -> None:
        self._anchors, self._keyframes, self._config = anchors, keyframes, config
        self._files = TileFiles(config.directory, anchors)
        self.tiles: dict[int, Tile] = {}

    def uids_on_disk(self) -> IntArray:
        """Returns the uids (M,) of the anchors on disk."""
        return np.concatenate([np.zeros(0, np.int64), *(tile.uid for tile in list(self.tiles.values()))])

    def count(self) -> int:
        """Returns how many anchors are on disk; may be called from any thread."""
        return sum(len(tile.uid) for tile in list(self.tiles.values()))

    def update(self, budget: int) -> None:
        """Reads tiles near to the newest keyframe and keeps at most `budget` anchors in memory."""
        if not len(self._keyframes):
            return
        center, reach = self._keyframes.items[-1].T_world_camera[:3, 3], NEARER * self._config.reach
        by_distance = sorted((tile.distance(center), number) for number, tile in self.tiles.items())
        near = [self.tiles[number] for distance, number in by_distance if distance < reach]
        need = sum(len(tile.uid) for tile in near)
        if len(self._anchors) + need > FULL * budget:
            self._make_room(center, max(int(ROOM * budget) - need, 0))
        room = budget - len(self._anchors)
        back = [tile for tile, total in zip(near, np.cumsum([len(t.uid) for t in near]), strict=True) if total <= room]
        self._bring_back(back)

    def follow(self) -> None:
        """Moves the tiles with their keyframes after poses have been corrected."""
        for tile in self.tiles.values():
            uids, motions = motions_since(tile, self._keyframes.items)
            if len(uids):
                tile.motion = motions[len(uids) // 2]

    def save(self, directory: Path) -> dict[str, Any]:
        """Links the tiles into an empty or new `directory`; returns what JSON keeps. Raises OSError."""
        if self.tiles:
            directory.mkdir(exist_ok=True)
        for tile in self.tiles.values():
            link(tile.path, directory / file_name(tile.number))
        sleeping = {str(k.uid): sorted(k.missing) for k in self._keyframes.items if k.missing}
        tiles = [
            {
                "number": tile.number,
                "keyframes": tile.keyframes.tolist(),
                "poses": tile.poses.tolist(),
                "motion": tile.motion.tolist(),
            }
            for tile in self.tiles.values()
        ]
        return {"tiles": tiles, "sleeping": sleeping}

    def load(self, directory: Path, entry: dict[str, Any]) -> None:
        """Restores what `save` kept, once the keyframes are there. Raises as TileFiles.adopt does, or StorageError."""
        for each in entry["tiles"]:
            path = directory / file_name(int(each["number"]))
            self._anchors.demand_rows(load_file(path))
            tile = self._files.adopt(path, each)
            demand(tile.number not in self.tiles, f"tile {tile.number} is named twice")
            self.tiles[tile.number] = tile
        for keyframe in self._keyframes.items:
            keyframe.missing = set(entry["sleeping"].get(str(keyframe.uid), ()))
            demand(keyframe.missing <= set(self.tiles), f"keyframe {keyframe.uid} misses a tile that is not there")

    def close(self) -> None:
        """Removes all tiles."""
        self._files.close()

    def _make_room(self, center: FloatArray, goal: int) -> None:
        """Writes cells beyond reach, the farthest first, until at most `goal` anchors are left."""
        position = self._anchors.position
        corner = np.floor(position / self._config.tile) * self._config.tile
        # Of a full map without far anchors every keyframe comes here: so only far ones are sorted into cells.
        far = np.flatnonzero(cell_distance(corner, self._config.tile, center) > self._config.reach)
        cells, group = np.unique(corner[far], axis=0, return_inverse=True)
        group = group.reshape(-1)
        distance = cell_distance(cells, self._config.tile, center)
        leaving = np.zeros(len(position), bool)
        tile_of = np.full(len(position), -1)
        for i in np.argsort(-distance):
            if len(position) - leaving.sum() <= goal:
                break
            own = far[group == i]
            tile = self._write(own)
            if tile is None:
                break
            leaving[own] = True
            tile_of[own] = tile.number
        if leaving.any():
            self._note_missing(position, tile_of)
            self._anchors.keep(torch.from_numpy(~leaving).to(self._anchors.data["position"].device))

    def _write(self, own: IntArray) -> Tile | None:
        """Writes a tile of the anchors in rows `own` (n,); None where the disk refuses it: they stay in memory."""
        rows = torch.from_numpy(own).to(self._anchors.data["position"].device)
        try:
            tile = self._files.write(self._anchors.rows(rows), self._keyframes.items)
        except (OSError, SafetensorError) as error:
            log.warning("far anchors stay in memory, the disk does not take them: %s", error)
            return None
        self.tiles[tile.number] = tile
        return tile

    def _bring_back(self, tiles: list[Tile]) -> None:
        """Reads tiles into memory; keyframes that miss no tile any more are replayed again."""
        parts = []
        for tile in tiles:
            del self.tiles[tile.number]
            try:
                parts.append(self._files.read(tile, self._keyframes.items))
            except (OSError, SafetensorError) as error:
                log.error("%d anchors are lost and will be planted anew where they are seen: %s", len(tile.uid), error)
        if parts:
            self._anchors.put_back(parts)
        for keyframe in self._keyframes.items:
            keyframe.missing.difference_update(tile.number for tile in tiles)

    def _note_missing(self, position: FloatArray, tile_of: IntArray) -> None:
        """Notes with every keyframe which tiles it misses; position (N, 3) m and tile_of (N,) or -1 of the anchors."""
        position, tile_of = position[::SAMPLE], tile_of[::SAMPLE]
        for keyframe in self._keyframes.items:
            seen = tile_of[sees(keyframe, position)]
            lost = seen[seen >= 0]
            if len(lost) > MISSING * len(seen) or keyframe.missing:
                keyframe.missing.update(np.unique(lost).tolist())


def sees(keyframe: Keyframe, points: FloatArray) -> BoolArray:
    """Returns which (N,) points (N, 3) m world are inside the image and not behind the measured surface."""
    uv, z = project(transform(inverse(keyframe.T_world_camera), points), keyframe.camera)
    camera = keyframe.camera
    inside = (z > 0) & (uv >= 0).all(1) & (uv[:, 0] < camera.width) & (uv[:, 1] < camera.height)
    if keyframe.depth is not None:
        cols, rows = uv[inside].astype(int).T
        measured = keyframe.depth.numpy()[rows, cols].astype(np.float32)
        inside[inside] = (measured == 0) | (z[inside] < measured + 2 * depth_noise(measured))
    return np.asarray(inside)


def cell_distance(low: FloatArray, edge: float, point: FloatArray) -> FloatArray:
    """Returns the distance (C,) m of a point (3,) from each cell, a cube of `edge` m from its corner low (C, 3)."""
    gap = np.maximum(np.maximum(low - point, point - low - edge), 0.0)
    return np.asarray(np.linalg.norm(gap, axis=1))
