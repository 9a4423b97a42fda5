"""What planners ask beyond words: which object is here, how does it look, where can it be grasped, take it out."""

from ig_ros.planning.object_geometry import Surface, object_surface
from ig_ros.planning.picking import object_at_pixel, object_at_point
from ig_ros.planning.removal import erase_object, without
from ig_ros.planning.view_rendering import View, render_view

__all__ = [
    "Surface",
    "View",
    "erase_object",
    "object_at_pixel",
    "object_at_point",
    "object_surface",
    "render_view",
    "without",
]
