"""Bags of ROS 2 (mcap, sqlite3) and ROS 1 as a dataset, read with `rosbags`: no ROS is needed."""

from __future__ import annotations

import bisect
import logging
import struct
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ig_ros.config import NodeConfig
from ig_ros.datasets.bag_poses import Transforms, recorded_poses
from ig_ros.datasets.bag_topics import COMPRESSED, BagTopic, describe, listing, select
from ig_ros.datasets.base import Faults, SceneTruth
from ig_ros.depth_alignment import STEADY, aligned_depth, steady_offset
from ig_ros.errors import DatasetError, FrameError
from ig_ros.geometry import T_BODY_OPTICAL, inverse
from ig_ros.lens_distortion import Rectifier, is_rectified_topic
from ig_ros.message_decoding import (
    depth_from_compressed,
    depth_from_image,
    masks_from_message,
    matrix_from_pose,
    nanoseconds,
    rgb_from_compressed,
    rgb_from_raw,
)
from ig_ros.types import FloatArray, Frame, Masks

log = logging.getLogger(__name__)

PoseAt: TypeAlias = Callable[[int], FloatArray | None]  # stamp (ns) -> T_world_camera (4, 4)
SUFFIXES = (".mcap", ".db3", ".bag")
TOPICS = ("image", "camera_info", "pose", "depth", "masks")
ROS1_TYPES = {"tf/msg/tfMessage": "tf2_msgs/msg/TFMessage"}  # of old bags
OPTIONS = (*TOPICS, "pose_frame", "map_frame", "sync_tolerance")


