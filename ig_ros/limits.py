"""How large things may grow: the map in memory, and a message, of which a peer on the network decides the size."""

from __future__ import annotations

from dataclasses import dataclass

from ig_ros.schema import param


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """What leaves the map, and where it goes when it outgrows seeding.max_anchors (keyframes.capacity: images)."""

    paging: bool = param(True, "far anchors go to disk when memory is full, and come back when the camera does")
    reach: float = param(10.0, "anchors this near to the newest keyframe stay in memory, m", 0.1, 10000.0)
    tile: float = param(2.0, "edge of the cells in which anchors travel, m", 0.1, 1000.0)
    vanish_after: int = param(
        3, "anchors that so many keyframes in a row look through vanish: the thing has been moved; 0 = never", 0, 1000
    )
    directory: str = param("", "tiles are written below this directory; empty = that of temporary files")


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """The largest message of each kind that the node takes; a larger one is refused with a count or an answer."""

    image_pixels: int = param(2_100_000, "of an image, depth image or label image (1920x1080 fits)", 1, 1_000_000_000)
    masks: int = param(2000, "masks of one image", 1, 65535)
    embedding: int = param(4096, "numbers in the embedding of a mask", 1, 1_000_000)
    cloud_points: int = param(1_000_000, "points of one map_points cloud", 1, 1_000_000_000)
    path_poses: int = param(100_000, "poses of one pose_graph", 1, 100_000_000)
    text: int = param(500, "characters of a query, label, encoder or map name", 1, 1_000_000)
    view_pixels: int = param(2_100_000, "pixels of a view that render_view draws", 1, 1_000_000_000)
    ids: int = param(10_000, "object ids in one request", 1, 100_000_000)
