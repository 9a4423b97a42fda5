"""Whether what was read from a saved map can be one: names, types, sizes, ranges, finite numbers.

A file may be cut off, written by another program or made to harm; whatever is let in here is trained on, indexed with
and sized by. Every function raises StorageError with one line.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ig_ros.geometry import is_rigid
from ig_ros.scaffold.keyframes import MASK_ID_LIMIT, Keyframe
from ig_ros.types import Array, FloatArray, MapSnapshot
from ig_ros.validation import demand, demand_like, demand_range, demand_table

IDS = 1 << 24  # of objects: tables are made as long as the highest one
GAIN = 10.0  # natural logarithm of an image's gain: far more than any exposure
STAMPS = 1 << 63
ORTHOGONAL = 0.05  # largest error of the product of a rotation and its transpose


def inspect_keyframes(keyframes: list[Keyframe], next_uid: int) -> None:
    """Growing uids below `next_uid`, images of the camera's size, masks that fit a table."""
    uids = [k.uid for k in keyframes]
    demand(all(isinstance(uid, int) for uid in uids), "a keyframe's uid is not an integer")
    demand(uids == sorted(set(uids)), "the keyframes' uids do not grow")
    demand(not uids or (uids[0] >= 0 and uids[-1] < next_uid), f"a keyframe's uid is not in [0, {next_uid})")
    for keyframe in keyframes:
        _inspect_keyframe(keyframe, f"keyframe {keyframe.uid}")


def _inspect_keyframe(keyframe: Keyframe, name: str) -> None:
    camera = keyframe.camera
    for part in ("stamp", "index", "uses", "last_used"):
        demand(isinstance(getattr(keyframe, part), int), f"{part} of {name} is not an integer")
    demand(isinstance(keyframe.source, str), f"source of {name} is not a text")
    demand(abs(keyframe.stamp) < STAMPS, f"stamp of {name} is no time in nanoseconds")
    demand(isinstance(keyframe.loss, float) and math.isfinite(keyframe.loss), f"loss of {name} is not a number")
    demand(isinstance(camera.width, int) and isinstance(camera.height, int), f"image size of {name} is not integers")
    size = (camera.height, camera.width)
    demand_table(f"image of {name}", keyframe.rgb, "uint8", *size, 3)
    if keyframe.depth is not None:
        demand_table(f"depth of {name}", keyframe.depth, "float16", *size)
        demand(keyframe.depth.min() >= 0, f"depth of {name} is negative")
    if keyframe.labels is not None:
        demand_table(f"labels of {name}", keyframe.labels, "int32", *size)
        demand_range(f"labels of {name}", keyframe.labels, 0, MASK_ID_LIMIT)
    if keyframe.ignored is not None:
        demand_table(f"ignored pixels of {name}", keyframe.ignored, "bool", *size)
    gain = keyframe.log_gain
    demand(gain.shape == (3,) and bool((np.abs(gain) < GAIN).all()), f"exposure of {name} is not three small numbers")
    demand_pose(f"pose of {name}", keyframe.T_world_camera)
    if keyframe.masks is not None:
        _inspect_masks(keyframe, name)


def _inspect_masks(keyframe: Keyframe, name: str) -> None:
    assert keyframe.masks is not None
    demand(all(isinstance(n, str) for n in keyframe.masks.names.values()), f"a mask's name of {name} is no text")
    scores = keyframe.masks.scores.values()
    demand(
        all(isinstance(s, int | float) and math.isfinite(s) for s in scores), f"a mask's score of {name} is no number"
    )
    for embedding in keyframe.masks.embeddings.values():
        demand_table(f"a mask's embedding of {name}", embedding, "float32", None)


def demand_pose(name: str, T: FloatArray) -> None:
    """A rigid transform (4, 4), up to what corrections upon corrections may have done to its rotation."""
    demand(is_rigid(T, ORTHOGONAL), f"{name} is not a rigid 4x4 transform")