class BagDataset:
    """Posed images of a bag in the order of their stamps; those without a pose are left out and counted."""

    known_by = "*.mcap, *.db3, *.bag, metadata.yaml"
    truth: SceneTruth | None = None
    missing_truth: tuple[str, ...] = ("instances: a bag has no annotation",)

    def __init__(self, path: Path, options: Mapping[str, str]) -> None:
        """Reads poses and stamps; images are read when asked for.

        Options (all guessed where only one thing fits): image, camera_info, depth, masks: topics, the last two may be
        `none`; pose: a topic or `tf`; pose_frame: whose poses they are, `optical` (z forward), `body` (x forward) or
        a tf frame; map_frame: of tf; sync_tolerance: s within which depth and masks are of the moment of an image.
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
        self._rectifier = self._calibration()
        self._index: dict[str, list[tuple[int, int]]] = {
            part: sorted((_stamp(raw), time) for _, time, raw in self._raw(self._used[part].name))
            for part in ("image", "depth", "masks")
            if part in self._used
        }
        self._refuse_one_stamp()
        self._poses = self._from_topic(self._used["pose"].name) if "pose" in self._used else self._from_tf()
        self._frames = self._posed()
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
        rectifier = self._rectifier
        try:
            message = self._message("image", stamp)
            rgb = rgb_from_compressed(message) if _is(message, COMPRESSED) else rgb_from_raw(message)
            camera = rectifier.camera
            if rgb.shape[:2] != (camera.height, camera.width):
                raise FrameError(
                    "image_size",
                    f"image is {rgb.shape[1]}x{rgb.shape[0]}, its camera_info {camera.width}x{camera.height}",
                )
            straight, where = rectifier.color(rgb), f"{self._path}, at {stamp} ns"
            depth = self.faults.attempt(lambda: self._depth(stamp, T), f"{where}, depth: ")
            masks = self.faults.attempt(lambda: self._masks(stamp), f"{where}, masks: ")
            return Frame(stamp, straight, camera, T, depth, masks, place)
        except FrameError as error:
            raise DatasetError(f"{self._path}, image at {stamp} ns: {error}", error.cause) from error

    def _depth(self, stamp: int, T_world_color: FloatArray) -> FloatArray | None:
        """Returns depth registered to the image, by its own calibration and mounting, and the pose of its own stamp."""
        message = self._message("depth", stamp)
        if message is None:
            return None
        taken = nanoseconds(message.header.stamp)
        T_world_then = self._poses(taken) if abs(taken - stamp) > self._close else T_world_color
        if T_world_then is None:  # the poses end before this depth
            return None
        depth = depth_from_compressed(message) if _is(message, COMPRESSED) else depth_from_image(message)
        T_color_depth = inverse(T_world_color) @ T_world_then @ self._T_color_depth
        moved = self._depth_camera is not None or T_world_then is not T_world_color
        return aligned_depth(depth, self._rectifier, self._depth_camera, T_color_depth if moved else None)

    def _masks(self, stamp: int) -> Masks | None:
        message = self._message("masks", stamp)
        if message is None:
            return None
        masks = masks_from_message(message)
        labels = np.asarray(self._rectifier.nearest(masks.labels), np.int32)
        return Masks(labels, masks.names, masks.scores, masks.embeddings, masks.encoder)

    def _describe(self) -> tuple[BagTopic, ...]:
        found = []
        for name, info in sorted(self._reader.topics.items()):
            kind = ROS1_TYPES.get(str(info.msgtype), str(info.msgtype))
            readable = kind in self._types.fielddefs
            first = next((self._decoded(c, raw) for c, _, raw in self._raw(name)), None) if readable else None
            found.append(describe(name, kind, info.msgcount if readable else 0, first) if first is not None else
                         BagTopic(name, kind, 0, "other"))  # fmt: skip
        return tuple(found)

    def _calibration(self) -> Rectifier:
        topic = self._used["camera_info"].name
        connection, _, raw = next(self._raw(topic))
        try:
            return Rectifier.from_info(self._decoded(connection, raw), is_rectified_topic(self._used["image"].name))
        except FrameError as error:
            raise DatasetError(f"{self._path}, {topic}: {error}") from error

    def _posed(self) -> list[tuple[int, FloatArray]]:
        """Returns the place in the image index and the pose of every image that has one."""
        stamps = [stamp for stamp, _ in self._index["image"]]
        posed = [(place, T) for place, stamp in enumerate(stamps) if (T := self._poses(stamp)) is not None]
        count = len(self._index["image"])
        if not posed:
            raise DatasetError(f"{self._path}: none of {count} images has a pose at its time; {listing(self.topics)}")
        if len(posed) < count:
            log.warning("%s: left out %d of %d images: no pose at their time", self._path, count - len(posed), count)
        return posed

    def _from_topic(self, topic: str) -> PoseAt:
        poses, child = recorded_poses(), ""
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
        text = self._options.get("sync_tolerance", str(NodeConfig().sync_tolerance))
        try:
            return round(float(text) * 1e9)
        except ValueError as error:
            raise DatasetError(f"sync_tolerance of a bag is a number of seconds, not '{text}'") from error

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
        if not len(stamps):
            return 0
        images = np.array([self._index["image"][place][0] for place, _ in self._frames], np.int64)
        offsets = (stamps[np.abs(stamps[None] - images[:, None]).argmin(1)] - images) / 1e9
        middle, close = float(np.median(offsets)), self._close
        late = np.abs(offsets) > close / 1e9
        if not late.any():
            return close
        if part == "depth" and steady_offset(offsets) is not None:
            log.warning(
                "%s: depth is stamped %.0f ms beside its image throughout: it is used with the pose of its own stamp",
                self._path, 1000 * middle,
            )  # fmt: skip
            return max(close, round((abs(middle) + STEADY) * 1e9))
        log.warning(
            "%s: %d of %d images have no %s within %.0f ms (sync_tolerance); it is stamped %.0f ms beside them",
            self._path, late.sum(), len(images), part, close / 1e6, 1000 * middle,
        )  # fmt: skip
        return close

    def _depth_mounting(self) -> tuple[Rectifier | None, FloatArray]:
        """Returns a depth camera of its own and T_color_depth (4, 4); None and identity for registered depth.

        Raises DatasetError where depth is of another frame or size and the bag does not say how it lies.
        """
        color, camera = self._used["image"], self._rectifier.camera
        topic = self._used.get("depth", color)
        same = not topic.frame_id or topic.frame_id.lstrip("/") == color.frame_id.lstrip("/")
        if topic is color or (same and topic.size in ((0, 0), (camera.width, camera.height))):
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
        tree = Transforms()
        for topic in self.topics:
            if topic.kind == "tf" and topic.count:
                for connection, _, raw in self._raw(topic.name):
                    tree.add(self._decoded(connection, raw), fixed=topic.name.endswith("tf_static"))
        return tree

    def _message(self, part: str, stamp: int) -> Any:
        """Returns the message of a part nearest to a stamp (ns), None beyond the part's tolerance."""
        index = self._index.get(part, [])
        after = bisect.bisect_left(index, (stamp, 0))
        near = index[max(0, after - 1) : after + 1]
        found, time = min(near, key=lambda entry: abs(entry[0] - stamp), default=(None, 0))
        if found is None or abs(found - stamp) > self._sync.get(part, 0):
            return None
        for connection, _, raw in self._raw(self._used[part].name, time, time + 1):
            if _stamp(raw) == found:
                return self._decoded(connection, raw)
        raise DatasetError(f"{self._path} has changed while it was read: {self._used[part].name} at {time} ns is gone")

    def _raw(self, topic: str, start: int | None = None, stop: int | None = None) -> Iterator[tuple[Any, int, bytes]]:
        """Yields connection, time (ns) and CDR bytes of a topic's messages; those of ROS 1 are converted."""
        connections = [c for c in self._reader.connections if c.topic == topic]
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


def _is(message: Any, kind: str) -> bool:
    return bool(message.__msgtype__ == kind)
