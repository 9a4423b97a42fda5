"""The maps that are asked: one built from the truth, and the mapper's own."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from ig_ros.config import Config
from ig_ros.evaluation.label_transfer import transfer_ids
from ig_ros.geometry import back_project, transform
from ig_ros.language import LabelEncoder, learn_threshold
from ig_ros.mapper import Mapper
from ig_ros.simulation import SimulatedDataset
from ig_ros.types import FloatArray, Instances, IntArray, MapSnapshot, ObjectInstance

STRIDE = 6  # px between the pixels of a frame that the truth map takes


@dataclass(frozen=True, slots=True)
class Map:
    """A snapshot to ask, and what each of its objects is."""

    snapshot: MapSnapshot
    true_id: dict[int, int]  # object -> thing of the scene, 0 = none
    seconds: float


def truth_map(dataset: SimulatedDataset, encoder: LabelEncoder) -> Map:
    """Every thing as an object: what the cameras see of it, back-projected."""
    begin = time.perf_counter()
    xyz, rgb, ids = [], [], []
    for i in range(len(dataset)):
        frame, labels = dataset[i], dataset.truth.instance_image(i)
        assert frame.depth is not None
        rows, cols = np.mgrid[1 : labels.shape[0] : STRIDE, 1 : labels.shape[1] : STRIDE].reshape(2, -1)
        keep = (labels[rows, cols] > 0) & (frame.depth[rows, cols] > 0)
        rows, cols = rows[keep], cols[keep]
        xyz.append(transform(frame.T_world_camera, back_project(frame.depth, frame.camera, rows, cols)))
        rgb.append(frame.rgb[rows, cols])
        ids.append(labels[rows, cols].astype(np.int32))
    points, colors, owner = np.concatenate(xyz).astype(np.float32), np.concatenate(rgb), np.concatenate(ids)
    names = [thing.name for thing in dataset.scene.things]
    objects = tuple(boxed(int(i), names[i - 1], points[owner == i], len(dataset)) for i in np.unique(owner))
    embeddings = encoder.encode_labels([o.label for o in objects])
    threshold = learn_threshold(encoder, embeddings)
    ones = np.ones(len(points), np.float32)
    instances = Instances(owner, ones, objects, embeddings, encoder.name, threshold)
    snapshot = MapSnapshot(1, 0, 0, points, colors, ones, instances, dataset.scene.path[-1])
    return Map(snapshot, {o.id: o.id for o in objects}, time.perf_counter() - begin)


def boxed(number: int, name: str, points: FloatArray, views: int) -> ObjectInstance:
    """An object with a box along the world's axes."""
    low, high = np.percentile(points, [1, 99], axis=0)
    T = np.eye(4)
    T[:3, 3] = (low + high) / 2
    return ObjectInstance(number, name, 1.0, views, T, high - low, len(points))


def mapped(dataset: SimulatedDataset, encoder: LabelEncoder, steps: int) -> Map:
    """The mapper's own map after that many training steps."""
    begin = time.perf_counter()
    mapper = Mapper(Config.from_dict({"device": "cpu", "threads": torch.get_num_threads()}), None, encoder)
    for i in range(len(dataset)):
        mapper.add_frame(dataset[i])
        for _ in range(steps // len(dataset)):
            mapper.train_step()
    snapshot = mapper.instantiate()
    truth = dataset.truth
    ids = transfer_ids(snapshot.xyz, snapshot.instances.point_ids, truth.points)
    true_id = {o.id: most(truth.ids[ids == o.id]) for o in snapshot.instances.objects}
    return Map(snapshot, true_id, time.perf_counter() - begin)


def most(ids: IntArray) -> int:
    """The most frequent id that is no background."""
    ids = ids[ids > 0]
    return int(np.bincount(ids).argmax()) if len(ids) else 0