def inspect_networks(
    decoder: dict[str, torch.Tensor], pattern: dict[str, torch.Tensor], optimizer: dict[str, torch.Tensor],
    trained: list[torch.Tensor],
) -> None:  # fmt: skip
    """Weights as in `pattern`; of each tensor in `trained`, by number, Adam's `step` and two moments of its shape."""
    demand(decoder.keys() == pattern.keys(), "the decoder has other weights than this version's")
    for name, table in decoder.items():
        demand_like(f"decoder.{name}", table, pattern[name])
    for name, table in optimizer.items():
        number, _, part = name.partition(".")
        demand(
            number.isdecimal() and int(number) < len(trained) and part in ("step", "exp_avg", "exp_avg_sq"),
            f"optimizer.{name} is no part of Adam's state",
        )
        demand_like(f"optimizer.{name}", table, torch.zeros(()) if part == "step" else trained[int(number)])
    demand(len(optimizer) % 3 == 0, "parts of Adam's state are missing")


def inspect_ids(tracked: dict[str, Array], labels: list[Any]) -> None:
    """Checks what `ObjectTracker.state` has written: integers of equal length, ids below the next one."""
    demand_table("ids.next", tracked["ids.next"], "int64", 1)
    demand_range("ids.next", tracked["ids.next"], 1, IDS)
    number = int(tracked["ids.next"][0])
    for uid, owner in (("ids.uid", "ids.id"), ("ids.dormant_uid", "ids.dormant_id"), ("on_disk.uid", "on_disk.id")):
        demand_table(uid, tracked[uid], "int64", None)
        demand_table(owner, tracked[owner], "int64", len(tracked[uid]))
        demand_range(owner, tracked[owner], 1, number)
    for name in ("ids.merged", "ids.split"):
        demand_table(name, tracked[name], "int64", None, 2)
        demand_range(name, tracked[name], 1, number)
    count = len(tracked["histories.id"])
    columns = (("id", "int64"), ("stamps", "int64", 2), ("color", "float64", 3), ("size", "float64", 3))
    for column, kind, *width in columns:
        demand_table(f"histories.{column}", tracked[f"histories.{column}"], kind, count, *width)
    demand_range("histories.id", tracked["histories.id"], 1, number)
    demand_table("histories.embedding", tracked["histories.embedding"], "float32", count, None)
    demand(
        len(labels) == count and all(isinstance(label, str) for label in labels), f"the objects have not {count} labels"
    )


def inspect_snapshot(snapshot: MapSnapshot) -> None:
    """A cloud of equal lengths whose points bear ids of objects that are there."""
    found, n = snapshot.instances, len(snapshot.xyz)
    for part in ("version", "step", "stamp"):
        demand(isinstance(getattr(snapshot, part), int), f"{part} of the objects is not an integer")
    demand_table("xyz", snapshot.xyz, "float64", n, 3)
    demand_table("rgb", snapshot.rgb, "uint8", n, 3)
    demand_table("opacity", snapshot.opacity, "float32", n)
    demand_table("point_ids", found.point_ids, "int32", n)
    demand_table("point_confidence", found.point_confidence, "float32", n)
    demand_table("embeddings", found.embeddings, "float32", len(found.objects), None)
    for thing in found.objects:
        demand(isinstance(thing.id, int) and 1 <= thing.id < IDS, "an object's id is no number of one")
        demand(isinstance(thing.label, str), f"the label of object {thing.id} is no text")
        numbers = (
            thing.confidence,
            thing.views,
            thing.points,
            thing.born,
            thing.last_seen,
            thing.split_from,
            thing.certainty,
        )
        demand(
            all(isinstance(x, int | float) and math.isfinite(x) for x in numbers), f"object {thing.id} lacks numbers"
        )
        demand_table(f"size of object {thing.id}", thing.size, "float64", 3)
        demand_pose(f"box of object {thing.id}", thing.T_world_box)
    ids = np.array([-1, *(o.id for o in found.objects)])
    demand(len(set(ids.tolist())) == len(ids), "two objects have the same id")
    demand(np.isin(found.point_ids, ids).all(), "points belong to an object that is not there")
    demand(isinstance(found.encoder, str) and math.isfinite(found.threshold), "the encoder of the objects is not named")
    demand(all(isinstance(i, int) for i in (*found.merged_into.values(), *found.vanished)), "an id's fate is no number")
    if snapshot.T_world_view is not None:
        demand_pose("the view of the objects", snapshot.T_world_view)
