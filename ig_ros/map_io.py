"""Maps on disk: one directory of safetensors and JSON, written beside and renamed into place, read without pickle."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ig_ros.atomic_write import atomic_directory, recover
from ig_ros.config import Config, to_dict
from ig_ros.errors import ConfigError, IgError, StorageError, one_line
from ig_ros.map_validation import inspect_ids, inspect_keyframes, inspect_networks, inspect_snapshot
from ig_ros.mapper import Mapper, MapState
from ig_ros.raster import device_name
from ig_ros.scaffold import Keyframe
from ig_ros.types import Camera, Instances, MapSnapshot, Masks, ObjectInstance
from ig_ros.validation import demand, demand_range, demand_table

SCHEMA = 6  # of the files; a map of another one is refused
MANIFEST, MODEL, KEYFRAMES, CLOUD = "map.json", "model.safetensors", "keyframes.safetensors", "cloud.safetensors"
TILES = "tiles"  # folder of what was paged out, where anything was
FIELDS = {
    "config": dict, "step": int, "rng": dict, "keyframes": list, "next_keyframe": int, "labels": list, "paging": dict,
}  # fmt: skip  # what every manifest has
OF_KEYFRAME = (
    "uid",
    "stamp",
    "index",
    "T_world_camera",
    "estimated",
    "loss",
    "uses",
    "last_used",
    "source",
    "log_gain",
)
OF_MASKS = ("names", "scores", "embeddings", "encoder")
OF_SNAPSHOT, OF_INSTANCES = ("version", "step", "stamp"), ("encoder", "threshold", "merged_into", "vanished")
CLOUD_OF_SNAPSHOT, CLOUD_OF_INSTANCES = ("xyz", "rgb", "opacity"), ("point_ids", "point_confidence", "embeddings")


def save_map(mapper: Mapper, directory: Path) -> Path:
    """Write everything a mapper needs to go on, and its latest objects, to `directory`; an old map there is replaced.

    The directory appears whole or not at all. Raises StorageError.
    """
    target = Path(directory)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _demand_place(target)
        with atomic_directory(target, MANIFEST) as scratch:
            _write(mapper, scratch)
    except OSError as error:
        raise StorageError(f"cannot write map to {target}: {error.strerror or error}") from error
    except SafetensorError as error:  # how safetensors says that the disk is full
        raise StorageError(f"cannot write map to {target}: {error}") from error
    return target


def _demand_place(target: Path) -> None:
    """Raises StorageError where a map would be in the way of something else, or something else in its own."""
    if target.name.startswith("."):
        raise StorageError(
            f"'{target.name}' cannot be a map's name: those that begin with a dot are for unfinished maps"
        )
    for parent in target.absolute().parents:
        if (parent / MANIFEST).exists():
            raise StorageError(f"{target} lies inside the map {parent}, which replaces all its files when it is saved")
    recover(target, MANIFEST)
    if target.exists() and not (target / MANIFEST).exists() and any(target.iterdir()):
        raise StorageError(f"{target} exists and is not a map: choose another directory")


def _write(mapper: Mapper, directory: Path) -> None:
    tracker, labels, latest = mapper.objects()  # at once: an instantiation may end while the files are written
    model = mapper.scaffold.anchors.state()
    model |= {f"decoder.{n}": p for n, p in mapper.scaffold.decoder.state_dict().items()}
    model |= _optimizer_state(mapper)
    model |= {f"tracker.{n}": torch.from_numpy(a) for n, a in tracker.items()}
    for name, table in model.items():  # else the last map that can be loaded would give way to one that cannot
        demand(torch.isfinite(table).all(), f"{name} is not finite: the map is not saved, reset or load another one")
    save_file({n: t.detach().cpu().contiguous() for n, t in model.items()}, directory / MODEL)
    images: dict[str, torch.Tensor] = {}
    for k in mapper.keyframes.items:
        images[f"{k.uid}.rgb"] = k.rgb
        images |= {f"{k.uid}.{n}": t for n, t in _optional(k) if t is not None}
    save_file({n: t.contiguous() for n, t in images.items()}, directory / KEYFRAMES)
    manifest: dict[str, Any] = {
        "format": "ig_ros map",
        "schema": SCHEMA,
        "device": device_name(mapper.device),
        "step": mapper.trainer.step,
        "rng": mapper.trainer.rng.bit_generator.state,
        "config": to_dict(mapper.config),
        "keyframes": [_keyframe_entry(k) for k in mapper.keyframes.items],
        "labels": labels,
        "next_keyframe": mapper.keyframes.next_uid,
        "paging": mapper.state.pager.save(directory / TILES),
        "snapshot": _snapshot_entry(latest),
    }
    if latest is not None:
        save_file(_snapshot_arrays(latest), directory / CLOUD)
    (directory / MANIFEST).write_text(json.dumps(manifest, default=lambda array: array.tolist()))


def _optional(k: Keyframe) -> tuple[tuple[str, torch.Tensor | None], ...]:
    return ("depth", k.depth), ("labels", k.labels), ("ignored", k.ignored)


def _optimizer_state(mapper: Mapper) -> dict[str, torch.Tensor]:
    """Adam's state of the shared MLPs (that of the anchors is theirs) and the generator of what is planted next."""
    state = mapper.trainer.optimizer.state_dict()["state"]
    out = {f"optimizer.{i}.{n}": torch.as_tensor(v) for i, entry in state.items() for n, v in entry.items()}
    return out | {"generator": mapper.scaffold.generator.get_state()}


