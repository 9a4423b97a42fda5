"""Simulated scenes: ray-cast with Open3D, textured, with shadows, exact truth and realistic masks."""

from __future__ import annotations

from ig_ros.errors import DatasetError, did_you_mean
from ig_ros.simulation.dataset import SimulatedDataset
from ig_ros.simulation.options import SimulationOptions, parse_options
from ig_ros.simulation.room import room_scene
from ig_ros.simulation.scanned import scanned_scene
from ig_ros.simulation.scene import Scene
from ig_ros.simulation.tabletop import tabletop_scene

__all__ = ["SimulatedDataset", "SimulationOptions", "open_simulated"]

DEFAULT_FRAMES = {"tabletop": 120, "room": 200, "scanned": 120}


def open_simulated(spec: str) -> SimulatedDataset:
    """The scene of a spec such as "tabletop?seed=3&frames=80". Raises DatasetError naming what is known."""
    name, _, query = spec.partition("?")
    options = parse_options(query)
    return SimulatedDataset(build_scene(name, options), options)


def build_scene(name: str, options: SimulationOptions) -> Scene:
    """The scene of that name, with its path cut into the wanted number of frames."""
    if name not in DEFAULT_FRAMES:
        known = ", ".join(f"sim:{scene}" for scene in DEFAULT_FRAMES)
        near = did_you_mean(name, DEFAULT_FRAMES)
        raise DatasetError(f"unknown simulated scene 'sim:{name}'{near}: known are {known}")
    frames = options.frames or DEFAULT_FRAMES[name]
    if name == "room":
        return room_scene(options.seed, frames)
    if name == "scanned":
        return scanned_scene(options.meshes, options.seed, frames)
    return tabletop_scene(options.seed, frames)
