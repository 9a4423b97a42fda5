"""Maps on disk: one directory of safetensors and JSON, written beside and renamed into place, read without pickle."""

from __future__ import annotations

import ctypes
import dataclasses
import glob
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ig_ros.config import Config, to_dict
from ig_ros.errors import IgError, StorageError
from ig_ros.mapper import Mapper
from ig_ros.scaffold import Keyframe
from ig_ros.types import Camera, Instances, MapSnapshot, Masks, ObjectInstance

SCHEMA = 3
READABLE = (2, SCHEMA)  # 2 knows no optimiser state and no history of ids
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's renameat2
MANIFEST, MODEL, KEYFRAMES, CLOUD = "map.json", "model.safetensors", "keyframes.safetensors", "cloud.safetensors"
TILES = "tiles"  # folder of what was paged out, where anything was
FIELDS = {"config": dict, "step": int, "keyframes": list, "next_keyframe": int}  # what every manifest has


def save_map(mapper: Mapper, directory: Path) -> Path:
    """Write everything a mapper needs to go on, and its latest objects, to `directory`; an old map there is replaced.

    The directory appears whole or not at all. Raises StorageError.
    """
    target = Path(directory)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        recover(target)
        if target.exists() and not (target / MANIFEST).exists() and any(target.iterdir()):
            raise StorageError(f"{target} exists and is not a map: choose another directory")
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.{os.getpid()}.", dir=target.parent))
        try:
            _write(mapper, scratch)
            _swap(scratch, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"cannot write map to {target}: {error.strerror or error}") from error
    return target


def recover(target: Path) -> None:
    """Put right what a process left that was killed while it saved: its scratch goes, an older map comes back.

    Raises OSError.
    """
    saving = False
    for scratch in target.parent.glob(f".{glob.escape(target.name)}.*.*"):
        owner = scratch.name.removeprefix(f".{target.name}.").split(".")[0]
        if owner.isdigit() and psutil.pid_exists(int(owner)):
            saving = saving or int(owner) != os.getpid()
        elif owner.isdigit():
            shutil.rmtree(scratch, ignore_errors=True)
    if not saving and not target.exists() and (_old(target) / MANIFEST).exists():
        os.rename(_old(target), target)  # killed between the two renames


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _swap(scratch: Path, target: Path) -> None:
    """Put scratch in target's place, at one blow: whoever is killed leaves the old map or the new one there."""
    if not target.exists():
        os.rename(scratch, target)
    elif _exchange(scratch, target):
        shutil.rmtree(scratch)
    else:  # a file system that cannot exchange: the old map steps aside, where `recover` finds it
        old = _old(target)
        shutil.rmtree(old, ignore_errors=True)
        os.rename(target, old)
        os.rename(scratch, target)
        shutil.rmtree(old)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two directories by Linux's renameat2; False where the kernel or the file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    done: int = rename(AT_FDCWD, os.fsencode(a.absolute()), AT_FDCWD, os.fsencode(b.absolute()), RENAME_EXCHANGE)
    return done == 0


def _write(mapper: Mapper, directory: Path) -> None:
    known = mapper.known()  # at once: an instantiation may end while the files are written
    model = mapper.scaffold.anchors.state()
    model |= {f"decoder.{n}": p for n, p in mapper.scaffold.decoder.state_dict().items()}
    model |= _optimizer_state(mapper)
    for prefix, arrays in (("lives", known.lives), ("identity", known.identity), ("away", known.away)):
        model |= {f"{prefix}.{n}": torch.from_numpy(a) for n, a in arrays.items()}
    save_file({n: t.detach().cpu().contiguous() for n, t in model.items()}, directory / MODEL)
    images: dict[str, torch.Tensor] = {}
    for k in mapper.keyframes.items:
        images[f"{k.uid}.rgb"] = k.rgb
        images |= {f"{k.uid}.{n}": t for n, t in (("depth", k.depth), ("labels", k.labels)) if t is not None}
    save_file({n: t.contiguous() for n, t in images.items()}, directory / KEYFRAMES)
    manifest: dict[str, Any] = {
        "format": "ig_ros map",
        "schema": SCHEMA,
        "step": mapper.trainer.step,
        "rng": mapper.trainer.rng.bit_generator.state,
        "config": to_dict(mapper.config),
        "keyframes": [_keyframe_entry(k) for k in mapper.keyframes.items],
        "lives": known.labels,
        "next_keyframe": mapper.keyframes.next_uid,
        "paging": mapper.pager.save(directory / TILES),
        "snapshot": _snapshot_entry(known.latest),
    }
    if known.latest is not None:
        save_file(_snapshot_arrays(known.latest), directory / CLOUD)
    (directory / MANIFEST).write_text(json.dumps(manifest))