def _resume_optimizer(state: MapState, model: dict[str, torch.Tensor]) -> None:
    """Restores what _optimizer_state returned."""
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in model.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".")
            moments.setdefault(int(number), {})[key] = value
    groups = state.trainer.optimizer.state_dict()["param_groups"]
    state.trainer.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    state.scaffold.generator.set_state(model["generator"])


def read_snapshot(directory: Path) -> tuple[MapSnapshot | None, Config]:
    """Only the objects of a saved map and the configuration it was made with. Raises StorageError."""
    directory = Path(directory)
    manifest = _manifest(directory)
    config = _config(directory, manifest)
    with _refusing(directory):
        return _read_snapshot(directory, manifest), config


def trained_on(directory: Path) -> str:
    """Returns the device that a saved map was trained on last. Raises StorageError."""
    return str(_manifest(directory).get("device", "not recorded"))


def is_map(directory: Path) -> bool:
    """Whether a map is there, or one that a process has put aside that was killed while it saved."""
    try:
        recover(directory, MANIFEST)
    except OSError:
        return False
    return (directory / MANIFEST).is_file()


def load_map(mapper: Mapper, directory: Path) -> None:
    """Replace a mapper's state by a saved one; untouched unless everything could be read. Raises as `read_map`."""
    mapper.adopt(read_map(mapper, directory))


def read_map(mapper: Mapper, directory: Path) -> MapState:
    """Returns a saved map for `adopt`.

    Raises StorageError for a directory that is not a map, is damaged, newer, or made with another representation.
    """
    directory = Path(directory)
    manifest = _manifest(directory)
    if _config(directory, manifest).scaffold != mapper.config.scaffold:
        raise StorageError(
            f"{directory} was made with other scaffold parameters: start with the config it was saved with"
        )
    with _refusing(directory):
        state = MapState.empty(mapper.config, mapper.device, first_id=1)
        state.latest = _read_snapshot(directory, manifest)
        _read(state, directory, manifest)
    return state


def _config(directory: Path, manifest: dict[str, Any]) -> Config:
    """Returns the configuration a map was made with; StorageError where this version has not all its parameters."""
    try:
        return Config.from_dict(manifest["config"])
    except ConfigError as error:
        raise StorageError(
            f"the configuration that map {directory} was made with is not of this version ({one_line(error)}): load it "
            "with the version of ig_ros that wrote it, or map the recording again"
        ) from error


@contextmanager
def _refusing(directory: Path) -> Iterator[None]:
    """Whatever a damaged or foreign map makes fail, it is one StorageError of one line."""
    try:
        yield
    except Exception as error:  # the border: files hold anything
        kind = "" if isinstance(error, IgError) else f"{type(error).__name__}: "
        raise StorageError(f"map {directory} is damaged ({kind}{one_line(error)}): nothing was loaded") from error


def _read(state: MapState, directory: Path, manifest: dict[str, Any]) -> None:
    """Fills a new map with all but its objects; what is read is inspected before it is used."""
    model, images = load_file(directory / MODEL), load_file(directory / KEYFRAMES)
    tracked = {n.removeprefix("tracker."): t.numpy() for n, t in model.items() if n.startswith("tracker.")}
    inspect_ids(tracked, manifest["labels"])
    keyframes = [_read_keyframe(entry, images) for entry in manifest["keyframes"]]
    inspect_keyframes(keyframes, manifest["next_keyframe"])
    state.keyframes.items, state.keyframes.next_uid = keyframes, manifest["next_keyframe"]
    anchors, decoder, trainer = state.scaffold.anchors, state.scaffold.decoder, state.trainer
    anchors.demand_rows(model)
    demand_table("next_uid", model["next_uid"], "int64", 1)
    demand_table("origin", model["origin"], "float64", 3)
    demand_range("data.uid", model["data.uid"], 0, int(model["next_uid"][0]))
    weights = {n.removeprefix("decoder."): t for n, t in model.items() if n.startswith("decoder.")}
    moments = {n.removeprefix("optimizer."): t for n, t in model.items() if n.startswith("optimizer.")}
    trained = [p for group in trainer.optimizer.param_groups for p in group["params"]]
    inspect_networks(weights, decoder.state_dict(), moments, trained)
    anchors.load_state(model)
    decoder.load_state_dict(weights)
    _resume_optimizer(state, model)
    state.pager.load(directory / TILES, manifest["paging"])
    state.tracker.load_state(tracked, manifest["labels"], state.latest)
    state.keyframes.trim()
    trainer.rng.bit_generator.state = manifest["rng"]
    trainer.step = manifest["step"]


