"""How large a message may be: a peer on the network decides what it sends, the node what it takes."""

from __future__ import annotations

from dataclasses import dataclass

from ig_ros.schema import param


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
