"""What planners ask of the map: the object at a place, rendered views, surfaces to grasp, removal of an object."""

from ig_ros.planning.object_geometry import ObjectSurface, object_surface
from ig_ros.planning.picking import object_at_pixel, object_at_point
from ig_ros.planning.removal import erase_object, without
from ig_ros.planning.view_rendering import RenderedView, render_view

__all__ = [
    "ObjectSurface",
    "RenderedView",
    "erase_object",
    "object_at_pixel",
    "object_at_point",
    "object_surface",
    "render_view",
    "without",
]
