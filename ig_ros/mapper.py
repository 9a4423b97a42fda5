"""The mapper: posed images in, a trained Gaussian map with objects out. Synchronous, deterministic, no ROS.

Read this page first. A frame passes: gate -> segment -> keyframe -> seed anchors; between frames: train_step, and now
and then: instantiate. `LiveMapper` (live.py) does the same from threads.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ig_ros.config import Config
from ig_ros.errors import EncoderError, FrameError, QueryError
from ig_ros.geometry import inverse, project, transform
from ig_ros.instances import Identity, Instantiator, PointSet
from ig_ros.instances.tracking import AwayObjects, Lives
from ig_ros.language import Encoder, Scope, embed_masks, make_encoder, rank
from ig_ros.named_objects import FrozenMap, find_objects, usable_embeddings
from ig_ros.planning import erase_object, without
from ig_ros.raster import select_device
from ig_ros.scaffold import (
    KeyframeGate,
    KeyframeStore,
    NewAnchors,
    Scaffold,
    StepResult,
    Trainer,
    multiview_stereo,
    seeding,
)
from ig_ros.scaffold.change_detection import ChangeDetector
from ig_ros.scaffold.keyframes import Keyframe, newest
from ig_ros.scaffold.paging import Pager
from ig_ros.scaffold.pose_correction import correct_poses
from ig_ros.segmentation import Segmenter, make_segmenter
from ig_ros.types import Array, FloatArray, Frame, IntArray, MapSnapshot, QueryResult

log = logging.getLogger(__name__)

NEAR = 100_000_000  # ns: a keyframe so near in time stands for an image between keyframes
REFINE_AFTER = 3  # keyframes later, the depth of an RGB-only keyframe is estimated again, from both sides


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of objects, as arrays for storage (see Identity, AwayObjects and Lives), and the latest of them."""

    identity: dict[str, IntArray]
    away: dict[str, IntArray]
    lives: dict[str, Array]
    labels: list[str]
    latest: MapSnapshot | None


