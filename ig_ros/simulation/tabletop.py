"""A table in a small room with household objects on it, seen by a camera that a hand or an arm leads around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ig_ros.errors import DatasetError
from ig_ros.simulation import objects, surroundings
from ig_ros.simulation import textures as tx
from ig_ros.simulation.mesh import box, box_uv_in_metres, join
from ig_ros.simulation.placement import Footprint, find_place, footprint_of
from ig_ros.simulation.scene import Part, Scene, Thing, area_lamp, look_at
from ig_ros.simulation.textures import Random
from ig_ros.types import FloatArray

TABLE = (1.2, 0.8, 0.74)  # width, depth, height, m
TABLE_ID = 1
MARGIN = 0.04  # m, objects keep this far from the table's edge
GAP = 0.015  # m between objects
ABSENT = ("elephant", "bicycle", "guitar", "fire extinguisher", "violin", "motorcycle helmet")


def tabletop_scene(seed: int, frames: int) -> Scene:
    """8 to 14 parametric objects on a table; the seed chooses them, their looks and their places."""
    random = np.random.default_rng([seed, 1])
    count = int(random.integers(8, 15)) - len(objects.ALWAYS)
    chosen = [*objects.ALWAYS, *random.choice(np.array(objects.OFTEN, dtype=object), count, replace=False)]
    return arrange("tabletop", [factory(random) for factory in chosen], random, frames)


def arrange(name: str, things: Sequence[Thing], random: Random, frames: int) -> Scene:
    """Put objects on the table of a furnished corner and lead the camera around them."""
    placed = place_on_table(things, random)
    background = surroundings.walls_and_floor(3.2, 3.0, 2.5, random, wall_names=("wall",) * 4, ceiling=True)
    lamps = (area_lamp(0.5, 0.6, 2.35, 0.16, 2.9), area_lamp(-1.4, -0.5, 2.0, 0.01, 0.9, 1))
    extras = surroundings.wall_pictures(3.2, 3.0, random)
    return Scene(name, (table(random), *placed, *background, *extras), lamps, orbit(frames, random), ABSENT, 0.007)


def table(random: Random) -> Thing:
    """A wooden table with its top at TABLE[2], centred on the origin."""
    width, depth, height = TABLE
    color = tx.hue(random, 0.45, 0.62, random.uniform(0.06, 0.1))
    top = box_uv_in_metres(box(width, depth, 0.03, 0.004, cell=0.025), 0.6).moved(z=height - 0.03)
    legs = [
        box_uv_in_metres(box(0.06, 0.06, height - 0.03, 0.004), 0.6).moved(
            sx * (width / 2 - 0.06), sy * (depth / 2 - 0.06)
        )
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    return Thing("table", (Part(join([top, *legs]), tx.wood(random, color, 6)),))


def place_on_table(things: Sequence[Thing], random: Random) -> list[Thing]:
    """Drop objects on the table without intersection, the largest first; raises DatasetError if one finds no place."""
    order = sorted(range(len(things)), key=lambda i: -footprint_of(things[i]).area)
    taken: list[Footprint] = []
    placed: dict[int, Thing] = {}
    half = np.array(TABLE[:2]) / 2 - MARGIN
    for i in order:
        place = find_place(footprint_of(things[i]), half, taken, GAP, random)
        if place is None:
            raise DatasetError(
                f"no free place on the table for the {things[i].name}: choose fewer objects or another seed"
            )
        taken.append(place)
        standing = things[i].grounded().at(*place.centre, TABLE[2] + 0.0005, place.degrees)
        placed[i] = Thing(standing.name, standing.parts, standing.paraphrases, TABLE_ID)
    return [placed[i] for i in range(len(things))]


def orbit(frames: int, random: Random) -> FloatArray:
    """(frames, 4, 4) poses: one and three quarter turns with changing height and distance, and a hand's tremor."""
    t = np.linspace(0, 1, frames)
    phase = random.uniform(0, 2 * np.pi, 6)
    angle = phase[0] + 2 * np.pi * 1.75 * t
    elevation = np.radians(37 + 18 * np.sin(2 * np.pi * 2.2 * t + phase[1]))
    distance = 0.98 + 0.14 * np.sin(2 * np.pi * 3.1 * t + phase[2])
    shake = [0.012 * np.sin(2 * np.pi * (9 + k) * t + phase[3 + k]) for k in range(3)]
    eyes = np.stack(
        [
            distance * np.cos(elevation) * np.cos(angle) * 1.1 + shake[0],
            distance * np.cos(elevation) * np.sin(angle) + shake[1],
            TABLE[2] + distance * np.sin(elevation) + shake[2],
        ],
        axis=1,
    )
    targets = np.stack(
        [0.12 * np.cos(angle * 0.7 + phase[4]), 0.1 * np.sin(angle * 1.3), np.full(frames, TABLE[2] + 0.04)], axis=1
    )
    rolls = 0.05 * np.sin(2 * np.pi * 4 * t + phase[5])
    return np.stack([look_at(eye, target, roll) for eye, target, roll in zip(eyes, targets, rolls, strict=True)])
