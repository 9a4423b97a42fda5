"""Incremental fusion of back-projected masks, as ConceptGraphs (ICRA 2024) and DualMap do it.

Frame by frame every mask becomes a set of voxels and joins the object it overlaps most, helped by what the two are
called, or starts an object. Voxels belong to the object most frames give them to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from benchmarks.baselines.base import Material, Prediction
from benchmarks.baselines.cloud import DepthCloud, measured, summed
from ig_ros.instances.instantiation import drop_small
from ig_ros.scaffold import Keyframe
from ig_ros.types import FloatArray, IntArray

NONE = -1


@dataclass(slots=True)
class FusedObject:
    """What masks added up to one thing."""

    voxels: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))  # rows of the cloud, increasing
    votes: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))  # frames that gave each voxel to it
    names: dict[str, float] = field(default_factory=dict)  # frames that called it so
    embedding: FloatArray | None = None  # sum over its masks
    frames: int = 0

    def add(self, other: FusedObject) -> None:
        """Take over another's voxels, votes and words."""
        votes = np.concatenate([self.votes, other.votes])
        self.voxels, self.votes = summed(np.concatenate([self.voxels, other.voxels]), votes)
        for name, count in other.names.items():
            self.names[name] = self.names.get(name, 0.0) + count
        if other.embedding is not None:
            self.embedding = other.embedding if self.embedding is None else self.embedding + other.embedding
        self.frames += other.frames

    def likeness(self, other: FusedObject) -> float:
        """In [0, 1] how alike two things are by embedding, else by names; 0.5 where nothing is known of one."""
        if self.embedding is not None and other.embedding is not None:
            length = float(np.linalg.norm(self.embedding) * np.linalg.norm(other.embedding))
            return float(np.clip(self.embedding @ other.embedding / max(length, 1e-9), 0, 1))
        if not self.names or not other.names:
            return 0.5
        mine, theirs = sum(self.names.values()), sum(other.names.values())
        return sum(min(count / mine, other.names.get(name, 0.0) / theirs) for name, count in self.names.items())


@dataclass(frozen=True, slots=True)
class MaskFusion:
    """Incremental fusion of masks on a voxel cloud with majority votes."""

    name: str = "mask fusion"
    overlap: float = 0.3  # join above overlap + likeness_weight * (likeness - 0.5)
    seen_weight: float = 0.5  # of the share of an object's seen voxels in the mask; 1 = like the mask's in the object
    likeness_weight: float = 0.0  # 0 = geometry alone; ConceptGraphs adds what the masks are called
    merge_every: int = 10  # frames between merges of objects that came to overlap, 0 = never
    merge_overlap: float = 0.7  # share of the smaller object inside the larger
    min_frames: int = 3  # objects seen less often are noise
    min_voxels: int = 20
    needs_depth: bool = True

    def __call__(self, material: Material, random: np.random.Generator) -> Prediction:  # noqa: ARG002 - the interface's
        """Deterministic: nothing is drawn."""
        cloud = material.measured.points
        objects: list[FusedObject] = []
        for number, keyframe in enumerate(material.keyframes, 1):
            found, seen = sightings(keyframe, cloud)
            objects = self.fused(objects, found, seen, len(cloud.xyz))
            if self.merge_every and (number % self.merge_every == 0 or number == len(material.keyframes)):
                objects = self.merged(objects, len(cloud.xyz))
        lasting = [o for o in objects if o.frames >= min(self.min_frames, len(material.keyframes))]
        ids = majority(lasting, len(cloud.xyz))
        own = ids >= 0
        ids[own] = drop_small(ids[own], self.min_voxels)
        return Prediction(cloud.xyz, ids)

    def fused(
        self, objects: list[FusedObject], found: list[FusedObject], seen: IntArray, size: int
    ) -> list[FusedObject]:
        """Objects after a frame with masks `found` that sees the voxels `seen`; the cloud has `size` voxels."""
        owner = majority(objects, size)
        visible = np.bincount(owner[seen[owner[seen] >= 0]], minlength=len(objects))
        joins: list[tuple[FusedObject, FusedObject]] = []
        fresh: list[FusedObject] = []
        for mask in found:
            own = owner[mask.voxels]
            shared = np.bincount(own[own >= 0], minlength=len(objects))
            best, best_score = None, self.overlap
            for i in shared.nonzero()[0].tolist():
                # The mask lies in the object, or what is seen of the object in the mask.
                overlap = max(shared[i] / len(mask.voxels), self.seen_weight * shared[i] / visible[i])
                score = overlap + self.likeness_weight * (objects[i].likeness(mask) - 0.5)
                if score > best_score:
                    best, best_score = objects[i], score
            if best is None:
                fresh.append(mask)
            else:
                joins.append((best, mask))
        for thing, mask in joins:  # after all were compared: masks of one frame do not depend on their order
            thing.add(mask)
        return objects + fresh

    def merged(self, objects: list[FusedObject], size: int) -> list[FusedObject]:
        """Larger objects take over smaller ones that lie in them."""
        kept: list[FusedObject] = []
        for small in sorted(objects, key=lambda o: -len(o.voxels)):
            # Votes, not voxels: one mask that ran over both things must not make one of them.
            votes = np.zeros(size, np.int64)
            votes[small.voxels] = small.votes
            shares = [np.minimum(votes[large.voxels], large.votes).sum() / small.votes.sum() for large in kept]
            scores = [
                share + self.likeness_weight * (large.likeness(small) - 0.5)
                for share, large in zip(shares, kept, strict=True)
            ]
            best = int(np.argmax(scores)) if scores else NONE
            if best >= 0 and scores[best] > self.merge_overlap:
                kept[best].add(small)
            else:
                kept.append(small)
        return kept


def sightings(keyframe: Keyframe, cloud: DepthCloud) -> tuple[list[FusedObject], IntArray]:
    """The masks of a keyframe as objects of their own, and all voxels it sees."""
    masks = keyframe.masks
    if masks is None:
        return [], np.zeros(0, np.int64)
    xyz, rows, cols = measured(keyframe)
    voxel, label = cloud.find(xyz), masks.labels[rows, cols].astype(np.int64)
    inside = voxel >= 0
    seen = np.unique(voxel[inside])
    found = []
    for mask in np.unique(label[inside & (label > 0)]).tolist():
        voxels = np.unique(voxel[inside & (label == mask)])
        name = masks.names.get(mask, "").strip()
        words = {name: 1.0} if name else {}
        found.append(FusedObject(voxels, np.ones(len(voxels), np.int64), words, masks.embeddings.get(mask), 1))
    return found, seen


def majority(objects: list[FusedObject], size: int) -> IntArray:
    """(size,) place in `objects` of the one with most votes for each voxel, the oldest of equals, -1 = none."""
    owner, most = np.full(size, NONE, np.int64), np.zeros(size, np.int64)
    for i, thing in enumerate(objects):
        wins = thing.votes > most[thing.voxels]
        owner[thing.voxels[wins]] = i
        most[thing.voxels[wins]] = thing.votes[wins]
    return owner
