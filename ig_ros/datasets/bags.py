"""Bags of ROS 2 (mcap, sqlite3) and ROS 1 as a dataset, read with `rosbags`: no ROS is needed."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import logging
import struct
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ig_ros.config import NodeConfig
from ig_ros.datasets.bag_poses import Transforms, recorded_poses
from ig_ros.datasets.bag_topics import BagTopic, describe, listing, select
from ig_ros.datasets.base import Faults, SceneTruth
from ig_ros.depth_images import STEADY, aligned_depth, steady_offset
from ig_ros.errors import DatasetError, FrameError
from ig_ros.geometry import T_BODY_OPTICAL, inverse
from ig_ros.lens_distortion import Lens, Rectifier, Rectifiers, is_rectified_topic
from ig_ros.message_decoding import (
    depth_from_message,
    masks_from_message,
    matrix_from_pose,
    nanoseconds,
    overlaid,
    rgb_from_message,
)
from ig_ros.types import FloatArray, Frame, Masks

log = logging.getLogger(__name__)

PoseAt: TypeAlias = Callable[[int], FloatArray | None]  # stamp (ns) -> T_world_camera (4, 4)
HEADER = 12  # bytes of a serialised message to the end of its stamp
SUFFIXES = (".mcap", ".db3", ".bag")
TOPICS = ("image", "camera_info", "pose", "depth", "masks")
ROS1_TYPES = {"tf/msg/tfMessage": "tf2_msgs/msg/TFMessage"}  # of old bags
OPTIONS = (*TOPICS, "pose_frame", "map_frame", "sync_tolerance", "pose_max_gap")


class BagDataset:
    """Posed images of a bag in the order of their stamps; those without a pose are left out and counted."""

    known_by = "*.mcap, *.db3, *.bag, metadata.yaml"
    truth: SceneTruth | None = None
    missing_truth: tuple[str, ...] = ("instances: a bag has no annotation",)

    def __init__(self, path: Path, options: Mapping[str, str]) -> None:
        """Reads poses and stamps; images are read when asked for.

        Options (all guessed where only one thing fits): image, camera_info, depth, masks: topics, the last two may be
        `none`; pose: a topic or `tf`; pose_frame: whose poses they are, `optical` (z forward), `body` (x forward) or
        a tf frame; map_frame: of tf; sync_tolerance: s within which depth and masks are of the moment of an image;
        pose_max_gap: s by which poses may be apart to be interpolated.
        Raises DatasetError, which lists the topics where the choice is open.
        """
        self.name = path.resolve().stem
        self._path, self._options = path, options
        self.faults = Faults()
        unknown = set(self._options) - set(OPTIONS)
        if unknown:
            raise DatasetError(f"unknown option {', '.join(sorted(unknown))} of a bag: one of {', '.join(OPTIONS)}")
        self._reader = _opened(path)
        weakref.finalize(self, self._reader.close)
        self._types = self._reader.typestore if self._reader.is2 else _ros2_types()
        self.topics = self._describe()
        parts = {k: v for k, v in self._options.items() if k in TOPICS}
        self._used = select(self.topics, parts)
        self._index, infos = self._indexed()
        self._lenses, self._rectifiers = self._calibrated(infos), Rectifiers()
        self._refuse_one_stamp()
        self._poses = self._from_topic(self._used["pose"].name) if "pose" in self._used else self._from_tf()
        self._frames = self._posed()
        self._without: dict[str, int] = {}  # part -> images without it
        self._sync = {part: self._tolerance(part) for part in ("depth", "masks")}
        self._depth_camera, self._T_color_depth = self._depth_mounting()

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the path is a bag: a .mcap, .db3 or .bag file, or a folder that rosbag2 has written."""
        about = path / "metadata.yaml"
        return path.suffix in SUFFIXES if path.is_file() else about.is_file() and "rosbag2" in about.read_text()

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, i: int) -> Frame:
        place, T = self._frames[i]
        stamp, _ = self._index["image"][place]
        try:
            rectifier = self._rectifiers.of(self._lens(stamp))
            rgb = rgb_from_message(self._messages("image", stamp)[0], rectifier.lens.reduction)
            camera, n = rectifier.camera, rectifier.lens.reduction
            if rgb.shape[:2] != (camera.height, camera.width):
                raise FrameError(
                    "image_size",
                    f"image is {rgb.shape[1] * n}x{rgb.shape[0] * n}, its camera_info (with binning and roi) "
                    f"{camera.width * n}x{camera.height * n}: name the one of this size with --camera-info",
                )
            straight, where = rectifier.color(rgb), f"{self._path}, at {stamp} ns"
            depth = self.faults.attempt(lambda: self._depth(stamp, T, rectifier), f"{where}, depth: ")
            masks = self.faults.attempt(lambda: self._masks(stamp, rectifier), f"{where}, masks: ")
            return Frame(stamp, straight, camera, T, depth, masks, place)
        except FrameError as error:
            raise DatasetError(f"{self._path}, image at {stamp} ns: {error}", error.cause) from error

    @property
    def chosen(self) -> str:
        """Returns what is read: topics, sizes, and how many images have a pose, depth and masks; for the user."""
        camera, n, count = self._lenses[0][1].camera, self._lenses[0][1].reduction, len(self._frames)
        size = f"{camera.width * n}x{camera.height * n}" + (f" read as {camera.width}x{camera.height}" if n > 1 else "")
        said = [
            f"image {self._used['image'].name} ({size}, {count} of {len(self._index['image'])} with a pose)",
            f"camera_info {self._used['camera_info'].name}",
            f"pose {self._used['pose'].name if 'pose' in self._used else 'tf'}",
        ]
        for part in ("depth", "masks"):
            topic = self._used.get(part)
            have = f"{topic.name} ({count - self._without[part]} of {count} images have it)" if topic else "none"
            said.append(f"{part} {have}")
        return f"{self.name}: " + ", ".join(said)

    def _lens(self, stamp: int) -> Lens:
        """Returns the calibration of the image of a stamp (ns): the newest until then."""
        place = bisect.bisect_right(self._lenses, stamp, key=lambda entry: entry[0])
        return self._lenses[max(0, place - 1)][1]

    def rectifier_of(self, i: int, _frame: Frame) -> Rectifier:
        """Returns what has undistorted the image at place i."""
        return self._rectifiers.of(self._lens(self._index["image"][self._frames[i][0]][0]))

    def _depth(self, stamp: int, T_world_color: FloatArray, rectifier: Rectifier) -> FloatArray | None:
        """Returns depth registered to the image, by its own calibration and mounting, and the pose of its own stamp."""
        messages = self._messages("depth", stamp)
        if not messages:
            return None
        message = messages[0]
        taken = nanoseconds(message.header.stamp)
        T_world_then = self._poses(taken) if abs(taken - stamp) > self._close else T_world_color
        if T_world_then is None:  # the poses end before this depth
            return None
        T_color_depth = inverse(T_world_color) @ T_world_then @ self._T_color_depth
        moved = self._depth_camera is not None or T_world_then is not T_world_color
        depth = depth_from_message(message)
        return aligned_depth(depth, rectifier, self._depth_camera, T_color_depth if moved else None)

    def _masks(self, stamp: int, rectifier: Rectifier) -> Masks | None:
        """Returns the masks of an image; those of several messages of one stamp overlap, small ones on top."""
        messages = self._messages("masks", stamp)
        if not messages:
            return None
        masks = overlaid([masks_from_message(message) for message in messages])
        labels = rectifier.nearest(rectifier.fitted(masks.labels))
        return dataclasses.replace(masks, labels=np.asarray(labels, np.int32))

    def _describe(self) -> tuple[BagTopic, ...]:
        found = []
        for name, info in sorted(self._reader.topics.items()):
            kind = ROS1_TYPES.get(str(info.msgtype), str(info.msgtype))
            readable = kind in self._types.fielddefs
            first = next((self._decoded(c, raw) for c, _, raw in self._raw(name)), None) if readable else None
            found.append(describe(name, kind, info.msgcount if readable else 0, first) if first is not None else
                         BagTopic(name, kind, 0, "other"))  # fmt: skip
        return tuple(found)

    def _indexed(self) -> tuple[dict[str, list[tuple[int, int]]], list[tuple[int, Any]]]:
        """Returns stamp and time (ns) of the messages of each part, and stamp and content of each new camera_info."""
        parts = {
            self._used[part].name: part for part in ("image", "depth", "masks", "camera_info") if part in self._used
        }
        index: dict[str, list[tuple[int, int]]] = {part: [] for part in parts.values()}
        infos: list[tuple[int, Any]] = []
        content = b""
        for connection, time, raw in self._raw(*parts):
            part = parts[connection.topic]
            index[part].append((_stamp(raw), time))
            if part == "camera_info" and raw[HEADER:] != content:
                content = bytes(raw[HEADER:])
                infos.append((_stamp(raw), self._decoded(connection, raw)))
        return {part: sorted(entries) for part, entries in index.items()}, infos

    def _calibrated(self, infos: list[tuple[int, Any]]) -> list[tuple[int, Lens]]:
        """Returns the lens that the images have from each stamp (ns) on. Says where it is another one."""
        rectified = is_rectified_topic(self._used["image"].name)
        try:
            lenses = sorted(
                ((stamp, Lens.from_info(info, rectified)) for stamp, info in infos), key=lambda entry: entry[0]
            )
        except FrameError as error:
            raise DatasetError(f"{self._path}, {self._used['camera_info'].name}: {error}") from error
        changes = sum(not lens.near(before) for (_, before), (_, lens) in itertools.pairwise(lenses))
        if changes:
            log.warning(
                "%s: %s changes %d times by more than an autofocus does: are there two cameras on it? Each image is "
                "read with the newest before it", self._path, self._used["camera_info"].name, changes,
            )  # fmt: skip
        return lenses

    def _posed(self) -> list[tuple[int, FloatArray]]:
        """Returns the place in the image index and the pose of every image that has one."""
        stamps = [stamp for stamp, _ in self._index["image"]]
        posed = [(place, T) for place, stamp in enumerate(stamps) if (T := self._poses(stamp)) is not None]
        count, gap = len(self._index["image"]), f"pose_max_gap, {self._number('pose_max_gap'):g} s"
        if not posed:
            raise DatasetError(
                f"{self._path}: none of {count} images has a pose at its time; {listing(self.topics)}; poses further "
                f"apart than {gap}, are interpolated with '{self._path}?pose_max_gap=SECONDS'"
            )
        if len(posed) < count:
            outside = posed[0][0] + count - 1 - posed[-1][0]
            between = count - len(posed) - outside
            log.warning(
                "%s: left out %d of %d images, no pose at their time: %d before the first pose or after the last, %d "
                "between poses further apart than %s%s", self._path, count - len(posed), count, outside, between, gap,
                f": to interpolate these, open '{self._path}?pose_max_gap=2'" if between else "",
            )  # fmt: skip
        return posed

    def _from_topic(self, topic: str) -> PoseAt:
        poses, child = recorded_poses(self._number("pose_max_gap")), ""
        for connection, _, raw in self._raw(topic):
            message = self._decoded(connection, raw)
            child = getattr(message, "child_frame_id", "")
            try:
                poses.add(nanoseconds(message.header.stamp), matrix_from_pose(message))
            except FrameError:
                continue  # a pose that was lost (NaN): the images of that time have none
        T_pose_camera = self._mounting(topic, child.lstrip("/"))
        return lambda stamp: None if (T := poses.at(stamp).T_world_camera) is None else T @ T_pose_camera

    @property
    def _close(self) -> int:
        """Time (ns) within which depth and masks are taken to be of the image's own moment."""
        return round(self._number("sync_tolerance") * 1e9)

    def _number(self, option: str) -> float:
        """Returns an option in seconds, without it the node's default. Raises DatasetError."""
        text = self._options.get(option, str(getattr(NodeConfig(), option)))
        try:
            return float(text)
        except ValueError as error:
            raise DatasetError(f"{option} of a bag is a number of seconds, not '{text}'") from error

    def _refuse_one_stamp(self) -> None:
        """Raises DatasetError where all images bear one stamp: all would get one pose."""
        stamps = {stamp for stamp, _ in self._index["image"]}
        if len(stamps) == 1 and len(self._index["image"]) > 1:
            raise DatasetError(
                f"{self._path}: all {len(self._index['image'])} images of {self._used['image'].name} have the same "
                f"stamp ({stamps.pop()} ns), so no pose can be told for them: let the driver stamp its images"
            )

    def _tolerance(self, part: str) -> int:
        """Returns the time (ns) within which a message of a part belongs to an image: longer for a steady offset.

        Says what is left out, and by how much it is stamped beside the images.
        """
        stamps = np.array([stamp for stamp, _ in self._index.get(part, [])], np.int64)
        self._without[part] = len(self._frames)
        if not len(stamps):
            return 0
        images = np.array([self._index["image"][place][0] for place, _ in self._frames], np.int64)
        offsets = (stamps[np.abs(stamps[None] - images[:, None]).argmin(1)] - images) / 1e9
        middle, close = float(np.median(offsets)), self._close
        late = np.abs(offsets) > close / 1e9
        self._without[part] = int(late.sum())
        if not late.any():
            return close
        if part == "depth" and steady_offset(offsets) is not None:
            log.warning(
                "%s: depth is stamped %.0f ms beside its image throughout: it is used with the pose of its own stamp",
                self._path, 1000 * middle,
            )  # fmt: skip
            within = max(close, round((abs(middle) + STEADY) * 1e9))
            self._without[part] = int((np.abs(offsets) > within / 1e9).sum())
            return within
        log.warning(
            "%s: %d of %d images have no %s within %.0f ms (sync_tolerance); it is stamped %.0f ms beside them",
            self._path, late.sum(), len(images), part, close / 1e6, 1000 * middle,
        )  # fmt: skip
        return close

    def _depth_mounting(self) -> tuple[Rectifier | None, FloatArray]:
        """Returns a depth camera of its own and T_color_depth (4, 4); None and identity for registered depth.

        Raises DatasetError where depth is of another frame or size and the bag does not say how it lies.
        """
        color, lens = self._used["image"], self._lenses[0][1]
        sizes = [(lens.camera.width * n, lens.camera.height * n) for n in (1, lens.reduction)]
        topic = self._used.get("depth", color)
        same = not topic.frame_id or topic.frame_id.lstrip("/") == color.frame_id.lstrip("/")
        if topic is color or (same and topic.size in ((0, 0), *sizes)):
            return None, np.eye(4)
        infos = [t for t in self.topics if t.kind == "camera_info" and t.frame_id == topic.frame_id and t.count]
        infos = [t for t in infos if topic.size in ((0, 0), t.size)]
        remedy = "record depth that is aligned to the colour image, or leave it out with --depth-image none"
        if not infos:
            raise DatasetError(
                f"{topic.name} is not registered to {color.name} (frame '{topic.frame_id}', {topic.size[0]}x"
                f"{topic.size[1]}), and the bag has no camera_info of it: {remedy}"
            )
        connection, _, raw = next(self._raw(infos[0].name))
        rectifier = Rectifier.from_info(self._decoded(connection, raw), is_rectified_topic(topic.name))
        if same:
            return rectifier, np.eye(4)
        try:
            T = self._tree().at(color.frame_id.lstrip("/"), topic.frame_id.lstrip("/"), self._index["image"][0][0])
        except DatasetError as error:
            raise DatasetError(f"{topic.name} is not registered to {color.name}: {error}; {remedy}") from error
        if T is None:
            raise DatasetError(f"{topic.name} is not registered to {color.name}, tf is silent at its start: {remedy}")
        return rectifier, T

    def _mounting(self, topic: str, child: str) -> FloatArray:
        """Returns T_pose_camera (4, 4): from the frame whose pose is recorded to the camera's optical frame."""
        camera = self._used["image"].frame_id.lstrip("/")
        frame = self._options.get("pose_frame") or (child if child not in ("", camera) else "optical")
        if frame == "optical":
            return np.eye(4)
        if frame == "body":
            return T_BODY_OPTICAL
        tree = self._tree()
        if tree.chain(frame)[-1] != tree.chain(camera)[-1]:
            raise DatasetError(
                f"{topic} is the pose of '{frame}', and the bag's tf does not say where the camera "
                f"'{camera}' sits on it: add --pose-frame optical (z forward) or body (x forward), or a tf frame"
            )
        T = tree.at(frame, camera, self._index["image"][0][0])
        if T is None:
            raise DatasetError(f"{self._path}: tf does not know '{camera}' on '{frame}' at the first image")
        return T

    def _from_tf(self) -> PoseAt:
        tree = self._tree()
        frame = self._options.get("pose_frame", "")
        camera = frame if frame not in ("", "optical", "body") else self._used["image"].frame_id.lstrip("/")
        chain = tree.chain(camera)
        if len(chain) == 1:
            raise DatasetError(
                f"{self._path}: no transform of the camera frame '{camera}': record /tf and /tf_static, or "
                "name the frame with --pose-frame"
            )
        target = self._options.get("map_frame") or ("map" if "map" in chain else chain[-1])
        return lambda stamp: tree.at(target, camera, stamp)

    def _tree(self) -> Transforms:
        tree = Transforms(self._number("pose_max_gap"))
        for topic in self.topics:
            if topic.kind == "tf" and topic.count:
                for connection, _, raw in self._raw(topic.name):
                    tree.add(self._decoded(connection, raw), fixed=topic.name.endswith("tf_static"))
        return tree

    def _messages(self, part: str, stamp: int) -> list[Any]:
        """Returns the messages of a part of the stamp nearest to this one (ns), none beyond the part's tolerance."""
        index = self._index.get(part, [])
        after = bisect.bisect_left(index, (stamp, 0))
        near = index[max(0, after - 1) : after + 1]
        found, _ = min(near, key=lambda entry: abs(entry[0] - stamp), default=(None, 0))
        if found is None or abs(found - stamp) > self._sync.get(part, 0):
            return []
        first = bisect.bisect_left(index, (found, 0))
        times = {time for _, time in itertools.takewhile(lambda entry: entry[0] == found, index[first:])}
        name = self._used[part].name
        raws = [(c, raw) for time in sorted(times) for c, _, raw in self._raw(name, start=time, stop=time + 1)]
        if not raws:
            raise DatasetError(f"{self._path} has changed while it was read: {name} at {found} ns is gone")
        return [self._decoded(connection, raw) for connection, raw in raws if _stamp(raw) == found]

    def _raw(self, *topics: str, start: int | None = None, stop: int | None = None) -> Iterator[tuple[Any, int, bytes]]:
        """Yields connection, time (ns) and CDR bytes of the messages of topics; those of ROS 1 are converted."""
        connections = [c for c in self._reader.connections if c.topic in topics]
        for connection, time, raw in self._reader.messages(connections, start=start, stop=stop):
            yield connection, time, raw if self._reader.is2 else self._checked(self._types.ros1_to_cdr, connection, raw)

    def _decoded(self, connection: Any, raw: bytes) -> Any:
        return self._checked(self._types.deserialize_cdr, connection, raw)

    def _checked(self, convert: Callable[[bytes, str], Any], connection: Any, raw: bytes) -> Any:
        from rosbags.serde import SerdeError

        try:
            return convert(raw, ROS1_TYPES.get(connection.msgtype, connection.msgtype))
        except SerdeError as error:
            raise DatasetError(f"{self._path}: {connection.topic} cannot be read: {error}", "broken_message") from error


def _ros2_types() -> Any:
    """Returns the message types of ROS 2; those of ROS 1 differ in the names of fields and in the header."""
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_JAZZY)


def _opened(path: Path) -> Any:
    """Returns an open reader. Raises DatasetError."""
    from rosbags.highlevel import AnyReader, AnyReaderError

    try:
        reader = AnyReader([path], default_typestore=_ros2_types())
        reader.open()
    except (AnyReaderError, OSError) as error:
        remedy = "a cut recording: `mcap recover`, `ros2 bag reindex` or `rosbag reindex`"
        raise DatasetError(f"{path} cannot be read as a bag: {error} ({remedy})") from error
    return reader


def _stamp(raw: bytes) -> int:
    """Returns the stamp (ns) of a serialised message with a header: CDR, 4 bytes before it tell the byte order."""
    seconds, nanoseconds_ = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds_)
