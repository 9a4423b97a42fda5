"""A furnished room through which a camera walks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ig_ros.simulation import furniture, objects, surroundings
from ig_ros.simulation import textures as tx
from ig_ros.simulation.scene import Scene, Thing, area_lamp, look_at
from ig_ros.simulation.textures import Random
from ig_ros.types import FloatArray

WIDTH, DEPTH, HEIGHT = 5.6, 5.0, 2.6  # m
FLOOR_ID = 1
WALL = 0.03  # m between furniture and the wall, for the skirting
ABSENT = ("elephant", "bicycle", "guitar", "refrigerator", "bathtub", "washing machine")


@dataclass(slots=True)
class _Contents:
    """The things so far; adding one gives its id."""

    things: list[Thing] = field(default_factory=list)

    def add(self, thing: Thing, support: int) -> int:
        self.things.append(replace(thing, support=support))
        return len(self.things)


def room_scene(seed: int, frames: int) -> Scene:
    """About 35 instances: floor, walls, ceiling, furniture along the walls by seed, small things on top of it."""
    random = np.random.default_rng([seed, 3])
    shell = surroundings.walls_and_floor(WIDTH, DEPTH, HEIGHT, random, wall_names=("wall",) * 4, ceiling=True)
    contents = _Contents(list(shell))
    for wall, group in enumerate(random.permutation(4)):
        (_seating, _shelves, _sleeping, _entrance)[group](contents, wall, random)
    _dining(contents, random)
    lamps = (area_lamp(0.4, 0.3, HEIGHT - 0.06, 0.22, 4.6), area_lamp(-1.5, -1.2, 2.0, 0.01, 0.7, 1))
    return Scene("room", tuple(contents.things), lamps, walk(frames, random), ABSENT, 0.011)


def against(thing: Thing, wall: int, along: float, out: float = WALL, up: float = 0.0) -> Thing:
    """A thing that faces -y, moved with its back `out` metres from a wall, `along` metres right of the wall's middle.

    Walls are numbered as in `walls_and_floor`: -y, +x, +y, -x.
    """
    back = float(thing.bounds()[1][1])
    away = (DEPTH if wall % 2 == 0 else WIDTH) / 2
    return thing.changed(lambda mesh: mesh.moved(along, away - out - back, up).turned("z", 90.0 * wall + 180))


def _seating(contents: _Contents, wall: int, random: Random) -> None:
    sofa = contents.add(against(furniture.sofa(random), wall, -0.45), FLOOR_ID)
    for x in random.choice([-0.95, -0.5, 0.05], 2, replace=False):
        contents.add(against(furniture.pillow(random), wall, float(x), 0.24, 0.53), sofa)
    contents.add(against(furniture.floor_lamp(random), wall, 0.85, 0.08), FLOOR_ID)
    contents.add(against(surroundings.picture(random, 0.9, 0.6), wall, -0.4, 0.0, 1.6), 1 + 1 + wall)


def _shelves(contents: _Contents, wall: int, random: Random) -> None:
    shelf, *inside = furniture.bookshelf(random)
    depth = float(shelf.bounds()[1][1])
    place = contents.add(against(shelf, wall, -1.0), FLOOR_ID)
    for thing in inside:
        behind = depth - float(thing.bounds()[1][1])
        contents.add(against(thing, wall, -1.0, WALL + behind), place)
    low = contents.add(against(furniture.sideboard(random), wall, 0.45), FLOOR_ID)
    contents.add(against(furniture.television(random), wall, 0.35, 0.15, 0.5805), low)
    contents.add(against(objects.tissue_box(random), wall, 1.0, 0.15, 0.5805), low)


def _sleeping(contents: _Contents, wall: int, random: Random) -> None:
    contents.add(against(furniture.bed(random), wall, -0.65), FLOOR_ID)
    contents.add(against(furniture.window(random), wall, 0.75, 0.0, 1.5), 1 + 1 + wall)
    contents.add(against(furniture.big_plant(random), wall, 0.75, 0.06), FLOOR_ID)


def _entrance(contents: _Contents, wall: int, random: Random) -> None:
    contents.add(against(furniture.cupboard(random), wall, -0.95), FLOOR_ID)
    contents.add(against(surroundings.door(random), wall, 0.55, 0.0), 1 + 1 + wall)
    contents.add(against(furniture.bin_(random), wall, -0.15), FLOOR_ID)


def _dining(contents: _Contents, random: Random) -> None:
    """Rug, table, chairs and what lies on the table, in the middle of the room."""
    contents.add(furniture.rug(random).at(0, 0, 0.0005, 0), FLOOR_ID)
    turn = float(random.choice([0, 90])) + float(random.uniform(-8, 8))
    table = contents.add(furniture.dining_table(random).at(0, 0, 0.015, turn), FLOOR_ID)
    wood, seat = furniture.wood_color(random), tx.hue(random, 0.5, 0.6)
    for x, y, facing in ((-0.35, 0.62, 0), (0.35, 0.6, 0), (-0.32, -0.62, 180), (0.95, 0.02, -90)):
        chair = furniture.chair(random, wood, seat).at(0, 0, 0, facing + float(random.uniform(-12, 12)))
        contents.add(chair.at(x, y, 0.015, 0).at(0, 0, 0, turn), FLOOR_ID)
    for factory, x, y in (
        (objects.laptop, -0.3, 0.1),
        (objects.bowl, 0.12, -0.08),
        (objects.mug, 0.1, 0.22),
        (objects.bottle, 0.42, 0.12),
    ):
        thing = factory(random).grounded().at(0, 0, 0, float(random.uniform(0, 360)))
        contents.add(thing.at(x, y, 0.7655).at(0, 0, 0, turn), table)


def walk(frames: int, random: Random) -> FloatArray:
    """(frames, 4, 4) poses: two rounds at eye height between table and furniture, outward first, then inward."""
    t = np.linspace(0, 1, frames)
    phase = random.uniform(0, 2 * np.pi, 4)
    angle = phase[0] + 2 * np.pi * 2 * t
    inward = 1 / (1 + np.exp(-(t - 0.5) * 60))  # the second round looks at the middle
    radius_x, radius_y = 1.55 + 0.08 * np.sin(5 * angle), 1.3 + 0.08 * np.sin(4 * angle + phase[1])
    eyes = np.stack(
        [
            radius_x * np.cos(angle),
            radius_y * np.sin(angle),
            1.55 + 0.12 * np.sin(2 * np.pi * 3 * t + phase[2]) + 0.01 * np.sin(2 * np.pi * 23 * t),
        ],
        axis=1,
    )
    # outward: across the room, past the table, so that furniture is seen from a few metres
    ahead = angle + np.pi * (0.82 + 0.18 * inward)
    reach = 2.4 * (1 - inward) + 0.35 * inward
    height = (0.75 + 0.45 * np.sin(2 * np.pi * 5 * t + phase[3])) * (1 - inward) + 0.6 * inward
    targets = np.stack([reach * np.cos(ahead), reach * np.sin(ahead), height], axis=1)
    rolls = 0.04 * np.sin(2 * np.pi * 6 * t)
    return np.stack([look_at(eye, target, roll) for eye, target, roll in zip(eyes, targets, rolls, strict=True)])