class Mapper:
    """Incremental semantic-scaffold Gaussian mapping with bottom-up instances and text queries."""

    def __init__(self, config: Config, segmenter: Segmenter | None = None, encoder: Encoder | None = None) -> None:
        self.config = config
        self._publishing = threading.Lock()  # around taking and replacing what an instantiation changes, never longer
        self.device = select_device(config.device)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.segmenter = segmenter if segmenter is not None else make_segmenter(config.segmentation)
        self.encoder = encoder if encoder is not None else make_encoder(config.language)
        self.masks_encoder = 0  # images whose masks came with embeddings of another encoder
        self.reset()

    def reset(self, first_id: int = 1) -> None:
        """Forget everything learnt; the configuration, segmenter and encoder stay, ids are counted from `first_id`."""
        c = self.config
        self.gate = KeyframeGate(c.keyframes)
        self.scaffold = Scaffold(c.scaffold, self.device, c.training.seed)
        self.keyframes = KeyframeStore(c.keyframes)
        self.trainer = Trainer(c, self.scaffold, self.keyframes)
        self.pager = Pager(self.scaffold.anchors, self.keyframes, c.memory)
        self.changes = ChangeDetector(self.scaffold, self.keyframes, c.memory.vanish_after)
        with self._publishing:
            self.identity, self.away, self.lives = Identity(first_id), AwayObjects(), Lives()
            self.instantiator = Instantiator()
            self.latest: MapSnapshot | None = None
            self.removed: list[int] = []  # ids of objects taken out of the map

    def adopt(self, other: Mapper, snapshot: MapSnapshot | None) -> None:
        """Take over another mapper's map (a loaded one) and its latest objects; ids go on from the higher number."""
        self.gate = other.gate
        self.scaffold, self.keyframes, self.trainer = other.scaffold, other.keyframes, other.trainer
        self.pager, self.changes = other.pager, other.changes
        with self._publishing:
            other.identity.next = max(other.identity.next, self.identity.next)
            self.identity, self.away, self.lives = other.identity, other.away, other.lives
            self.instantiator, self.latest, self.removed = Instantiator(), snapshot, []
        _, others = usable_embeddings([k for k in self.keyframes.items if k.masks is not None], self.encoder)
        if self.encoder is not None and others:
            log.warning(
                "this map's keyframes carry embeddings of '%s', the encoder now is '%s': they are left out, names "
                "stay; load the map with its own encoder to ask for what things look like",
                "', '".join(others), self.encoder.name,
            )  # fmt: skip

    def add_frame(self, frame: Frame) -> bool:
        """Take a frame if its view is new: True if it became a keyframe. Raises FrameError for a pose that jumped."""
        if not self.gate.admit(frame):
            return False
        self.insert(self.segment(frame))
        return True

    def segment(self, frame: Frame) -> Frame:
        """The frame with masks, its own or the configured segmenter's, embedded if the encoder looks at images."""
        masks = frame.masks
        if masks is None and self.segmenter is not None:
            masks = self.segmenter.segment(frame.rgb, frame.depth, frame.camera)
        if masks is None:
            return frame
        try:
            masks = embed_masks(self.encoder, frame.rgb, masks)
        except EncoderError as error:  # the segmenter's machine has another encoder: its masks and names are still good
            if not self.masks_encoder:
                log.warning("%s (until then masks are used without embeddings)", error)
            self.masks_encoder += 1
            masks = dataclasses.replace(masks, embeddings={}, encoder="")
        return dataclasses.replace(frame, masks=masks)

    def insert(self, frame: Frame) -> None:
        """Store a keyframe, drop what it shows to be gone and plant anchors where it sees what the map lacks."""
        keyframe = self.keyframes.add(frame, self.config.input)
        self.pager.update(self.config.seeding.max_anchors)
        self.changes.update(keyframe)
        if keyframe.depth is not None:
            self._seed(keyframe)
            return
        newest = len(self.keyframes) - 1
        for place in (newest, newest - REFINE_AFTER):
            if place >= 0 and (self.keyframes.items[place].depth is None or self.keyframes.items[place].estimated):
                self._seed_by_stereo(place)

    def add_points(self, xyz: FloatArray, rgb: IntArray | None) -> int:
        """Plant anchors on a SLAM system's sparse points (P, 3) m world; returns how many were new.

        Points without rgb (P, 3) u8 take the newest image's colour. Raises FrameError before the first keyframe.
        """
        if not len(self.keyframes):
            raise FrameError(
                "points_before_image", "map points came before the first keyframe: they are skipped until then"
            )
        keyframe = self.keyframes.items[-1]
        if rgb is None:
            uv, _ = project(transform(inverse(keyframe.T_world_camera), xyz), keyframe.camera)
            cols, rows = np.clip(uv, 0, [keyframe.camera.width - 1, keyframe.camera.height - 1]).astype(int).T
            rgb = keyframe.rgb.numpy()[rows, cols]
        distance = np.linalg.norm(xyz - keyframe.T_world_camera[:3, 3], axis=1)
        return self._plant(seeding.plant(xyz, rgb / 255.0, distance, self._taken(), keyframe.uid, self.config.seeding))

    def train_step(self) -> StepResult | None:
        """One optimisation step on a replayed keyframe; None while the map is empty."""
        return self.trainer.train_step()

    def correct_poses(self, poses: Mapping[int, FloatArray]) -> int:
        """New poses of keyframes, stamp (ns) -> T_world_camera (4, 4): anchors move along. Returns how many moved.

        Training heals the rest, objects keep their ids and move with the next instantiation. Raises FrameError.
        """
        moved = correct_poses(self.keyframes.items, self.scaffold.anchors, poses)
        self.gate.forget_area()
        self.pager.follow()
        return moved

    def freeze(self) -> FrozenMap:
        """A copy of the map, for an instantiation on any thread."""
        data, parameters = self.scaffold.anchors.data, self.scaffold.anchors.parameters
        unit = self.scaffold.instance_features() / 2
        arrays = (data["position"], torch.sigmoid(parameters["color"]), unit, data["edge"], data["uid"])
        keyframes = tuple(dataclasses.replace(k) for k in self.keyframes.awake())
        stamp = newest(keyframes).stamp if keyframes else 0
        points = PointSet(*(a.detach().cpu().numpy().copy() for a in arrays))
        canonical, away = self.scaffold.canonical(), self.pager.uids_on_disk()
        return FrozenMap(self.trainer.step, stamp, canonical, points, keyframes, away, len(self.removed), self.identity)

    def instantiate(self, frozen: FrozenMap | None = None) -> MapSnapshot:
        """Group the (frozen) map into objects, name them, and keep the result as the latest snapshot.

        Raises QueryError when the map that was frozen is no longer this one.
        """
        frozen = frozen if frozen is not None else self.freeze()
        with self._publishing:  # the work is done on copies: whoever saves meanwhile has all of it, or nothing
            before_run, instantiator, removed, latest = self.identity, self.instantiator, self.removed, self.latest
            identity, away, lives = self.identity.copy(), self.away.copy(), self.lives.copy()
        if frozen.identity not in (None, before_run):
            raise QueryError("the map has been emptied or replaced meanwhile: ask again")
        away.recall(identity, frozen.points.uid)
        before = identity.state()
        instances = find_objects(frozen, identity, self.encoder, self.config, instantiator)
        instances = away.complete(instances, before, frozen.away, latest)
        version = latest.version + 1 if latest else 1
        rgb = (to_numpy(frozen.gaussians.features[:, :3]).clip(0, 1) * 255).round().astype(np.uint8)
        instances = lives.update(instances, identity, frozen.points.uid, rgb)
        xyz, opacity = to_numpy(frozen.gaussians.means), to_numpy(frozen.gaussians.opacities)
        snapshot = MapSnapshot(
            version, frozen.step, frozen.stamp, xyz, rgb, opacity, instances, newest_pose(frozen), frozen.gaussians
        )
        with self._publishing:
            for number in removed[frozen.removed :]:  # meanwhile
                snapshot = without(snapshot, number)
            if self.identity is before_run:  # else the map was reset or replaced: these objects are of the old one
                self.latest = snapshot
                self.identity.take(identity)
                self.away.take(away)
                self.lives.take(lives)
        return snapshot

    def known(self) -> Known:
        """What is known of objects, all of one moment; on any thread."""
        with self._publishing:
            parts = (self.identity.state(), self.away.state(), self.lives.state(), self.lives.labels())
            return Known(*parts, self.latest)

    def query(self, text: str, max_results: int = 1, min_score: float = 0.0, scope: Scope | None = None) -> QueryResult:
        """Objects of the latest snapshot that fit the text, best first. Raises QueryError for an unusable text."""
        return rank(self.latest, text, self.encoder, self.config.language, max_results, min_score, scope)

    def remove_object(self, number: int) -> int:
        """Take an object out of the map; returns how many anchors went. Raises QueryError when it is not there.

        It comes back when a later keyframe sees it again: with its old id if it looks the same, else with a new one.
        """
        if self.latest is None:
            raise QueryError("no instantiation yet: there is nothing to remove")
        if self.away.holds(number):
            raise QueryError(f"object {number} is far away, its ground on disk: remove it when the camera is near")
        count = erase_object(self.latest, number, self.scaffold, self.keyframes.items)
        with self._publishing:
            self.away.forget(number)
            self.removed.append(number)
            self.latest = without(self.latest, number)
        return count

    def view(self, stamp: int | None = None, source: str | None = None) -> Keyframe:
        """The keyframe taken at `stamp` (ns), or at most NEAR from it; None = the newest. Of one camera or of all.

        Raises QueryError where there is none.
        """
        items = [k for k in list(self.keyframes.items) if source in (None, k.source)]
        if not items:
            raise QueryError("no image has been mapped yet")
        if stamp is None:
            return newest(items)
        nearest = min(items, key=lambda k: abs(k.stamp - stamp))
        if abs(nearest.stamp - stamp) > NEAR:
            raise QueryError(
                f"the camera's pose at that stamp is not known, the nearest image that the map keeps is "
                f"{abs(nearest.stamp - stamp) / 1e9:.2f} s away: give the stamp of the image itself"
            )
        return nearest

    def _seed(self, keyframe: Keyframe) -> int:
        """Plant anchors on the keyframe's depth where the model does not cover it."""
        view = self.scaffold.render(keyframe.camera, keyframe.T_world_camera) if len(self.scaffold.anchors) else None
        return self._plant(seeding.seed_from_depth(keyframe, view, self._taken(), self.config.seeding))

    def _seed_by_stereo(self, place: int) -> None:
        keyframe = self.keyframes.items[place]
        partners = multiview_stereo.choose_partners(self.keyframes.items, place)
        depth = multiview_stereo.estimate_depth(keyframe, partners, self.config.seeding)
        if (depth > 0).any():
            keyframe.depth, keyframe.estimated = torch.from_numpy(depth.astype(np.float16)), True
            self._seed(keyframe)

    def _taken(self) -> IntArray:
        data = self.scaffold.anchors.data
        return seeding.voxel_keys(
            to_numpy(data["position"]).astype(np.float64), to_numpy(data["edge"]).astype(np.float64)
        )

    def _plant(self, new: NewAnchors | None) -> int:
        room = self.config.seeding.max_anchors - len(self.scaffold.anchors)
        if new is None or room <= 0:
            return 0
        new = new.first(room)
        self.scaffold.anchors.append(new)
        return len(new.position)


def newest_pose(frozen: FrozenMap) -> FloatArray | None:
    """(4, 4) camera pose of the newest keyframe."""
    return newest(frozen.keyframes).T_world_camera if frozen.keyframes else None


def to_numpy(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """A detached copy on the CPU."""
    return tensor.detach().cpu().numpy()
