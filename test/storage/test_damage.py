"""Whatever is wrong with a saved map, it is refused in one line before the running map is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers import orbit
from safetensors.torch import load_file, save_file

from ig_ros.errors import StorageError
from ig_ros.map_io import CLOUD, KEYFRAMES, MANIFEST, MODEL, load_map, read_snapshot
from ig_ros.mapper import Mapper


def truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def alter(file: str, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    """Damage that changes the tensors whose name ends so."""

    def damage(directory: Path) -> None:
        tables = load_file(directory / file)
        assert any(n.endswith(name) for n in tables)
        changed = {n: change(t).contiguous() if n.endswith(name) else t.clone() for n, t in tables.items()}
        save_file(changed, directory / file)

    return damage


def set_first(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Change that puts a value in the first place."""

    def change(table: torch.Tensor) -> torch.Tensor:
        table = table.clone()
        table.view(-1)[0] = value
        return table

    return change


def edit(*path: str | int, value: object) -> Callable[[Path], None]:
    """Damage that puts a value into the manifest."""

    def damage(directory: Path) -> None:
        manifest = json.loads((directory / MANIFEST).read_text())
        place = manifest
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        (directory / MANIFEST).write_text(json.dumps(manifest))

    return damage


def one_more_object(directory: Path) -> None:
    objects = json.loads((directory / MANIFEST).read_text())["snapshot"]["objects"]
    edit("snapshot", "objects", value=[*objects, {**objects[0], "id": 9}])(directory)


