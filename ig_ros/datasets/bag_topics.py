"""The topics of a bag, and which of them make up posed images: named by the user, or guessed where only one fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ig_ros.errors import DatasetError

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
TF = "tf"  # stands for the pair /tf, /tf_static where a pose topic is expected
NONE = "none"  # stands for a topic that is not to be read
COLOR = (
    "rgb8", "bgr8", "rgba8", "bgra8", "8UC3", "8UC4", "rgb16", "bgr16", "yuv422", "uyvy", "yuv422_yuy2", "yuyv",
    "bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8",
)  # fmt: skip
GREY = ("mono8",)
DEPTH = ("16UC1", "mono16", "32FC1")
KINDS = {
    "sensor_msgs/msg/CameraInfo": "camera_info",
    "geometry_msgs/msg/PoseStamped": "pose",
    "geometry_msgs/msg/PoseWithCovarianceStamped": "pose",
    "geometry_msgs/msg/TransformStamped": "pose",
    "nav_msgs/msg/Odometry": "pose",
    "ig_ros/msg/SegmentedImage": "masks",
    "tf2_msgs/msg/TFMessage": "tf",
}
WORDS = {"pose": {TF}, "depth": {NONE}, "masks": {NONE}}  # part -> what may stand in place of a topic
KINDS_OF_IMAGE = ("colour", "grey")  # of every other part the one kind that is called like it


@dataclass(frozen=True, slots=True)
class BagTopic:
    """One topic of a bag."""

    name: str
    type: str  # message type, package/msg/Name
    count: int  # messages
    kind: str  # colour, grey, depth, camera_info, pose, masks, tf or other
    frame_id: str = ""
    size: tuple[int, int] = (0, 0)  # width, height of a raw image, of those that a camera_info is of


def describe(name: str, kind: str, count: int, first: Any) -> BagTopic:
    """Returns the topic, judged by its type and its first message."""
    topic = BagTopic(
        name, kind, count, KINDS.get(kind, "other"), first.header.frame_id if hasattr(first, "header") else ""
    )
    if kind == RAW:
        by_encoding = {**dict.fromkeys(COLOR, "colour"), **dict.fromkeys(GREY, "grey"), **dict.fromkeys(DEPTH, "depth")}
        return replace(topic, kind=by_encoding.get(first.encoding, "other"), size=(first.width, first.height))
    if kind == COMPRESSED:
        deep = "compressedDepth" in first.format or first.format.startswith(DEPTH) or "compressedDepth" in name
        return replace(topic, kind="depth" if deep else "colour")
    if topic.kind == "camera_info":
        roi = first.roi
        columns, rows = (roi.width or first.width), (roi.height or first.height)
        return replace(topic, size=(columns // max(first.binning_x, 1), rows // max(first.binning_y, 1)))
    return topic


def select(topics: Iterable[BagTopic], wanted: Mapping[str, str]) -> dict[str, BagTopic]:
    """Returns the topics to read by part: image, camera_info, pose, depth and masks; the last three may be missing.

    Takes those wanted (part -> name, TF, NONE) and guesses the rest; without a pose topic, poses come from tf. Raises
    DatasetError with a list.
    """
    found = [topic for topic in topics if topic.count]
    of_kind = {kind: [t for t in found if t.kind == kind] for kind in ("colour", "grey", "depth", *KINDS.values())}
    for part, name in wanted.items():
        fitting = {t.name for t in found if t.kind in (KINDS_OF_IMAGE if part == "image" else (part,))}
        if part == "masks":  # label images say nowhere that they are
            fitting |= {t.name for t in found if t.type in (RAW, COMPRESSED)}
        if name not in fitting | WORDS.get(part, set()):
            raise DatasetError(f"the bag has no {part} topic {name}; it has {listing(found)}")
    chosen = {part: topic for part, name in wanted.items() for topic in found if topic.name == name}

    def guess(part: str, candidates: list[BagTopic], needed: bool) -> None:
        if part not in wanted and (needed or candidates):
            chosen[part] = _one(part, candidates)

    guess("image", _without_copies(of_kind["colour"] or of_kind["grey"]), needed=True)
    guess("camera_info", _closest(of_kind["camera_info"], chosen["image"]), needed=True)
    guess("pose", of_kind["pose"], needed=not of_kind["tf"])
    guess("depth", _depth(of_kind["depth"], chosen["image"], chosen["camera_info"]), needed=False)
    guess("masks", of_kind["masks"], needed=False)
    return chosen


def listing(topics: Iterable[BagTopic]) -> str:
    """Returns topics for a message to the user."""
    return ", ".join(f"{t.name} ({t.type}, {t.kind}, {t.count} messages)" for t in topics) or "no messages at all"


def _one(part: str, candidates: list[BagTopic]) -> BagTopic:
    if len(candidates) == 1:
        return candidates[0]
    option = {"depth": "depth-image", "camera_info": "camera-info"}.get(part, part)
    if not candidates:
        raise DatasetError(f"the bag has no topic that could be the {part}: name it with --{option}")
    raise DatasetError(f"several topics could be the {part}: choose one with --{option}: {listing(candidates)}")


def _without_copies(images: list[BagTopic]) -> list[BagTopic]:
    """Drops the compressed copies of a raw topic (NAME/compressed beside NAME)."""
    raw = {t.name for t in images if t.type == RAW}
    return [t for t in images if t.type == RAW or t.name.rsplit("/", 1)[0] not in raw]


def _closest(candidates: list[BagTopic], image: BagTopic) -> list[BagTopic]:
    """Returns calibrations of that very image: in its namespace, else of its frame, else all."""
    levels = image.name.split("/")
    for depth in range(len(levels) - 1, 1, -1):  # /cam/color/image_raw: /cam/color/camera_info, then /cam/camera_info
        same = [t for t in candidates if t.name == "/".join([*levels[:depth], "camera_info"])]
        if same:
            return same
    return [t for t in candidates if t.frame_id == image.frame_id] or candidates


def _depth(depths: list[BagTopic], image: BagTopic, info: BagTopic) -> list[BagTopic]:
    """Returns depth images: those of the image's frame and size if any is, else those of its frame, else all."""
    raw = [t for t in depths if t.type == RAW] or depths
    own = [t for t in raw if t.frame_id == image.frame_id]
    return [t for t in own if t.size in ((0, 0), info.size)] or own or raw
