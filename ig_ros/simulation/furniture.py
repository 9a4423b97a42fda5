"""Furniture and what else fills a room. Things stand on z = 0 and face -y: their back is meant for a wall at +y."""

from __future__ import annotations

import numpy as np

from ig_ros.simulation import textures as tx
from ig_ros.simulation.mesh import Mesh, box, box_uv_in_metres, cushion, cylinder, join, lathe, plate, tube
from ig_ros.simulation.objects import STEEL, curve, potted_plant
from ig_ros.simulation.scene import Part, Thing
from ig_ros.simulation.textures import Color, Random

CELL = 0.06  # m, baked shading on furniture


def board(width: float, depth: float, height: float, bevel: float = 0.004, tile: float = 0.6) -> Mesh:
    """A wooden or upholstered block whose texture keeps its scale."""
    return box_uv_in_metres(box(width, depth, height, bevel, CELL), tile)


def wood_color(random: Random) -> Color:
    return tx.hue(random, random.uniform(0.35, 0.6), random.uniform(0.4, 0.75), random.uniform(0.05, 0.1))


def legs(width: float, depth: float, height: float, thick: float) -> list[Mesh]:
    """Four square legs at the corners of a rectangle."""
    x, y = width / 2 - thick, depth / 2 - thick
    return [board(thick, thick, height).moved(sx * x, sy * y) for sx in (-1, 1) for sy in (-1, 1)]


def dining_table(random: Random) -> Thing:
    top = board(1.3, 0.85, 0.035).moved(z=0.715)
    return Thing(
        "table",
        (Part(join([top, *legs(1.3, 0.85, 0.715, 0.07)]), tx.wood(random, wood_color(random), 5)),),
    )


def chair(random: Random, color: Color, seat: Color) -> Thing:
    """All chairs of a set share their colours."""
    frame = [*legs(0.42, 0.42, 0.43, 0.04), board(0.44, 0.44, 0.03).moved(z=0.42)]
    frame += [board(0.04, 0.035, 0.5).moved(sx * 0.18, 0.19, 0.44) for sx in (-1, 1)]
    frame += [board(0.36, 0.02, 0.09).moved(0, 0.195, z) for z in (0.6, 0.8)]
    pad = cushion(0.42, 0.42, 0.06, 0.4).moved(z=0.445)
    return Thing(
        "chair",
        (Part(join(frame), tx.wood(random, color, 2)), Part(pad, tx.fabric(random, seat))),
        ("a seat for one person",),
    )


def sofa(random: Random) -> Thing:
    color = tx.hue(random, 0.4, 0.5)
    cloth = tx.fabric(random, color)
    base = board(1.9, 0.85, 0.3, 0.03, 0.3).moved(z=0.1)
    back = board(1.9, 0.22, 0.5, 0.06, 0.3).moved(y=0.32, z=0.35)
    arms = [board(0.2, 0.85, 0.5, 0.06, 0.3).moved(sx * 0.86, z=0.1) for sx in (-1, 1)]
    seats = [cushion(0.76, 0.66, 0.17, 0.35).moved(sx * 0.38, -0.07, 0.36) for sx in (-1, 1)]
    feet = [cylinder(0.03, 0.11).moved(sx * 0.85, sy * 0.36) for sx in (-1, 1) for sy in (-1, 1)]
    seat_cloth = tx.fabric(random, tx.shade(color, 1.15))
    return Thing(
        "sofa",
        (
            Part(join([base, back, *arms]), cloth),
            Part(join([s.tiled(3, 3) for s in seats]), seat_cloth),
            Part(join(feet), tx.plain(random, STEEL)),
        ),
        ("a couch for several people",),
    )


def pillow(random: Random) -> Thing:
    colors = [tx.hue(random, 0.65, 0.75), tx.hue(random, 0.3, 0.9)]
    mesh = cushion(0.42, 0.16, 0.42, 0.55)
    flat = Mesh(mesh.vertices, mesh.normals, mesh.vertices[:, [0, 2]] / 0.42 + [0.5, 0], mesh.triangles)
    return Thing(
        "cushion", (Part(flat.turned("x", -18), tx.stripes(random, colors, 7)),), ("something soft to lean on",)
    )


