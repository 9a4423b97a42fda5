"""The map on a web page, for people without RViz: turn it, ask it, click an object. Loads viser (extra `view`)."""

from ig_ros.viewer.page import Page, view
from ig_ros.viewer.scene import pick
from ig_ros.viewer.sources import LiveSource, SavedSource, Source

__all__ = ["LiveSource", "Page", "SavedSource", "Source", "pick", "view"]
