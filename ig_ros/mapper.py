"""The mapper: posed images in, a trained Gaussian map with objects out. Synchronous, deterministic, no ROS.

Read this page first. A frame passes: gate -> segment -> keyframe -> seed anchors; between frames: train_step, and now
and then: instantiate. `LiveMapper` (live.py) does the same from threads.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ig_ros.config import Config
from ig_ros.detections import named_by_boxes
from ig_ros.errors import EncoderError, FrameError, QueryError
from ig_ros.geometry import inverse, project, transform
from ig_ros.ignored import named, union, without_ignored
from ig_ros.instances import Instantiator, PointSet
from ig_ros.instances.tracking import ObjectTracker
from ig_ros.language import Encoder, Scope, embed_masks, make_encoder, rank
from ig_ros.named_objects import FrozenMap, find_objects, usable_embeddings
from ig_ros.planning import erase_object, without
from ig_ros.raster import device_name, select_device
from ig_ros.scaffold import (
    KeyframeGate,
    KeyframeStore,
    NewAnchors,
    Scaffold,
    StepResult,
    Trainer,
    Verdict,
    multiview_stereo,
    seeding,
)
from ig_ros.scaffold.change_detection import ChangeDetector
from ig_ros.scaffold.depth_check import DepthCheck
from ig_ros.scaffold.keyframes import Keyframe, newest
from ig_ros.scaffold.paging import Pager
from ig_ros.scaffold.pose_correction import Correction, CorrectionLog, correct_poses
from ig_ros.scaffold.pose_refinement import PoseRefiner
from ig_ros.segmentation import Segmenter, make_segmenter
from ig_ros.types import Array, BoolArray, Detections, FloatArray, Frame, IntArray, MapSnapshot, Masks, QueryResult

log = logging.getLogger(__name__)

NEAR = 100_000_000  # ns: a keyframe so near in time stands for an image between keyframes
REFINE_AFTER = 3  # keyframes later, depth that was not measured is estimated (again), from both sides
LEAST_HOLES = 0.1  # share of a depth image that was not measured, from which stereo is worth its time


@dataclass(eq=False, slots=True)
class MapState:
    """Everything that belongs to one map: a reset, a loaded map and an adopted one replace it as a whole."""

    gate: KeyframeGate
    scaffold: Scaffold
    keyframes: KeyframeStore
    trainer: Trainer
    pager: Pager
    changes: ChangeDetector
    tracker: ObjectTracker
    corrections: CorrectionLog = field(default_factory=CorrectionLog)
    refiner: PoseRefiner = field(default_factory=PoseRefiner)
    instantiator: Instantiator = field(default_factory=Instantiator)
    latest: MapSnapshot | None = None  # the newest objects
    removed: list[int] = field(default_factory=list)  # ids of objects taken out of the map

    @staticmethod
    def empty(config: Config, device: torch.device, first_id: int) -> MapState:
        """Returns the state of a map without keyframes, whose ids count from `first_id`."""
        scaffold = Scaffold(config.scaffold, device, config.training.seed)
        keyframes = KeyframeStore(config.keyframes)
        gate = KeyframeGate(config.keyframes, config.input.max_width)
        return MapState(
            gate, scaffold, keyframes, Trainer(config, scaffold, keyframes),
            Pager(scaffold.anchors, keyframes, config.memory),
            ChangeDetector(scaffold, keyframes, config.memory.vanish_after), ObjectTracker(first_id),
        )  # fmt: skip


class Mapper:
    """Incremental semantic-scaffold Gaussian mapping with bottom-up instances and text queries."""

    def __init__(self, config: Config, segmenter: Segmenter | None = None, encoder: Encoder | None = None) -> None:
        self.config = config
        self._publishing = threading.Lock()  # around taking and replacing what an instantiation changes, never longer
        self.device = select_device(config.device)
        log.info("training on %s", device_name(self.device))
        if config.threads:
            torch.set_num_threads(config.threads)
        self.segmenter = segmenter if segmenter is not None else make_segmenter(config.segmentation)
        self.encoder = encoder if encoder is not None else make_encoder(config.language)
        self.depth_check = DepthCheck()
        self.masks_encoder = 0  # images whose masks came with embeddings of another encoder
        self.boxes_without_masks = 0  # images with boxes of a detector, but without any mask
        self.state = MapState.empty(config, self.device, first_id=1)

    @property
    def scaffold(self) -> Scaffold:
        """The model."""
        return self.state.scaffold

    @property
    def keyframes(self) -> KeyframeStore:
        """The views it is trained on."""
        return self.state.keyframes

    @property
    def trainer(self) -> Trainer:
        """What trains it."""
        return self.state.trainer

    @property
    def latest(self) -> MapSnapshot | None:
        """The newest objects."""
        return self.state.latest

    def reset(self) -> None:
        """Forgets everything learnt; configuration, segmenter and encoder stay, no id is given again."""
        self.state = MapState.empty(self.config, self.device, self.state.tracker.next)

    def adopt(self, state: MapState) -> None:
        """Replaces the map by another one (a loaded one); ids go on from the higher number."""
        state.tracker.next = max(state.tracker.next, self.state.tracker.next)
        self.state = state
        _, others = usable_embeddings([k for k in self.keyframes.items if k.masks is not None], self.encoder)
        if self.encoder is not None and others:
            log.warning(
                "this map's keyframes carry embeddings of '%s', the encoder now is '%s': they are left out, names "
                "stay; load the map with its own encoder to ask for what things look like",
                "', '".join(others), self.encoder.name,
            )  # fmt: skip

    def add_frame(self, frame: Frame) -> bool:
        """Takes a frame if its view is new: True if it became a keyframe. Raises FrameError for a pose that jumped."""
        frame = without_ignored(frame, self.config.ignore_labels)
        if self.judge(frame) is not Verdict.KEYFRAME:
            return False
        self.insert(self.segment(frame))
        return True

    def judge(self, frame: Frame) -> Verdict:
        """Returns whether a frame shows something new, sharply. Raises FrameError for a pose that jumped."""
        return self.state.gate.judge(frame)

    def segment(self, frame: Frame) -> Frame:
        """The frame with masks, its own or the configured segmenter's, embedded if the encoder looks at images."""
        masks = frame.masks
        if masks is None and self.segmenter is not None:
            masks = self.segmenter.segment(frame.rgb, frame.depth, frame.camera)
        if masks is None:
            self._note_boxes_alone(frame.detections)
            return frame
        if frame.detections is not None:
            masks = named_by_boxes(masks, frame.detections)
        try:
            masks = embed_masks(self.encoder, frame.rgb, masks)
        except EncoderError as error:  # the segmenter's machine has another encoder: its masks and names are still good
            if not self.masks_encoder:
                log.warning("%s (until then masks are used without embeddings)", error)
            self.masks_encoder += 1
            masks = dataclasses.replace(masks, embeddings={}, encoder="")
        return without_ignored(dataclasses.replace(frame, masks=masks), self.config.ignore_labels)

    def insert(self, frame: Frame, number: int | None = None) -> None:
        """Stores a keyframe, drops what it shows to be gone and plants anchors where it sees what the map lacks.

        `number` counts submitted frames from 1, where pose corrections may have overtaken this one; None: the pose is
        up to date.
        """
        if number is not None:
            frame = self.state.corrections.bring_up_to_date(number, frame)
        if self.config.depth.calibrate == "check" and self.config.input.use_depth:
            self.depth_check.look(frame)
        keyframe = self.keyframes.add(frame, self.config.input)
        if self.config.poses.refine == "auto":
            self.state.refiner.refine(keyframe, self.keyframes.items)
        self.state.pager.update(self.config.seeding.max_anchors)
        self.state.changes.update(keyframe)
        if keyframe.depth is not None:
            self._seed(keyframe)
            if len(self.keyframes) > REFINE_AFTER:
                self._seed_holes(len(self.keyframes) - 1 - REFINE_AFTER)
            return
        newest = len(self.keyframes) - 1
        for place in (newest, newest - REFINE_AFTER):
            if place >= 0 and (self.keyframes.items[place].depth is None or self.keyframes.items[place].estimated):
                self._seed_by_stereo(place)

    def attach_masks(self, stamp: int, masks: Masks | None, ignored: BoolArray | None = None) -> bool:
        """Gives masks that came late to the keyframe of their stamp (ns). Returns False where it is not there.

        Of what is ignored, as they or `ignored` (h, w) tell, the anchors go that the keyframe has planted there.
        """
        for keyframe in reversed(self.keyframes.items):
            if keyframe.stamp == stamp:
                ignored = union(ignored, None if masks is None else named(masks, self.config.ignore_labels))
                if ignored is not None:
                    self.state.changes.ignore(keyframe, ignored)
                if masks is not None:
                    keyframe.set_masks(masks)
                return True
        return False

    def attach_detections(self, stamp: int, detections: Detections, width: int) -> None:
        """Names masks of the keyframe of a stamp (ns), if it is one, by boxes in pixels of an image of `width`."""
        keyframe = next((k for k in reversed(self.keyframes.items) if k.stamp == stamp), None)
        if keyframe is None:
            return
        if keyframe.masks is None:
            self._note_boxes_alone(detections)
            return
        boxes = detections.boxes * (keyframe.camera.width / width)
        keyframe.set_masks(named_by_boxes(keyframe.masks, dataclasses.replace(detections, boxes=boxes)))

    def _note_boxes_alone(self, detections: Detections | None) -> None:
        if detections is None or not detections.names:
            return
        if not self.boxes_without_masks:
            log.warning(
                "boxes of a detector came for an image without masks, which they cannot name: set "
                "segmentation.segmenter to geometric, or send masks, too"
            )
        self.boxes_without_masks += 1

    def add_points(self, xyz: FloatArray, rgb: IntArray | None) -> int:
        """Plant anchors on a SLAM system's sparse points (P, 3) m world; returns how many were new.

        Points without rgb (P, 3) u8 take the newest image's colour. Raises FrameError before the first keyframe.
        """
        if not len(self.keyframes):
            raise FrameError(
                "points_before_image", "map points came before the first keyframe: they are skipped until then"
            )
        keyframe = self.keyframes.items[-1]
        if (correction := self.state.refiner.correction).moves:  # they come where the poses have them
            xyz = transform(correction.T_map_slam, xyz.astype(np.float64))
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
        self.state.refiner.believe(poses, self.keyframes.items)
        return self._move(poses)

    def correct(self, correction: Correction, submitted: int) -> int:
        """Moves the frames submitted so far, and the map with them: keyframes now, the others when they are inserted.

        Returns how many keyframes moved. Raises FrameError for a motion that is not rigid.
        """
        refiner, keyframes = self.state.refiner, self.keyframes.items
        moved = self.state.corrections.add(correction, submitted, refiner.reported(keyframes))
        return self._move(refiner.follow(moved, keyframes)) if moved else 0

    def _move(self, poses: Mapping[int, FloatArray]) -> int:
        moved = correct_poses(self.keyframes.items, self.scaffold.anchors, poses)
        self.state.refiner.conclude(self.keyframes.items)
        self.state.gate.forget_area()
        return moved

    def freeze(self) -> FrozenMap:
        """A copy of the map, for an instantiation on any thread."""
        data, parameters = self.scaffold.anchors.data, self.scaffold.anchors.parameters
        unit = self.scaffold.instance_features() / 2
        arrays = (data["position"], torch.sigmoid(parameters["color"]), unit, data["edge"], data["uid"])
        keyframes = tuple(dataclasses.replace(k) for k in self.keyframes.awake())
        stamp = newest(keyframes).stamp if keyframes else 0
        points = PointSet(*(a.detach().cpu().numpy().copy() for a in arrays))
        canonical, on_disk = self.scaffold.canonical(), self.state.pager.uids_on_disk()
        return FrozenMap(
            self.trainer.step, stamp, canonical, points, keyframes, on_disk, len(self.state.removed), self.state
        )

    def instantiate(self, frozen: FrozenMap | None = None) -> MapSnapshot:
        """Group the (frozen) map into objects, name them, and keep the result as the latest snapshot.

        Raises QueryError when the map that was frozen is no longer this one.
        """
        frozen = frozen if frozen is not None else self.freeze()
        with self._publishing:  # the work is done on a copy: whoever saves meanwhile has all of it, or nothing
            state = self.state
            latest, tracker = state.latest, state.tracker.copy()
        if frozen.source not in (None, state):
            raise QueryError("the map has been emptied or replaced meanwhile: ask again")
        tracker.begin(frozen.points.uid, frozen.on_disk)
        instances = find_objects(frozen, tracker, self.encoder, self.config, state.instantiator)
        rgb = (to_numpy(frozen.gaussians.features[:, :3]).clip(0, 1) * 255).round().astype(np.uint8)
        instances = tracker.complete(instances, frozen.points.uid, latest, rgb)
        xyz, opacity = frozen.gaussians.world_means(), to_numpy(frozen.gaussians.opacities)
        snapshot = MapSnapshot(
            latest.version + 1 if latest else 1, frozen.step, frozen.stamp, xyz, rgb, opacity, instances,
            newest_pose(frozen), frozen.gaussians,
        )  # fmt: skip
        with self._publishing:
            for number in state.removed[frozen.removed :]:  # meanwhile
                snapshot = without(snapshot, number)
                tracker.forget(number)
            state.latest, state.tracker = snapshot, tracker
        return snapshot

    def objects(self) -> tuple[dict[str, Array], list[str], MapSnapshot | None]:
        """Returns `ObjectTracker.state` and the newest objects, all of one moment; on any thread."""
        with self._publishing:
            state = self.state
            return *state.tracker.state(), state.latest

    def query(self, text: str, max_results: int = 1, min_score: float = 0.0, scope: Scope | None = None) -> QueryResult:
        """Objects of the latest snapshot that fit the text, best first. Raises QueryError for an unusable text."""
        return rank(self.latest, text, self.encoder, self.config.language, max_results, min_score, scope)

    def remove_object(self, number: int) -> int:
        """Take an object out of the map; returns how many anchors went. Raises QueryError when it is not there.

        It comes back when a later keyframe sees it again: with its old id if it looks the same, else with a new one.
        """
        latest = self.latest
        if latest is None:
            raise QueryError("no instantiation yet: there is nothing to remove")
        if self.state.tracker.is_on_disk(number):
            raise QueryError(f"object {number} is far away, its ground on disk: remove it when the camera is near")
        count = erase_object(latest, number, self.scaffold, self.keyframes.items)
        with self._publishing:
            self.state.tracker.forget(number)
            self.state.removed.append(number)
            self.state.latest = without(self.state.latest or latest, number)
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

    def _seed_holes(self, place: int) -> None:
        """Plants anchors by stereo where a measured depth has holes."""
        keyframe = self.keyframes.items[place]
        if keyframe.depth is None or keyframe.estimated:
            return
        holes = keyframe.depth.numpy() <= 0
        if holes.mean() < LEAST_HOLES:
            return
        partners = multiview_stereo.choose_partners(self.keyframes.items, place)
        depth = np.where(holes, multiview_stereo.estimate_depth(keyframe, partners, self.config.seeding), 0)
        self._seed(dataclasses.replace(keyframe, depth=torch.from_numpy(depth.astype(np.float16))))

    def _taken(self) -> IntArray:
        anchors = self.scaffold.anchors
        return seeding.voxel_keys(anchors.position, to_numpy(anchors.data["edge"]).astype(np.float64))

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