def bed(random: Random) -> Thing:
    """A single bed with its long side to the wall and its head on the left."""
    frame = [board(1.0, 2.05, 0.22, 0.01).moved(z=0.1), board(1.04, 0.06, 0.95, 0.01).moved(y=1.03)]
    frame += [board(0.08, 0.08, 0.12).moved(sx * 0.44, sy * 0.95) for sx in (-1, 1) for sy in (-1, 1)]
    mattress = board(0.96, 2.0, 0.2, 0.05, 0.3).moved(z=0.32)
    blanket = board(1.02, 1.35, 0.09, 0.04, 0.5).moved(y=-0.34, z=0.47)
    pillow_ = cushion(0.66, 0.42, 0.15, 0.5).moved(y=0.74, z=0.5)
    cover = tx.checks(random, tx.hue(random, 0.45, 0.6), tx.hue(random, 0.2, 0.85), 2)
    white = tx.fabric(random, (232, 230, 224))
    parts = (
        Part(join(frame), tx.wood(random, wood_color(random), 3)),
        Part(join([mattress, pillow_]), white),
        Part(blanket, cover),
    )
    return Thing("bed", parts, ("a place to sleep at night",)).changed(lambda mesh: mesh.turned("z", 90))


def bookshelf(random: Random) -> tuple[Thing, ...]:
    """An open shelf, and as things of their own a few stacks that stand in it; the supports' ids are left at 0."""
    width, depth, height, levels = 0.9, 0.3, 1.75, 5
    step = (height - 0.03) / levels
    boards = [board(width, depth, 0.025).moved(z=i * step) for i in range(levels + 1)]
    boards += [board(0.025, depth, height).moved(sx * (width / 2)) for sx in (-1, 1)]
    back = board(width, 0.012, height).moved(y=depth / 2 - 0.006)
    shelf = Thing(
        "bookshelf",
        (Part(join([*boards, back]), tx.wood(random, wood_color(random), 3)),),
        ("furniture that holds books",),
    )
    inside = [row_of_books(random, step).at(random.uniform(-0.12, 0.12), 0, i * step + 0.026) for i in (1, 2, 3)]
    return shelf, *inside, basket(random, 0.34, 0.24, 0.22).at(0.1, -0.01, 0.026)


def row_of_books(random: Random, room: float) -> Thing:
    """Books side by side, seen as one thing."""
    parts, x = [], -0.26
    while x < 0.24:
        thick, high = random.uniform(0.022, 0.05), random.uniform(0.62, 0.88) * (room - 0.03)
        cover = tx.stripes(
            random,
            [tx.hue(random, 0.6, 0.55)] * 3 + [tx.hue(random, 0.5, 0.85)] + [tx.hue(random, 0.6, 0.4)] * 2,
            12,
            128,
        )
        parts.append(Part(box(thick, 0.2, high, 0.003, CELL).moved(x + thick / 2, -0.02), cover))
        x += thick + 0.001
    return Thing("books", tuple(parts), ("novels to read",))


def basket(random: Random, width: float, depth: float, height: float) -> Thing:
    wicker = tx.checks(random, (176, 134, 84), (140, 100, 58), 10)
    walls = [board(width, 0.012, height, 0.004, 0.2).moved(y=s * (depth / 2 - 0.006)) for s in (-1, 1)]
    walls += [board(0.012, depth, height, 0.004, 0.2).moved(x=s * (width / 2 - 0.006)) for s in (-1, 1)]
    walls.append(board(width, depth, 0.012, 0.004, 0.2))
    return Thing("basket", (Part(join(walls), wicker),))


