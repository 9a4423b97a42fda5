"""Floor, walls, ceiling and what hangs on the walls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ig_ros.simulation import textures as tx
from ig_ros.simulation.mesh import Mesh, box, plate
from ig_ros.simulation.scene import Part, Thing
from ig_ros.simulation.textures import Random


def walls_and_floor(
    width: float, depth: float, height: float, random: Random, wall_names: tuple[str, str, str, str], ceiling: bool
) -> tuple[Thing, ...]:
    """A closed room around the origin with its floor at z = 0; walls in the order -y, +x, +y, -x."""
    paint = tx.hue(random, 0.13, 0.86)
    finish = tx.wallpaper if random.random() < 0.5 else tx.plaster
    skirting = tx.plain(random, (228, 226, 220), 0.02)
    things = [_floor(width, depth, random)]
    for k, name in enumerate(wall_names):
        length, away = (width, depth / 2) if k % 2 == 0 else (depth, width / 2)
        tone = paint if k else tx.hue(random, 0.3, 0.72)
        face = _in_metres(plate(length, height, 0.08), length, height, 0.8).turned("x", 90).moved(z=height / 2)
        face = face.turned("z", 180)  # faces +y, into the room, when moved to -y
        board = box(length, 0.012, 0.07, 0.002).moved(y=0.006)
        wall = Thing(name, (Part(face, finish(random, tone)), Part(board, skirting)), structure=True)
        things.append(wall.changed(lambda mesh, k=k, away=away: mesh.moved(y=-away).turned("z", 90.0 * k)))  # type: ignore[misc]
    if ceiling:
        cover = _in_metres(plate(width, depth, 0.1), width, depth, 1.0).turned("x", 180).moved(z=height)
        things.append(Thing("ceiling", (Part(cover, tx.plaster(random, (236, 236, 232))),), structure=True))
    return tuple(things)


def wall_pictures(width: float, depth: float, random: Random) -> tuple[Thing, ...]:
    """A framed print on one wall and a door in another, so that the background is a room and not a void."""
    return (
        picture(random).changed(lambda m: m.moved(x=0.35, y=depth / 2 - 0.012, z=1.1)),
        door(random).changed(lambda m: m.moved(y=width / 2 - 0.03).turned("z", 90)),
    )


def picture(random: Random, width: float = 0.7, height: float = 0.5) -> Thing:
    """A framed print facing -y, centred on the origin."""
    frame = box(width, 0.024, height, 0.004).moved(z=-height / 2)
    print_ = plate(width - 0.06, height - 0.06).turned("x", 90).moved(y=-0.0125)
    parts = (Part(frame, tx.wood(random, (70, 48, 34), 1, 128)), Part(print_, tx.landscape(random)))
    return Thing("picture", parts, ("a framed photograph",))


def door(random: Random) -> Thing:
    """A panelled door with frame and handle, facing -y, standing on z = 0."""
    leaf = box(0.85, 0.05, 2.02, 0.003)
    side = [box(0.08, 0.06, 2.1, 0.004).moved(x=s * 0.465) for s in (-1, 1)]
    lintel = box(1.01, 0.06, 0.08, 0.004).moved(z=2.02)
    color = tx.hue(random, 0.35, 0.6, 0.08)
    handle = box(0.12, 0.03, 0.025, 0.008).moved(x=0.32, y=-0.045, z=1.02)
    trim = tx.plain(random, (224, 222, 214), 0.02)
    parts = [Part(leaf, tx.panel(random, color)), Part(handle, tx.plain(random, (170, 160, 120)))]
    parts += [Part(piece, trim) for piece in (*side, lintel)]
    return Thing("door", tuple(parts), ("the way out of the room",))


def _floor(width: float, depth: float, random: Random) -> Thing:
    face = _in_metres(plate(width, depth, 0.06), width, depth, 1.2)
    if random.random() < 0.5:
        cover = tx.wood(random, tx.hue(random, 0.5, 0.5, 0.07), 8, 512)
    else:
        cover = tx.tiles(random, tx.hue(random, 0.12, 0.62, 0.1))
    return Thing("floor", (Part(face, cover),), structure=True)


def _in_metres(mesh: Mesh, width: float, height: float, tile: float) -> Mesh:
    return replace(mesh, uv=mesh.uv * np.array([width, height]) / tile)
