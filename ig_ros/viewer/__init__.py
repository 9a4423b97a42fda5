"""The map on a web page, for people without RViz: turn it, ask it, click an object. Loads viser (extra `view`)."""

from ig_ros.viewer.picking import pick
from ig_ros.viewer.serving import Page, view
from ig_ros.viewer.sources import LiveSource, SavedSource, Source

__all__ = ["LiveSource", "Page", "SavedSource", "Source", "pick", "view"]
