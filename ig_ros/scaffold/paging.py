"""Bounds the map's memory: anchors far from the camera are moved to disk and back when it returns.

Keyframes that show anchors on disk are not replayed: training would grow a replacement for what is missing.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ig_ros.config import MemoryConfig
from ig_ros.depth_images import DEPTH_NOISE
from ig_ros.geometry import inverse, project, transform
from ig_ros.scaffold.anchors import AnchorStore
from ig_ros.scaffold.keyframes import Keyframe, KeyframeStore
from ig_ros.scaffold.pose_correction import carry
from ig_ros.scaffold.rotations import compose
from ig_ros.types import BoolArray, FloatArray, IntArray
from ig_ros.validation import demand, demand_table

log = logging.getLogger(__name__)

PREFIX = "ig_ros_tiles_"  # of the tiles' directories; the number of the owning process follows
ROOM = 0.7  # share of the budget that is left in memory when it is full, so that tiles are written rarely
SAMPLE = 8  # every so many anchors tell whether a keyframe sees a tile
MISSING = 0.1  # share of what a keyframe sees: with more of it on disk the keyframe is not replayed


@dataclass(frozen=True, slots=True)
class Tile:
    """A file of anchors on disk, and what is kept in memory of it."""

    number: int
    path: Path
    uid: IntArray  # (n,) of the anchors
    center: FloatArray  # (3,) m, their mean at the time of writing
    keyframes: IntArray  # (K,) growing uids of the keyframes that own them, and of those keyframes' neighbours
    poses: FloatArray  # (K, 4, 4) T_world_camera of those at the time of writing

    def motions(self, now: Mapping[int, FloatArray]) -> tuple[IntArray, FloatArray]:
        """Returns uids (K,) and motions (K, 4, 4) since the writing of its keyframes among those in `now`, by uid."""
        left = [i for i, uid in enumerate(self.keyframes.tolist()) if uid in now]
        motions = [now[int(self.keyframes[i])] @ inverse(self.poses[i]) for i in left]
        return self.keyframes[left], np.array(motions).reshape(-1, 4, 4)

    def distance(self, point: FloatArray, now: Mapping[int, FloatArray]) -> float:
        """Returns the distance (m) of a point (3,) from its centre, which moves with its keyframes' poses."""
        _, motions = self.motions(now)
        center = transform(motions[len(motions) // 2], self.center[None])[0] if len(motions) else self.center
        return float(np.linalg.norm(center - point))


class Pager:
    """Moves anchors between an AnchorStore and tiles on disk; called by the thread that trains.

    A tile is what a cell of `memory.tile` holds. It leaves when its centre is a cell further away than it returns, so
    that between the two limits nothing moves.
    """

    def __init__(self, anchors: AnchorStore, keyframes: KeyframeStore, config: MemoryConfig) -> None:
        self._anchors, self._keyframes, self._config = anchors, keyframes, config
        self._directory: tempfile.TemporaryDirectory[str] | None = None  # removed with this object
        self._next = 0
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
        center, now = self._keyframes.items[-1].T_world_camera[:3, 3], self._poses()
        reach = max(self._config.reach, self._config.tile)
        by_distance = sorted((tile.distance(center, now), number) for number, tile in self.tiles.items())
        near = [self.tiles[number] for distance, number in by_distance if distance < reach]
        need = sum(len(tile.uid) for tile in near)
        if len(self._anchors) + need >= budget:
            self._make_room(center, reach + self._config.tile, max(int(ROOM * budget) - need, 0))
        room = budget - len(self._anchors)
        back = [tile for tile, total in zip(near, np.cumsum([len(t.uid) for t in near]), strict=True) if total <= room]
        self._bring_back(back)

    def save(self, directory: Path) -> dict[str, Any]:
        """Links the tiles into an empty or new `directory`; returns what JSON keeps. Raises OSError."""
        if self.tiles:
            directory.mkdir(exist_ok=True)
        for tile in self.tiles.values():
            link(tile.path, directory / file_name(tile.number))
        sleeping = {str(k.uid): sorted(k.missing) for k in self._keyframes.items if k.missing}
        tiles = [
            {"number": tile.number, "keyframes": tile.keyframes.tolist(), "poses": tile.poses.tolist()}
            for tile in self.tiles.values()
        ]
        return {"tiles": tiles, "sleeping": sleeping}

    def load(self, directory: Path, entry: dict[str, Any]) -> None:
        """Restores what `save` kept, once the keyframes are there; the copies of the tiles stay where they are.

        Raises OSError, SafetensorError, KeyError, ValueError or StorageError for a copy or an entry that is damaged.
        """
        for each in entry["tiles"]:
            number = int(each["number"])
            demand(number >= 0 and number not in self.tiles, f"tile {number} is negative or named twice")
            rows = load_file(directory / file_name(number))
            self._anchors.demand_rows(rows)
            uids, poses = np.array(each["keyframes"], np.int64), np.array(each["poses"], float)
            demand_table(f"poses of tile {number}", poses, "float64", len(uids), 4, 4)
            link(directory / file_name(number), self._path(number))
            self._next = max(self._next, number + 1)
            self._keep_tile(number, rows, uids, poses)
        for keyframe in self._keyframes.items:
            keyframe.missing = set(entry["sleeping"].get(str(keyframe.uid), ()))
            demand(keyframe.missing <= set(self.tiles), f"keyframe {keyframe.uid} misses a tile that is not there")

    def close(self) -> None:
        """Removes the directory with all tiles: for a process that exits without cleaning up."""
        if self._directory is not None:
            self._directory.cleanup()

    def _poses(self) -> dict[int, FloatArray]:
        return {keyframe.uid: keyframe.T_world_camera for keyframe in self._keyframes.items}

    def _path(self, number: int) -> Path:
        """Returns the path of a tile; makes the directory when it is first needed. Raises OSError."""
        if self._directory is None:
            parent = Path(self._config.directory or tempfile.gettempdir()).expanduser()
            parent.mkdir(parents=True, exist_ok=True)
            remove_orphans(parent)
            prefix = f"{PREFIX}{os.getpid()}_"
            self._directory = tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True)
        return Path(self._directory.name) / file_name(number)

    def _keep_tile(self, number: int, rows: Mapping[str, torch.Tensor], uids: IntArray, poses: FloatArray) -> None:
        center = self._anchors.origin + rows["data.position"].double().mean(0).numpy()
        self.tiles[number] = Tile(number, self._path(number), rows["data.uid"].numpy().copy(), center, uids, poses)

    def _make_room(self, center: FloatArray, reach: float, goal: int) -> None:
        """Writes cells whose centre is beyond `reach` m, the farthest first, until at most `goal` anchors are left."""
        position = self._anchors.position
        middle = (np.floor(position / self._config.tile) + 0.5) * self._config.tile
        # Of a full map without far anchors every keyframe comes here: so only far ones are sorted into cells.
        far = np.flatnonzero(np.linalg.norm(middle - center, axis=1) > reach)
        cells, group = np.unique(middle[far], axis=0, return_inverse=True)
        group = group.reshape(-1)
        tile_of = np.full(len(position), -1)
        for i in np.argsort(-np.linalg.norm(cells - center, axis=1)):
            if (tile_of < 0).sum() <= goal:
                break
            own = far[group == i]
            number = self._write(own)
            if number is None:
                break
            tile_of[own] = number
        if (tile_of >= 0).any():
            self._note_missing(position, tile_of)
            self._anchors.keep(torch.from_numpy(tile_of < 0).to(self._anchors.data["position"].device))

    def _write(self, own: IntArray) -> int | None:
        """Writes the anchors in rows `own` (n,); returns the tile's number, None where the disk refuses it."""
        rows = self._anchors.rows(torch.from_numpy(own).to(self._anchors.data["position"].device))
        rows = {name: table.detach().cpu().contiguous() for name, table in rows.items()}
        number, self._next = self._next, self._next + 1
        try:
            save_file(rows, self._path(number))
        except (OSError, SafetensorError) as error:
            if self._directory is not None:
                self._path(number).unlink(missing_ok=True)
            log.warning("far anchors stay in memory, the disk does not take them: %s", error)
            return None
        uids, poses = neighborhood(np.unique(rows["data.owner"].numpy()), self._keyframes.items)
        self._keep_tile(number, rows, uids, poses)
        return number

    def _bring_back(self, tiles: list[Tile]) -> None:
        """Reads tiles into memory; keyframes that miss no tile any more are replayed again."""
        parts, now = [], self._poses()
        for tile in tiles:
            del self.tiles[tile.number]
            try:
                parts.append(read_tile(tile, now, self._anchors.origin))
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


def read_tile(tile: Tile, now: Mapping[int, FloatArray], origin: FloatArray) -> dict[str, torch.Tensor]:
    """Returns a tile's anchors, moved with their keyframes to their poses `now` (4, 4) by uid, and removes the file.

    Positions are kept from `origin` (3,) m. Raises OSError or SafetensorError where the file is lost or damaged.
    """
    rows = load_file(tile.path)
    tile.path.unlink()
    uids, motions = tile.motions(now)
    if len(uids) and not np.allclose(motions, np.eye(4)):
        moved, turn = carry(rows["data.position"].numpy() + origin, rows["data.owner"], uids, motions)
        rows["data.position"] = torch.from_numpy(moved - origin).float()
        rows["data.rotation"] = torch.nn.functional.normalize(compose(turn, rows["data.rotation"]), dim=1)
    return rows


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


def sees(keyframe: Keyframe, points: FloatArray) -> BoolArray:
    """Returns which (N,) points (N, 3) m world are inside the image and not behind the measured surface."""
    uv, z = project(transform(inverse(keyframe.T_world_camera), points), keyframe.camera)
    camera = keyframe.camera
    inside = (z > 0) & (uv >= 0).all(1) & (uv[:, 0] < camera.width) & (uv[:, 1] < camera.height)
    if keyframe.depth is not None:
        cols, rows = uv[inside].astype(int).T
        measured = keyframe.depth.numpy()[rows, cols].astype(np.float32)
        inside[inside] = (measured == 0) | (z[inside] < measured * (1 + 2 * DEPTH_NOISE))
    return np.asarray(inside)