def _arrays(model: dict[str, torch.Tensor], prefix: str) -> dict[str, Any]:
    """The tensors under a prefix, without it, as arrays."""
    return {n.removeprefix(prefix): t.numpy() for n, t in model.items() if n.startswith(prefix)}


def _optimizer_state(mapper: Mapper) -> dict[str, torch.Tensor]:
    """Adam's state of the shared MLPs (that of the anchors is theirs) and the generator of what is planted next."""
    state = mapper.trainer.optimizer.state_dict()["state"]
    out = {f"optimizer.{i}.{n}": torch.as_tensor(v) for i, entry in state.items() for n, v in entry.items()}
    return out | {"generator": mapper.scaffold.generator.get_state()}


def _resume_optimizer(mapper: Mapper, model: dict[str, torch.Tensor]) -> None:
    """The inverse of _optimizer_state; a map of schema 2 has none of it and starts with moments of zero."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in model.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".")
            state.setdefault(int(number), {})[key] = value
    if state:
        groups = mapper.trainer.optimizer.state_dict()["param_groups"]
        mapper.trainer.optimizer.load_state_dict({"state": state, "param_groups": groups})
    if "generator" in model:
        mapper.scaffold.generator.set_state(model["generator"])


def read_snapshot(directory: Path) -> tuple[MapSnapshot | None, Config]:
    """Only the objects of a saved map and the configuration it was made with. Raises StorageError."""
    manifest = _manifest(Path(directory))
    return _read_snapshot(Path(directory), manifest), Config.from_dict(manifest["config"])


def load_map(mapper: Mapper, directory: Path) -> None:
    """Replace a mapper's state by a saved one; the mapper is untouched unless everything could be read.

    Raises StorageError for a directory that is not a map, is damaged, newer, or made with another representation.
    """
    directory = Path(directory)
    manifest = _manifest(directory)
    if manifest["config"].get("scaffold") != to_dict(mapper.config.scaffold):
        raise StorageError(
            f"{directory} was made with other scaffold parameters: start with the config it was saved with"
        )
    try:
        model, images = load_file(directory / MODEL), load_file(directory / KEYFRAMES)
        keyframes = [_read_keyframe(entry, images) for entry in manifest["keyframes"]]
        snapshot = _read_snapshot(directory, manifest)
        identity, lives = _arrays(model, "identity."), _arrays(model, "lives.")
        decoder = {n.removeprefix("decoder."): t for n, t in model.items() if n.startswith("decoder.")}
        fresh = Mapper(mapper.config, mapper.segmenter, mapper.encoder)
        fresh.scaffold.anchors.load_state(model)
        fresh.scaffold.decoder.load_state_dict(decoder)
        fresh.identity.load_state(identity)
        if lives:
            fresh.lives.load_state(lives, manifest["lives"])
        fresh.keyframes.items = keyframes
        if "paging" in manifest:
            fresh.pager.load(directory / TILES, manifest["paging"])
            fresh.away.load_state(_arrays(model, "away."), snapshot)
        _resume_optimizer(fresh, model)
        if "rng" in manifest:
            fresh.trainer.rng.bit_generator.state = manifest["rng"]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError, IgError) as error:
        raise StorageError(
            f"map {directory} is damaged ({type(error).__name__}: {error}): nothing was loaded"
        ) from error
    fresh.keyframes.next_uid = manifest["next_keyframe"]
    fresh.trainer.step = manifest["step"]
    mapper.adopt(fresh, snapshot)


def _manifest(directory: Path) -> dict[str, Any]:
    try:
        recover(directory)
        manifest = json.loads((directory / MANIFEST).read_text())
    except FileNotFoundError as error:
        raise StorageError(f"{directory} is not a map: it has no {MANIFEST}") from error
    except (OSError, ValueError) as error:
        raise StorageError(f"{directory / MANIFEST} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != "ig_ros map":
        raise StorageError(f"{directory} is not a map: {MANIFEST} says something else")
    if manifest.get("schema") not in READABLE:
        raise StorageError(
            f"{directory} has map schema {manifest.get('schema')}, this version reads "
            f"{' and '.join(map(str, READABLE))}: load it with the version of ig_ros that wrote it"
        )
    wrong = [name for name, kind in FIELDS.items() if not isinstance(manifest.get(name), kind)]
    if wrong:
        raise StorageError(f"map {directory} is damaged ({MANIFEST} lacks {', '.join(wrong)}): nothing was loaded")
    return manifest


def _keyframe_entry(k: Keyframe) -> dict[str, Any]:
    masks = None
    if k.masks is not None:
        masks = {
            "names": {str(i): n for i, n in k.masks.names.items()},
            "scores": {str(i): float(s) for i, s in k.masks.scores.items()},
            "embeddings": {str(i): np.asarray(e).tolist() for i, e in k.masks.embeddings.items()},
        }
    return {
        "uid": k.uid,
        "stamp": k.stamp,
        "index": k.index,
        "K": k.camera.K.tolist(),
        "size": [k.camera.width, k.camera.height],
        "T_world_camera": k.T_world_camera.tolist(),
        "estimated": k.estimated,
        "loss": k.loss,
        "uses": k.uses,
        "last_used": k.last_used,
        "masks": masks,
    }


def _read_keyframe(entry: dict[str, Any], images: dict[str, torch.Tensor]) -> Keyframe:
    uid = entry["uid"]
    labels, masks = images.get(f"{uid}.labels"), None
    if entry["masks"] is not None and labels is not None:
        m = entry["masks"]
        embeddings = {int(i): np.array(e, np.float32) for i, e in m["embeddings"].items()}
        names, scores = ({int(i): v for i, v in m[n].items()} for n in ("names", "scores"))
        masks = Masks(labels.numpy(), names, scores, embeddings)
    camera = Camera(np.array(entry["K"]), *entry["size"])
    return Keyframe(
        uid, entry["stamp"], entry["index"], camera, np.array(entry["T_world_camera"]),
        images[f"{uid}.rgb"], images.get(f"{uid}.depth"), entry["estimated"], labels, masks,
        entry["loss"], entry["uses"], entry["last_used"],
    )  # fmt: skip


def _snapshot_entry(snapshot: MapSnapshot | None) -> dict[str, Any] | None:
    if snapshot is None:
        return None
    objects = [dataclasses.asdict(o) for o in snapshot.instances.objects]
    for entry in objects:
        entry["T_world_box"], entry["size"] = entry["T_world_box"].tolist(), entry["size"].tolist()
    return {
        "version": snapshot.version,
        "step": snapshot.step,
        "stamp": snapshot.stamp,
        "encoder": snapshot.instances.encoder,
        "threshold": snapshot.instances.threshold,
        "T_world_view": None if snapshot.T_world_view is None else snapshot.T_world_view.tolist(),
        "objects": objects,
        "merged_into": {str(a): b for a, b in snapshot.instances.merged_into.items()},
        "vanished": list(snapshot.instances.vanished),
    }


def _snapshot_arrays(snapshot: MapSnapshot) -> dict[str, torch.Tensor]:
    i = snapshot.instances
    arrays = {
        "xyz": snapshot.xyz,
        "rgb": snapshot.rgb,
        "opacity": snapshot.opacity,
        "point_ids": i.point_ids,
        "point_confidence": i.point_confidence,
        "embeddings": i.embeddings,
    }
    return {n: torch.from_numpy(np.ascontiguousarray(a)) for n, a in arrays.items()}


def _read_snapshot(directory: Path, manifest: dict[str, Any]) -> MapSnapshot | None:
    entry = manifest["snapshot"]
    if entry is None:
        return None
    try:
        a = {n: t.numpy() for n, t in load_file(directory / CLOUD).items()}
        objects = tuple(
            ObjectInstance(**{**o, "T_world_box": np.array(o["T_world_box"]), "size": np.array(o["size"])})
            for o in entry["objects"]
        )
        instances = Instances(
            a["point_ids"], a["point_confidence"], objects, a["embeddings"], entry["encoder"],
            float(entry.get("threshold", 0.0)),
            {int(a): b for a, b in entry.get("merged_into", {}).items()}, tuple(entry.get("vanished", ())),
        )  # fmt: skip
        view = entry.get("T_world_view")
        return MapSnapshot(
            entry["version"], entry["step"], entry["stamp"], a["xyz"], a["rgb"], a["opacity"], instances,
            None if view is None else np.array(view),
        )  # fmt: skip
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise StorageError(f"{directory / CLOUD} is damaged ({error}): nothing was loaded") from error