def _manifest(directory: Path) -> dict[str, Any]:
    try:
        recover(directory, MANIFEST)
        manifest = json.loads((directory / MANIFEST).read_text())
    except FileNotFoundError as error:
        raise StorageError(f"{directory} is not a map: it has no {MANIFEST}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{directory / MANIFEST} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != "ig_ros map":
        raise StorageError(f"{directory} is not a map: {MANIFEST} says something else")
    if manifest.get("schema") != SCHEMA:
        raise StorageError(
            f"{directory} has map schema {manifest.get('schema')}, this version reads {SCHEMA}: load it with the "
            "version of ig_ros that wrote it, or map the recording again"
        )
    wrong = [name for name, kind in FIELDS.items() if not isinstance(manifest.get(name), kind)]
    if wrong:
        raise StorageError(f"map {directory} is damaged ({MANIFEST} lacks {', '.join(wrong)}): nothing was loaded")
    return manifest


def _pick(thing: Any, names: Sequence[str]) -> dict[str, Any]:
    """Returns some attributes by name, mappings as plain dictionaries."""
    values = {name: getattr(thing, name) for name in names}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}


def _keyframe_entry(k: Keyframe) -> dict[str, Any]:
    masks = None if k.masks is None else _pick(k.masks, OF_MASKS)
    size = [k.camera.width, k.camera.height]
    return _pick(k, OF_KEYFRAME) | {"K": k.camera.K, "size": size, "masks": masks}


def _read_keyframe(entry: dict[str, Any], images: dict[str, torch.Tensor]) -> Keyframe:
    uid = entry["uid"]
    labels, masks = images.get(f"{uid}.labels"), None
    if entry["masks"] is not None and labels is not None:
        m = entry["masks"]
        embeddings = {int(i): np.array(e, np.float32) for i, e in m["embeddings"].items()}
        names, scores = ({int(i): v for i, v in m[n].items()} for n in ("names", "scores"))
        masks = Masks(labels.numpy(), names, scores, embeddings, m["encoder"])
    camera = Camera(np.array(entry["K"], float), *entry["size"])
    own = {name: entry[name] for name in OF_KEYFRAME} | {
        "T_world_camera": np.array(entry["T_world_camera"], float), "log_gain": np.array(entry["log_gain"], float),
    }  # fmt: skip
    rgb, depth, ignored = images[f"{uid}.rgb"], images.get(f"{uid}.depth"), images.get(f"{uid}.ignored")
    return Keyframe(**own, camera=camera, rgb=rgb, depth=depth, labels=labels, masks=masks, ignored=ignored)


def _snapshot_entry(snapshot: MapSnapshot | None) -> dict[str, Any] | None:
    if snapshot is None:
        return None
    objects = [dataclasses.asdict(o) for o in snapshot.instances.objects]
    own = _pick(snapshot, OF_SNAPSHOT) | _pick(snapshot.instances, OF_INSTANCES)
    return own | {"T_world_view": snapshot.T_world_view, "objects": objects}


def _snapshot_arrays(snapshot: MapSnapshot) -> dict[str, torch.Tensor]:
    arrays = _pick(snapshot, CLOUD_OF_SNAPSHOT) | _pick(snapshot.instances, CLOUD_OF_INSTANCES)
    return {n: torch.from_numpy(np.ascontiguousarray(a)) for n, a in arrays.items()}


def _read_snapshot(directory: Path, manifest: dict[str, Any]) -> MapSnapshot | None:
    """Inspected; raises whatever a damaged map makes fail."""
    entry = manifest["snapshot"]
    if entry is None:
        return None
    a = {n: t.numpy() for n, t in load_file(directory / CLOUD).items()}
    objects = tuple(
        ObjectInstance(**{**o, "T_world_box": np.array(o["T_world_box"], float), "size": np.array(o["size"], float)})
        for o in entry["objects"]
    )
    instances = Instances(
        a["point_ids"], a["point_confidence"], objects, a["embeddings"], entry["encoder"],
        float(entry["threshold"]), {int(a): b for a, b in entry["merged_into"].items()}, tuple(entry["vanished"]),
    )  # fmt: skip
    view = entry["T_world_view"]
    snapshot = MapSnapshot(
        entry["version"], entry["step"], entry["stamp"], a["xyz"], a["rgb"], a["opacity"], instances,
        None if view is None else np.array(view, float),
    )  # fmt: skip
    inspect_snapshot(snapshot)
    return snapshot