NAN = float("nan")
DAMAGE: dict[str, Callable[[Path], object]] = {
    "image of another size": alter(KEYFRAMES, ".rgb", lambda t: t[:2, :2]),
    "image of floats": alter(KEYFRAMES, ".rgb", lambda t: t.float()),
    "depth of another size": alter(KEYFRAMES, ".depth", lambda t: t[:2, :2]),
    "depth not a number": alter(KEYFRAMES, ".depth", set_first(NAN)),
    "depth negative": alter(KEYFRAMES, ".depth", set_first(-1)),
    "labels of another size": alter(KEYFRAMES, ".labels", lambda t: t[:2, :2]),
    "labels too high": alter(KEYFRAMES, ".labels", lambda t: t + 2**30),
    "labels negative": alter(KEYFRAMES, ".labels", lambda t: t - 5),
    "visits short": alter(MODEL, "data.visits", lambda t: t[:10]),
    "edges short": alter(MODEL, "data.edge", lambda t: t[:5]),
    "edges negative": alter(MODEL, "data.edge", set_first(-1)),
    "embedding narrow": alter(MODEL, "parameter.embedding", lambda t: t[:, :4]),
    "moments short": alter(MODEL, "moment1.color", lambda t: t[:3]),
    "uids of floats": alter(MODEL, "data.uid", lambda t: t.float()),
    "uids twice": alter(MODEL, "data.uid", lambda t: t * 0),
    "uids beyond the next": alter(MODEL, "next_uid", lambda t: t * 0),
    "next uid empty": alter(MODEL, "next_uid", lambda t: t[:0]),
    "position not a number": alter(MODEL, "data.position", set_first(NAN)),
    "weights not a number": alter(MODEL, "decoder.color.0.weight", set_first(NAN)),
    "weights of another shape": alter(MODEL, "decoder.color.0.weight", lambda t: t[:3]),
    "optimiser of another shape": alter(MODEL, "optimizer.0.exp_avg", lambda t: t[:1]),
    "generator short": alter(MODEL, "generator", lambda t: t[:7]),
    "next id empty": alter(MODEL, "tracker.ids.next", lambda t: t[:0]),
    "next id enormous": alter(MODEL, "tracker.ids.next", lambda t: t + 2**40),
    "ids of floats": alter(MODEL, "tracker.ids.id", lambda t: t.float()),
    "ids short": alter(MODEL, "tracker.ids.id", lambda t: t[:3]),
    "ids never given": alter(MODEL, "tracker.ids.id", lambda t: t + 1000),
    "histories short": alter(MODEL, "tracker.histories.color", lambda t: t[:1]),
    "histories not a number": alter(MODEL, "tracker.histories.size", set_first(NAN)),
    "cloud short": alter(CLOUD, "xyz", lambda t: t[:5]),
    "cloud not a number": alter(CLOUD, "xyz", set_first(NAN)),
    "points of an unknown object": alter(CLOUD, "point_ids", lambda t: t + 2**29),
    "no embeddings": alter(CLOUD, "embeddings", lambda t: t[:0]),
    "one more object than embeddings": one_more_object,
    "fates of ids a list": edit("snapshot", "merged_into", value=[1]),
    "vanished no numbers": edit("snapshot", "vanished", value=["a"]),
    "box not a number": edit("snapshot", "objects", 0, "T_world_box", value=[[NAN] * 4] * 4),
    "label no text": edit("snapshot", "objects", 0, "label", value=3),
    "names of masks a list": edit("keyframes", 0, "masks", "names", value=[1]),
    "score no number": edit("keyframes", 0, "masks", "scores", value={"1": "high"}),
    "sleeping a list": edit("paging", "sleeping", value=[1]),
    "sleeping for a tile that is not there": edit("paging", "sleeping", value={"0": [3]}),
    "a tile that is not there": edit("paging", "tiles", value=[{"number": 0}]),
    "no generator state": edit("rng", value=[]),
    "labels of objects missing": edit("labels", value=["one"]),
    "camera without focal length": edit("keyframes", 0, "K", value=[[0, 0, 0]] * 3),
    "pose not a number": edit("keyframes", 0, "T_world_camera", value=[[NAN] * 4] * 4),
    "pose not rigid": edit("keyframes", 0, "T_world_camera", value=[[2.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]),
    "image size enormous": edit("keyframes", 0, "size", value=[100000, 100000]),
    "keyframe number twice": edit("keyframes", 0, "uid", value=1),
    "keyframe number a fraction": edit("keyframes", 0, "uid", value=0.5),
    "next keyframe too low": edit("next_keyframe", value=0),
    "keyframe of no loss": edit("keyframes", 0, "loss", value=NAN),
    "deeply nested": lambda d: (d / MANIFEST).write_text("[" * 100000),
    "no manifest": lambda d: (d / MANIFEST).unlink(),
    "manifest truncated": lambda d: truncate(d / MANIFEST),
    "manifest of something else": lambda d: (d / MANIFEST).write_text('{"format": "cake"}'),
    "manifest is a list": lambda d: (d / MANIFEST).write_text("[]"),
    "newer schema": lambda d: rewrite(d / MANIFEST, schema=99),
    "unknown parameter": lambda d: rewrite(d / MANIFEST, config={"scaffold": {"wings": 2}}),
    "no keyframe list": lambda d: rewrite(d / MANIFEST, keyframes=None),
    "no step": lambda d: rewrite(d / MANIFEST, step=None),
    "no configuration": lambda d: rewrite(d / MANIFEST, config=None),
    "model truncated": lambda d: truncate(d / MODEL),
    "model missing": lambda d: (d / MODEL).unlink(),
    "model of another kind": lambda d: (d / KEYFRAMES).replace(d / MODEL),
    "pictures truncated": lambda d: truncate(d / KEYFRAMES),
    "pictures missing": lambda d: (d / KEYFRAMES).unlink(),
    "cloud truncated": lambda d: truncate(d / CLOUD),
    "cloud missing": lambda d: (d / CLOUD).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_map_is_refused_by_name_and_the_running_map_untouched(
    mapper: Mapper, saved: Path, damage: str
) -> None:
    DAMAGE[damage](saved)
    running = Mapper(mapper.config)
    for frame in orbit(2):
        running.add_frame(frame)
    running.train_step()
    before = running.state
    state = {name: tensor.clone() for name, tensor in running.scaffold.anchors.state().items()}
    with pytest.raises(StorageError) as caught:
        load_map(running, saved)
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert running.state is before
    for name, tensor in running.scaffold.anchors.state().items():
        assert torch.equal(tensor, state[name])
    assert len(running.keyframes) == 2
    assert running.train_step() is not None


def test_a_map_of_another_versions_parameters_is_said_to_be_that(mapper: Mapper, saved: Path) -> None:
    config = json.loads((saved / MANIFEST).read_text())["config"]
    config["scaffold"]["start"] = "measured"  # a parameter that is gone
    rewrite(saved / MANIFEST, config=config)
    for read in (read_snapshot, lambda directory: load_map(Mapper(mapper.config), directory)):
        with pytest.raises(
            StorageError, match=r"not of this version \(unknown parameter 'scaffold.start'.*map the rec"
        ):
            read(saved)
