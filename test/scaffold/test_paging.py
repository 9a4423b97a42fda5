"""The map's memory is bounded; what went to disk comes back as it was, where it belongs by then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ground_frame, look_at, small_config
from safetensors.torch import load_file, save_file
from scipy.spatial.transform import Rotation

from ig_ros.errors import StorageError
from ig_ros.map_io import TILES, load_map, save_map
from ig_ros.mapper import Mapper
from ig_ros.scaffold.keyframes import make_keyframe
from ig_ros.scaffold.paging import sees
from ig_ros.types import FloatArray, Frame

BUDGET = 2000
HOME, FAR = -2.3, 2.3  # m, along x


def drive(stops: list[float], first: int = 0) -> list[Frame]:
    """A picture from above each x (m), looking down ahead."""
    return [ground_frame(look_at((x, -0.15, 0.8), (x, 0.05, 0.0)), first + i, masks=False) for i, x in enumerate(stops)]


def mapper_of(budget: int = BUDGET, **changes: object) -> Mapper:
    return Mapper(small_config(seeding__max_anchors=budget, memory__reach=1.3, memory__tile=0.3, **changes))


def anchors_by_uid(mapper: Mapper) -> dict[int, FloatArray]:
    """Everything known about each anchor in memory, in one row."""
    state = mapper.scaffold.anchors.state()
    uid = state.pop("data.uid").tolist()
    del state["next_uid"], state["origin"]
    table = torch.cat([state[name].double().flatten(1) if state[name].dim() > 1 else state[name].double()[:, None]
                       for name in sorted(state)], dim=1)  # fmt: skip
    return dict(zip(uid, table.numpy(), strict=True))


def gone_and_back(mapper: Mapper) -> tuple[dict[int, FloatArray], set[int], list[int]]:
    """Map home, drive away, come home: anchors at home before, uids on disk while away, most anchors in memory."""
    sizes = []
    for frame in drive([HOME, HOME + 0.2]):
        mapper.insert(frame)
        for _ in range(10):
            mapper.train_step()
    home = anchors_by_uid(mapper)
    for frame in drive(np.linspace(HOME + 0.5, FAR, 12).tolist(), 10):
        mapper.insert(frame)
        sizes.append(len(mapper.scaffold.anchors))
    away = set(mapper.state.pager.uids_on_disk().tolist())
    for frame in drive(np.linspace(FAR, HOME, 12).tolist(), 30):
        mapper.insert(frame)
        sizes.append(len(mapper.scaffold.anchors))
    return home, away, sizes


def test_memory_is_bounded_and_the_same_anchors_return() -> None:
    mapper = mapper_of()
    home, away, sizes = gone_and_back(mapper)
    assert max(sizes) <= BUDGET
    assert len(away & set(home)) > 0.9 * len(home)
    back = anchors_by_uid(mapper)
    returned = away & set(home) & set(back)
    assert len(returned) > 0.9 * len(home)
    for uid in returned:
        np.testing.assert_array_equal(back[uid], home[uid])  # parameters, moments, counts: nobody trained meanwhile
    everything = len(mapper.state.pager.uids_on_disk()) + len(mapper.scaffold.anchors)
    assert everything > 1.4 * BUDGET  # without paging the map would have ended there
    everyone = np.concatenate([mapper.state.pager.uids_on_disk(), mapper.scaffold.anchors.data["uid"].numpy()])
    assert len(np.unique(everyone)) == len(everyone)


def test_keyframes_that_look_at_ground_on_disk_sleep_until_it_is_back() -> None:
    mapper = mapper_of()
    for frame in drive(np.linspace(HOME, FAR, 14).tolist()):
        mapper.insert(frame)
    first = mapper.keyframes.items[0]
    assert first.missing
    assert not mapper.keyframes.items[-1].missing
    picked = {r.keyframe for r in (mapper.train_step() for _ in range(60)) if r is not None}
    assert first.uid not in picked
    assert picked <= {k.uid for k in mapper.keyframes.items if not k.missing}
    assert first.uid not in {k.uid for k in mapper.freeze().keyframes}
    for frame in drive(np.linspace(FAR, HOME, 14).tolist(), 30):
        mapper.insert(frame)
    assert not first.missing
    assert first in mapper.keyframes.awake()


def test_what_is_on_disk_follows_corrected_poses() -> None:
    mapper = mapper_of()
    for frame in drive(np.linspace(HOME, FAR, 14).tolist()):
        mapper.insert(frame)
    D = np.eye(4)
    D[:3, :3] = Rotation.from_euler("z", 25, degrees=True).as_matrix()
    D[:3, 3] = [0.5, -1.0, 0.2]
    away = set(mapper.state.pager.uids_on_disk().tolist())
    assert away
    mapper.correct_poses({k.stamp: D @ k.T_world_camera for k in mapper.keyframes.items})
    for frame in drive(np.linspace(FAR, HOME, 14).tolist(), 30):
        mapper.insert(Frame(frame.stamp, frame.rgb, frame.camera, D @ frame.T_world_camera, frame.depth))
    data = mapper.scaffold.anchors.data
    returned = np.isin(data["uid"].numpy(), list(away))
    assert returned.sum() > BUDGET / 2
    height = (data["position"].double().numpy()[returned] - D[:3, 3]) @ D[:3, :3]
    np.testing.assert_allclose(height[:, 2], 0.0, atol=0.01)  # on the ground, as it lies now
    assert height[:, 0].min() < HOME + 0.2
    rotation = data["rotation"].numpy()[returned]
    np.testing.assert_allclose(np.abs(rotation[:, 0]), np.cos(np.radians(12.5)), atol=1e-4)


def test_tiles_lie_below_the_directory_asked_for_and_go_with_the_map(tmp_path: Path) -> None:
    mapper = mapper_of(memory__directory=str(tmp_path / "tiles"))
    for frame in drive(np.linspace(HOME, FAR, 14).tolist()):
        mapper.insert(frame)
    files = list(tmp_path.rglob("*.safetensors"))
    assert len(files) == len(mapper.state.pager.tiles) > 0
    mapper.reset()
    assert not mapper.state.pager.tiles
    del mapper
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_disk_that_refuses_leaves_the_anchors_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no directory")
    mapper = mapper_of(memory__directory=str(blocked / "tiles"))
    for frame in drive(np.linspace(HOME, FAR, 14).tolist()):
        mapper.insert(frame)
    assert not mapper.state.pager.tiles
    assert len(mapper.scaffold.anchors) == BUDGET
    assert "the disk does not take them" in caplog.text


def test_a_lost_tile_is_planted_anew(caplog: pytest.LogCaptureFixture) -> None:
    mapper = mapper_of()
    for frame in drive(np.linspace(HOME, FAR, 14).tolist()):
        mapper.insert(frame)
    for tile in mapper.state.pager.tiles.values():
        tile.path.write_bytes(b"damaged")
    for frame in drive(np.linspace(FAR, HOME, 14).tolist(), 30):
        mapper.insert(frame)
    assert "planted anew" in caplog.text
    view = mapper.keyframes.items[-1]
    assert float((mapper.scaffold.render(view.camera, view.T_world_camera).alpha > 0.5).float().mean()) > 0.9


def test_a_keyframe_sees_what_is_inside_its_image_and_not_behind_a_surface() -> None:
    keyframe = make_keyframe(0, drive([0.0])[0], small_config().input)
    points = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, -0.5], [0.0, 0.0, 0.3], [9.0, 0.0, 0.0], [0.0, -0.3, 2.0]])
    assert sees(keyframe, points).tolist() == [True, False, True, False, False]


def test_tiles_of_a_process_that_was_killed_go_and_those_of_others_stay(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, theirs = tmp_path / f"ig_ros_tiles_{dead.pid}_x", tmp_path / f"ig_ros_tiles_{os.getppid()}_x"
    for folder in (left, theirs):
        folder.mkdir()
        (folder / "0.safetensors").write_text("anchors")
    mapper = mapper_of(memory__directory=str(tmp_path))
    gone_and_back(mapper)
    assert not left.exists()
    assert (theirs / "0.safetensors").exists()
    own = list(tmp_path.glob(f"ig_ros_tiles_{os.getpid()}_*"))
    assert len(own) == 1
    mapper.state.pager.close()
    assert not own[0].exists()


DAMAGED_TILES = {
    "short": lambda rows: rows | {"data.visits": rows["data.visits"][:1]},
    "not a number": lambda rows: rows | {"data.position": rows["data.position"] * float("nan")},
    "of floats": lambda rows: rows | {"data.uid": rows["data.uid"].float()},
    "lacking": lambda rows: {name: table for name, table in rows.items() if name != "moment0.color"},
}


@pytest.mark.parametrize("damage", DAMAGED_TILES)
def test_a_saved_map_with_a_damaged_tile_is_refused_at_once(tmp_path: Path, damage: str) -> None:
    mapper = mapper_of()
    for frame in drive(np.linspace(HOME, FAR, 14).tolist()):
        mapper.insert(frame)
    save_map(mapper, tmp_path / "map")
    load_map(mapper_of(), tmp_path / "map")
    tile = next((tmp_path / "map" / TILES).iterdir())
    rows = {name: table.clone() for name, table in load_file(tile).items()}
    tile.unlink()
    save_file({name: table.contiguous() for name, table in DAMAGED_TILES[damage](rows).items()}, tile)
    with pytest.raises(StorageError, match="damaged"):
        load_map(mapper_of(), tmp_path / "map")
