"""Maps for the written questions: things of simple shapes at known places, as points that some camera sees."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import yaml

from benchmarks.language.maps import Map, boxed
from ig_ros.language import LabelEncoder, learn_threshold
from ig_ros.simulation import textures as tx
from ig_ros.simulation.mesh import Mesh, ball, box, cylinder, join, lathe
from ig_ros.simulation.render import Renderer
from ig_ros.simulation.scene import Part, Scene, Thing, area_lamp, look_at
from ig_ros.simulation.truth import scene_truth
from ig_ros.types import Camera, Instances, MapSnapshot

LAYOUTS = yaml.safe_load((Path(__file__).parent / "layouts.yaml").read_text())
COLORS = {
    "red": (190, 25, 30), "orange": (225, 130, 40), "yellow": (230, 210, 50), "green": (40, 150, 60),
    "blue": (35, 70, 190), "purple": (120, 50, 150), "brown": (130, 85, 50), "black": (25, 25, 28),
    "grey": (125, 125, 128), "white": (235, 235, 232),
}  # fmt: skip
SPACING, NOISE = 0.011, 0.003  # m between points, m of error
CAMERA = Camera(np.array([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]]), 640, 480)
EYES = [(2.4, 0.4, 1.9), (1.6, 1.4, 2.1), (-1.6, 1.4, 2.1), (-2.4, 0.4, 1.9), (-1.6, -1.6, 1.3), (1.6, -1.6, 1.3),
        (0.9, -2.2, 0.5), (-0.9, -2.2, 0.5), (0, 0, 2.6), (0.02, -1.3, 2.2), (0, -2.3, 1.6)]  # fmt: skip


def shaped(spec: str) -> Mesh:
    """A mesh on z = 0 from its shape and lengths, e.g. "table 1.6 .8 .74"."""
    shape, *numbers = spec.split()
    a, b, c = [*map(float, numbers), 0.0, 0.0][:3]
    if shape in ("cup", "bowl"):  # radius and height; a wall of 4 mm
        foot = a if shape == "cup" else 0.55 * a
        return lathe([(0, 0), (foot, 0), (foot, 0), (a, b), (a - 0.004, b), (foot - 0.004, 0.006), (0, 0.006)])
    if shape == "lamp":
        return join([cylinder(a, 0.02), cylinder(0.012, b), cylinder(a, 0.12).moved(z=b)])
    if shape == "laptop":
        return join([box(a, b, 0.02), box(a, 0.012, 0.2).moved(0, b / 2, 0.02)])
    if shape in ("table", "chair"):
        leg = [
            box(0.04, 0.04, c - 0.03).moved(x * (a / 2 - 0.04), y * (b / 2 - 0.04)) for x in (-1, 1) for y in (-1, 1)
        ]
        back = [box(a, 0.03, 0.45).moved(0, -b / 2, c)] if shape == "chair" else []
        return join([box(a, b, 0.03).moved(z=c - 0.03), *leg, *back])
    if shape == "sofa":
        return join([box(a, b, c), box(a, 0.15, 0.4).moved(0, b / 2 - 0.07, c)])
    if shape == "shelf":  # boards in reach from -y, back closed in x
        boards = [box(a, b, 0.04).moved(z=z) for z in np.linspace(0.02, c, 4)]
        return join([*boards, *(box(a, 0.03, c).moved(0, s * b / 2) for s in (-1, 1))])
    if shape == "tray":
        return open_box(a, b, c)
    if shape == "drawers":  # the top one pulled out towards -y
        return join([box(a, b, c), open_box(a - 0.03, 0.2, 0.07).moved(0, -b / 2 - 0.1, c - 0.08)])
    return {"box": lambda: box(a, b, c), "cylinder": lambda: cylinder(a, b), "ball": lambda: ball(a)}[shape]()


def open_box(width: float, depth: float, height: float) -> Mesh:
    """A floor with four walls of 1 cm."""
    sides = [box(width, 0.01, height).moved(0, s * depth / 2) for s in (-1, 1)]
    ends = [box(0.01, depth, height).moved(s * width / 2) for s in (-1, 1)]
    return join([box(width, depth, 0.01), *sides, *ends])


def layout_map(name: str, encoder: LabelEncoder) -> tuple[Map, dict[str, int]]:
    """The map, and the id of every key of its layout."""
    begin = time.perf_counter()
    rows = LAYOUTS[name]
    origin = np.array(rows[0][3] if rows[0][0] == "offset" else (0, 0, 0), float)
    rows = [row for row in rows if row[0] != "offset"]
    random = np.random.default_rng(len(rows))
    things = []
    for _, label, spec, place, color, *turn in rows:
        part = Part(shaped(spec), tx.plain(random, COLORS[color]))
        things.append(Thing(label, (part,)).at(*map(float, place), *map(float, turn)))
    path = np.stack([look_at(np.array(eye), np.array([0, 0.1, 0.6])) for eye in EYES])
    scene = Scene(name, tuple(things), (area_lamp(0.3, -0.3, 2.35, 0.2, 3.0),), path, (), SPACING)
    truth = scene_truth(scene, Renderer(scene), CAMERA, lambda _: np.zeros((1, 1), np.int32))
    points = truth.points + random.normal(0, NOISE, truth.points.shape) + origin
    objects = tuple(boxed(int(i), truth.names[int(i)], points[truth.ids == i], 9) for i in np.unique(truth.ids))
    embeddings = encoder.encode_labels([o.label for o in objects])
    ones = np.ones(len(points), np.float32)
    ids, threshold = truth.ids.astype(np.int32), learn_threshold(encoder, embeddings)
    instances = Instances(ids, ones, objects, embeddings, encoder.name, threshold)
    view = path[-1].copy()
    view[:3, 3] += origin
    colors = np.asarray(truth.colors)
    snapshot = MapSnapshot(1, 0, 0, points, colors, ones, instances, view)
    keys = {row[0]: i for i, row in enumerate(rows, start=1)}
    return Map(snapshot, {o.id: o.id for o in objects}, time.perf_counter() - begin), keys
