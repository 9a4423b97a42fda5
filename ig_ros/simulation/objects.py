"""Household objects that stand on a table. Each factory draws colours and sizes; z = 0 is where the object stands.

Paraphrases ask for a thing without naming it, in words that no other thing of these scenes answers: hence a ketchup
bottle and a food can, since a bottle or a soda can is also "something to drink from".
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np

from ig_ros.simulation import textures as tx
from ig_ros.simulation.mesh import Mesh, arc, ball, box, cushion, cylinder, join, lathe, plate, tube
from ig_ros.simulation.scene import Part, Thing
from ig_ros.simulation.textures import Color, Random

STEEL: Color = (186, 190, 196)
BLACK: Color = (34, 35, 38)


def curve(points: list[tuple[float, float]], per_piece: int = 5) -> list[tuple[float, float]]:
    """A lathe profile made finer along its straight pieces, so that baked shading can vary along them."""
    fine = [
        (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t)
        for a, b in pairwise(points)
        for t in np.arange(per_piece) / per_piece
    ]
    return [*fine, points[-1]]


def mug(random: Random) -> Thing:
    r, h = random.uniform(0.038, 0.043), random.uniform(0.085, 0.1)
    shell = lathe(
        curve([(0, 0.001), (r - 0.004, 0.001)])
        + curve([(r - 0.004, 0.001), (r, 0.006), (r, h - 0.002), (r - 0.002, h), (r - 0.004, h - 0.002)], 4)
        + curve([(r - 0.004, h - 0.002), (r - 0.004, 0.01), (0, 0.008)])
    )
    handle = tube(arc(0.028, 96, -96, 20) * [0.85, 1, 1] + [r - 0.002, 0, h / 2], 0.0055)
    color = tx.hue(random, 0.75, 0.75)
    glaze = (
        tx.banded(random, color, tx.shade(color, 1.45), "COFFEE", 0.46, 0.64)
        if random.random() < 0.5
        else tx.plain(random, color)
    )
    return Thing(
        "mug", (Part(shell, glaze), Part(handle, tx.plain(random, color))), ("something to drink from", "coffee cup")
    )


def bowl(random: Random) -> Thing:
    r, h = random.uniform(0.07, 0.085), random.uniform(0.05, 0.065)
    a = np.radians(np.linspace(25, 85, 9))
    outer = [(r * np.sin(t), h * (1 - np.cos(t)) / (1 - np.cos(a[-1])) + 0.004) for t in a]
    inner = [((r - 0.004) * np.sin(t), (h - 0.004) * (1 - np.cos(t)) / (1 - np.cos(a[-1])) + 0.008) for t in a[::-1]]
    mesh = lathe([(0, 0), (outer[0][0], 0), *outer, *inner, (0, 0.012)])
    base = tx.hue(random, 0.45, 0.85)
    picture = tx.stripes(random, [base, base, base, tx.shade(base, 0.55), base, tx.hue(random, 0.7, 0.6)], 18)
    return Thing("bowl", (Part(mesh, picture),), ("a dish for soup",))


def plate_dish(random: Random) -> Thing:
    r = random.uniform(0.1, 0.125)
    profile = [
        (0, 0),
        (r * 0.6, 0),
        (r * 0.68, 0.004),
        (r, 0.018),
        (r, 0.021),
        (r * 0.7, 0.009),
        (r * 0.62, 0.006),
        (0, 0.006),
    ]
    base, rim = (232, 230, 222), tx.hue(random, 0.7, 0.6)
    picture = tx.stripes(random, [base] * 8 + [rim, rim] + [base] * 12, 22)
    return Thing("plate", (Part(lathe(curve(profile)), picture),), ("a flat round dish",))


def bottle(random: Random) -> Thing:
    r, h = random.uniform(0.032, 0.038), random.uniform(0.2, 0.25)
    profile = [
        (0, 0),
        (r - 0.003, 0),
        (r, 0.004),
        (r, h * 0.62),
        (r * 0.8, h * 0.72),
        (0.014, h * 0.84),
        (0.013, h * 0.93),
    ]
    base = tx.hue(random, 0.75, 0.5, random.uniform(0.97, 1.03))
    body = Part(lathe(curve(profile, 6)), tx.banded(random, base, (236, 232, 214), "KETCHUP", 0.36, 0.68))
    cap = Part(cylinder(0.0165, h * 0.1).moved(z=h * 0.9), tx.plain(random, tx.hue(random, 0.8, 0.6)))
    return Thing("ketchup bottle", (body, cap), ("sauce for fries",))


def cereal_box(random: Random) -> Thing:
    base, accent = tx.hue(random, 0.75, 0.85), tx.hue(random, 0.8, 0.5)
    mesh = box(random.uniform(0.15, 0.19), random.uniform(0.05, 0.065), random.uniform(0.22, 0.27), 0.001)
    return Thing(
        "cereal box", (Part(mesh, tx.printed(random, base, accent, "MUESLI")),), ("breakfast flakes in a carton",)
    )


def can(random: Random) -> Thing:
    r, h = 0.033, random.choice([0.102, 0.115])
    side = lathe(curve([(r, 0.005), (r, h - 0.005)], 8))
    base = tx.hue(random, 0.8, 0.65)
    lids = join([cylinder(r - 0.001, 0.006), cylinder(r - 0.001, 0.006).moved(z=h - 0.006)])
    label = tx.banded(random, base, tx.shade(base, 1.5), "BEANS", 0.3, 0.75)
    return Thing("food can", (Part(side, label), Part(lids, tx.plain(random, STEEL))), ("canned vegetables",))


def book(random: Random) -> Thing:
    w, d, h = random.uniform(0.14, 0.17), random.uniform(0.2, 0.24), random.uniform(0.022, 0.04)
    cover = tx.printed(
        random, tx.hue(random, 0.65, 0.55), tx.hue(random, 0.4, 0.9), str(random.choice(["ATLAS", "ROBOTS", "POEMS"]))
    )
    boards = [box(w, d, 0.0025, 0.0008).moved(z=z) for z in (0.0, h - 0.0025)]
    spine = box(0.003, d, h, 0.001).moved(x=-w / 2 + 0.0015)
    pages = box(w - 0.008, d - 0.008, h - 0.005, 0.0005).moved(z=0.0025)
    paper = tx.stripes(random, [(236, 230, 214), (206, 199, 180)], 64)
    return Thing("book", (Part(join([*boards, spine]), cover), Part(pages, paper)), ("something to read",))


def laptop(random: Random) -> Thing:
    w, d = 0.32, 0.22
    shell = tx.plain(random, (160, 163, 170), 0.02)
    base = box(w, d, 0.016, 0.004)
    deck = plate(w - 0.012, d - 0.012).moved(z=0.0165)
    tilt = 90 - random.uniform(12, 25)

    def lid(mesh: Mesh) -> Mesh:
        return mesh.moved(y=d / 2).turned("x", tilt).moved(y=d / 2 - 0.002, z=0.012)

    back, front = lid(box(w, d, 0.007, 0.003)), lid(plate(w - 0.016, d - 0.016).moved(z=0.0075))
    parts = (Part(join([base, back]), shell), Part(deck, tx.keyboard(random)), Part(front, tx.screen(random)))
    return Thing("laptop", tuple(Part(p.mesh.moved(y=-0.03), p.texture) for p in parts), ("a portable computer",))


def banana(random: Random) -> Thing:
    path = arc(0.1, 205, 335, 22)[:, [0, 2, 1]]  # lies on its side
    t = np.linspace(0, 1, 22)
    radius = 0.018 * np.clip(np.sin(np.pi * (0.06 + 0.88 * t)) ** 0.45, 0.28, 1)
    mesh = tube(path, radius, 12).moved(y=0.088, z=0.018)
    peel = tx.speckled(random, (232, 200, 52), (120, 84, 30), 26, 2.5)
    peel[:14], peel[-14:] = (92, 74, 40), (110, 96, 44)
    return Thing("banana", (Part(mesh, peel),), ("a yellow fruit",))


def apple(random: Random) -> Thing:
    r = random.uniform(0.034, 0.04)
    a = np.linspace(0, np.pi, 26)
    profile = [
        (
            r * np.sin(t) * (1 + 0.12 * np.cos(t) * -1),
            r * (1 - np.cos(t)) * 0.95 - 0.35 * r * np.exp(-((t - np.pi) ** 2) / 0.12),
        )
        for t in a
    ]
    low = min(z for _, z in profile)
    mesh = lathe([(x, z - low) for x, z in profile])
    stem = tube(np.array([[0, 0, 1.45 * r], [0.002, 0, 1.8 * r], [0.006, 0, 2.1 * r]]), 0.0018, 8)
    skin = tx.speckled(random, (178, 32, 36), (214, 150, 60), 90, 2.2)
    return Thing("apple", (Part(mesh, skin), Part(stem, tx.plain(random, (88, 62, 36)))), ())


def tennis_ball(random: Random) -> Thing:
    felt = tx.fabric(random, (190, 214, 62))
    felt[118:126] = felt[40:44] = (238, 240, 226)
    return Thing("tennis ball", (Part(ball(0.033), felt),), ("sports equipment for a racket game",))


def marker(random: Random) -> Thing:
    color = tx.hue(random, 0.85, 0.6)
    body = cylinder(0.009, 0.085, 0.0015, 20).turned("y", 90).moved(x=-0.065, z=0.009)
    cap = cylinder(0.0098, 0.045, 0.002, 20).turned("y", 90).moved(x=0.02, z=0.0098)
    return Thing(
        "marker pen",
        (Part(body, tx.plain(random, (226, 226, 224))), Part(cap, tx.plain(random, color))),
        ("something to draw with",),
    )


def sponge(random: Random) -> Thing:
    foam = Part(box(0.11, 0.07, 0.022, 0.004), tx.speckled(random, (236, 204, 84), (190, 150, 40), 130, 2.0))
    scourer = Part(
        box(0.11, 0.07, 0.009, 0.002).moved(z=0.022), tx.speckled(random, (44, 122, 70), (30, 84, 48), 160, 1.6)
    )
    return Thing("sponge", (foam, scourer), ("something that soaks up water",))


def desk_lamp(random: Random) -> Thing:
    color = tx.hue(random, 0.6, 0.4)
    foot = cylinder(0.075, 0.018, 0.004)
    path = np.array([[0, 0, 0.01], [0, 0, 0.12], [-0.05, 0, 0.26], [-0.02, 0, 0.37], [0.06, 0, 0.42]])
    t = np.linspace(0, 1, 30)
    bent = np.stack([np.interp(t, np.linspace(0, 1, 5), path[:, k]) for k in range(3)], axis=1)
    shade = lathe(curve([(0.02, 0.07), (0.026, 0.068), (0.07, 0), (0.068, 0), (0.022, 0.066)], 5))
    head = shade.turned("y", 30).moved(x=0.06, z=0.36)
    metal = Part(join([foot, tube(bent, 0.008)]), tx.plain(random, STEEL if random.random() < 0.5 else BLACK))
    return Thing("desk lamp", (metal, Part(head, tx.plain(random, color))), ("something that gives light",))


def teapot(random: Random) -> Thing:
    a = np.linspace(0.35, np.pi - 0.45, 16)
    belly = [(0.068 * np.sin(t), 0.055 * (1 - np.cos(t)) / 0.97) for t in a]
    low = belly[0][1]
    top = belly[-1][1] - low
    body = lathe(
        [(0, 0), *[(x, z - low) for x, z in belly], (0.03, top + 0.004), (0.012, top + 0.012), (0.0, top + 0.014)]
    )
    knob = ball(0.011, 10, 16).moved(z=top + 0.011)
    spout = tube(
        np.array([[0.055, 0, 0.035], [0.085, 0, 0.05], [0.098, 0, 0.078], [0.115, 0, 0.094]]),
        np.array([0.016, 0.012, 0.009, 0.007]),
    )
    handle = tube(arc(0.036, 80, 280, 18) * [1.05, 1, 1] + [-0.052, 0, 0.055], 0.0065)
    base = tx.hue(random, 0.5, 0.6)
    glaze = tx.stripes(random, [base, base, tx.shade(base, 1.35), base, tx.shade(base, 0.65)], 20)
    return Thing(
        "teapot",
        (Part(body, glaze), Part(join([knob, spout, handle]), tx.plain(random, base))),
        ("a pot for brewing tea",),
    )


def tissue_box(random: Random) -> Thing:
    color = tx.hue(random, 0.35, 0.8)
    carton = Part(box(0.22, 0.115, 0.08, 0.002), tx.wallpaper(random, color))
    paper = cushion(0.09, 0.05, 0.07, 0.8).moved(z=0.06)
    return Thing("tissue box", (carton, Part(paper, tx.fabric(random, (240, 240, 238)))), ("paper handkerchiefs",))


def alarm_clock(random: Random) -> Thing:
    color = tx.hue(random, 0.7, 0.55)
    case = cylinder(0.05, 0.035, 0.006).turned("x", 90).moved(y=0.0175, z=0.056)
    feet = join([tube(np.array([[s * 0.03, 0, 0.0], [s * 0.026, 0, 0.02]]), 0.006) for s in (-1, 1)])
    face = np.full((256, 256, 3), (244, 242, 232), np.uint8)
    _draw_dial(face)
    dial = lathe([(0.0, 0.0), (0.043, 0.0)])
    flat = dial.vertices[:, :2] / 0.086 * [1, -1] + 0.5
    dial = Mesh(dial.vertices, dial.normals, flat, dial.triangles).turned("x", 90).moved(y=-0.0182, z=0.056)
    return Thing(
        "alarm clock",
        (Part(join([case, feet]), tx.plain(random, color)), Part(dial, face)),
        ("something that tells the time",),
    )


def _draw_dial(face: tx.Texture) -> None:
    for hour in range(12):
        a = np.radians(hour * 30)
        x, y = int(128 + 100 * np.sin(a)), int(128 - 100 * np.cos(a))
        tx.disc(face, (x, y), 8 if hour % 3 == 0 else 4, (30, 30, 34))
    cv2.line(face, (128, 128), (178, 98), (30, 30, 34), 8, cv2.LINE_AA)
    cv2.line(face, (128, 128), (100, 50), (30, 30, 34), 5, cv2.LINE_AA)


def potted_plant(random: Random) -> Thing:
    pot = lathe(
        curve(
            [(0, 0), (0.042, 0), (0.06, 0.09), (0.064, 0.09), (0.064, 0.1), (0.056, 0.1), (0.055, 0.085), (0, 0.085)], 3
        )
    )
    leaves = []
    for i in range(13):
        lean, length = random.uniform(15, 60), random.uniform(0.09, 0.16)
        t = np.linspace(0, 1, 10)
        bend = np.stack([length * t * (0.55 + 0.5 * t), np.zeros(10), length * t * (1 - 0.35 * t)], axis=1)
        leaf = tube(bend, 0.003 + 0.013 * np.sin(np.pi * t.clip(0.05, 0.98)), 10)
        leaves.append(leaf.turned("y", lean - 35).turned("z", i * 360 / 13 + random.uniform(-12, 12)).moved(z=0.08))
    green = tx.speckled(random, (58, 120, 52), (96, 160, 74), 60, 4)
    return Thing(
        "potted plant",
        (Part(pot, tx.plain(random, (176, 96, 62))), Part(join(leaves), green)),
        ("something green that needs watering",),
    )


Factory = Callable[[Random], Thing]
ALWAYS: tuple[Factory, ...] = (mug, bowl, bottle, cereal_box, book)
OFTEN: tuple[Factory, ...] = (
    *(mug, plate_dish, can, laptop, banana, apple, tennis_ball),
    *(marker, sponge, desk_lamp, teapot, tissue_box, alarm_clock, potted_plant),
)
