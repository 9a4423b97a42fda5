"""A map in the formats of other programs: splat viewers, point cloud tools, one file per object."""

from ig_ros.export.clouds import labelled_points, names_of, write_pcd, write_ply
from ig_ros.export.external_cloud import GivenCloud, label_cloud, labelled_cloud, read_cloud
from ig_ros.export.objects import write_objects
from ig_ros.export.splats import Axes, chosen, painted, write_splats

__all__ = [
    "Axes",
    "GivenCloud",
    "chosen",
    "label_cloud",
    "labelled_cloud",
    "labelled_points",
    "names_of",
    "painted",
    "read_cloud",
    "write_objects",
    "write_pcd",
    "write_ply",
    "write_splats",
]