def cupboard(random: Random) -> Thing:
    body = board(1.1, 0.5, 1.9, 0.004)
    doors = [box(0.53, 0.02, 1.8, 0.003, CELL).moved(sx * 0.27, -0.26, 0.06) for sx in (-1, 1)]
    knobs = [cylinder(0.014, 0.03).turned("x", 90).moved(sx * 0.05, -0.268, 0.95) for sx in (-1, 1)]
    color = wood_color(random)
    return Thing(
        "wardrobe",
        (
            Part(body, tx.wood(random, color, 3)),
            Part(join(doors), tx.panel(random, color, 3, 1)),
            Part(join(knobs), tx.plain(random, STEEL)),
        ),
        ("where clothes are kept",),
    )


def sideboard(random: Random) -> Thing:
    color = wood_color(random)
    body = board(1.4, 0.42, 0.5, 0.004).moved(z=0.08)
    fronts = [box(0.44, 0.02, 0.44, 0.003, CELL).moved(k * 0.455, -0.216, 0.11) for k in (-1, 0, 1)]
    parts = (
        Part(join([body, *legs(1.36, 0.38, 0.08, 0.05)]), tx.wood(random, color, 3)),
        Part(join(fronts), tx.panel(random, tx.shade(color, 1.2), 1, 1)),
    )
    return Thing("sideboard", parts)


def television(random: Random) -> Thing:
    foot = join([board(0.4, 0.2, 0.015), board(0.08, 0.04, 0.08).moved(z=0.01)])
    case = box(1.05, 0.045, 0.62, 0.006, CELL).moved(z=0.08)
    picture = plate(1.01, 0.58).turned("x", 90).moved(y=-0.0235, z=0.39)
    return Thing(
        "television",
        (Part(join([foot, case]), tx.plain(random, (30, 30, 33))), Part(picture, tx.landscape(random))),
        ("where one watches films",),
    )


def floor_lamp(random: Random) -> Thing:
    foot = cylinder(0.14, 0.025, 0.006)
    pole = tube(np.array([[0, 0, 0.02], [0, 0, 0.8], [0, 0, 1.45]]), 0.012)
    shade = lathe(curve([(0.2, 1.3), (0.14, 1.62), (0.138, 1.62), (0.197, 1.3)], 6), 48)
    return Thing(
        "floor lamp",
        (
            Part(join([foot, pole]), tx.plain(random, STEEL)),
            Part(shade, tx.fabric(random, tx.hue(random, 0.3, 0.92, 0.11))),
        ),
        ("something that gives light",),
    )


def rug(random: Random) -> Thing:
    mesh = box(2.0, 1.4, 0.014, 0.005, CELL)
    return Thing(
        "rug",
        (Part(mesh, tx.carpet(random, tx.hue(random, 0.55, 0.5), tx.hue(random, 0.4, 0.85))),),
        ("a carpet",),
    )


def bin_(random: Random) -> Thing:
    mesh = lathe(curve([(0, 0), (0.11, 0), (0.14, 0.3), (0.136, 0.3), (0.107, 0.012), (0, 0.012)], 5))
    base = tx.hue(random, 0.5, 0.45)
    return Thing(
        "trash can",
        (Part(mesh, tx.stripes(random, [base, base, base, tx.shade(base, 1.4)], 20)),),
        ("where one throws rubbish",),
    )


def big_plant(random: Random) -> Thing:
    return potted_plant(random).changed(lambda mesh: mesh.scaled(2.9, 2.9, 3.6))


def window(random: Random) -> Thing:
    """A window with a view, facing -y, centred on the origin."""
    view = plate(1.2, 1.0).turned("x", 90).moved(y=-0.002)
    bars = [box(1.3, 0.04, 0.06).moved(z=z) for z in (-0.56, 0.5)] + [
        box(0.06, 0.04, 1.1).moved(x=x, z=-0.55) for x in (-0.62, 0, 0.62)
    ]
    sill = box(1.4, 0.14, 0.03).moved(y=-0.05, z=-0.6)
    bright = (tx.landscape(random).astype(np.float32) * 0.6 + 110).clip(0, 255).astype(np.uint8)
    return Thing(
        "window",
        (Part(view, bright), Part(join([*bars, sill]), tx.plain(random, (230, 230, 226), 0.02))),
        ("a glass pane to look outside",),
    )
