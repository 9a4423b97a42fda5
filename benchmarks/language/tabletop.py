"""A tabletop with things of a kind twice and one thing on another, and relation questions from its meshes.

The truth uses whole meshes and the axes of the camera, with wide margins; the code under test sees points of a map and
judges directions as seen from the camera. A question is made only where the answer is beyond doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.language.asking import Question
from ig_ros.simulation import objects
from ig_ros.simulation.scene import Scene, Thing
from ig_ros.simulation.tabletop import TABLE_ID, arrange
from ig_ros.types import FloatArray

WORDS = {"left": "left of", "right": "right of", "front": "in front of", "behind": "behind"}
OPPOSITE = {"left": "right", "right": "left", "front": "behind", "behind": "front"}
PER_SCENE = 10
EXTRA = 3  # things besides those that every scene has


def tabletop(seed: int, frames: int) -> Scene:
    """Two mugs, two books, an apple on the first of them, and more; the seed chooses what, how and where."""
    random = np.random.default_rng([seed, 77])
    kinds = [objects.mug, objects.mug, objects.book, objects.book, objects.bowl, objects.bottle, objects.cereal_box]
    twice = (objects.mug, objects.apple)
    pool = np.array([f for f in objects.OFTEN if f not in twice], dtype=object)
    chosen = [*kinds, *random.choice(pool, EXTRA, replace=False)]
    scene = arrange("tabletop", [factory(random) for factory in chosen], random, frames)
    book = scene.things[3]  # the table is the first thing
    low, high = book.bounds()
    apple = objects.apple(random).grounded()
    on_book = apple.at(*((low + high)[:2] / 2), float(high[2]) + 0.0005)
    lying = Thing("apple", on_book.parts, (), 4)
    return replace(scene, things=(*scene.things[: 1 + len(chosen)], lying, *scene.things[1 + len(chosen) :]))


@dataclass(frozen=True, slots=True)
class Meshes:
    """What stands on the table, in the axes of a camera laid flat: right, away, up."""

    ids: list[int]
    names: list[str]
    points: list[FloatArray]  # (V, 3) vertices each

    @property
    def center(self) -> FloatArray:
        return np.array([(p.min(0) + p.max(0)) / 2 for p in self.points])


def on_table(scene: Scene, T_world_camera: FloatArray) -> Meshes:
    """The things on the table, directly or on another one."""
    right = T_world_camera[:3, 0] * [1, 1, 0]
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross([0, 0, 1.0], right), [0, 0, 1.0]])
    ids = [i + 1 for i, t in enumerate(scene.things) if t.support >= TABLE_ID]
    things = [scene.things[i - 1] for i in ids]
    points = [np.concatenate([p.mesh.vertices for p in t.parts]) @ axes.T for t in things]
    return Meshes(ids, [t.name for t in things], points)


def holds(side: str, target: FloatArray, anchor: FloatArray, strict: bool) -> bool:
    """Whether a centre lies to that side of another: strictly within 27 degrees and 12 cm away, else within 45."""
    right, away = (target - anchor)[:2]
    along, aside = {"left": (-right, away), "right": (right, away), "front": (-away, right), "behind": (away, right)}[
        side
    ]
    return bool(along > (0.12 if strict else 0.03) and along > (2.0 if strict else 1.0) * abs(aside))


def relation_questions(scene: Scene, T_world_camera: FloatArray, seed: int) -> list[Question]:
    """PER_SCENE questions of mixed kinds for the observer at that pose."""
    random = np.random.default_rng([seed, 5])
    meshes = on_table(scene, T_world_camera)
    order = [int(i) for i in random.permutation(len(meshes.ids))]
    kinds = [
        (named_side(meshes, order), 2),
        (any_side(meshes, order), 2),
        (of_two(meshes, order), 1),
        (on_book(scene), 1),
        (false_side(meshes, order), 2),
        (nearest(meshes, order), 1),
        (between_two(meshes, order), 1),
    ]
    asked = [question for kind, count in kinds for question in islice(kind, count)]
    spare = named_side(meshes, order[::-1])
    return [*asked, *islice((q for q in spare if q not in asked), PER_SCENE - len(asked))]


def single(meshes: Meshes, i: int) -> bool:
    """Whether its name means one thing only, and it does not lie on or under another one."""
    return meshes.names.count(meshes.names[i]) == 1 and meshes.names[i] not in ("apple", "book")


def pairs(meshes: Meshes, order: list[int]) -> Iterator[tuple[int, int, str]]:
    """Target, anchor and the side on which the target clearly is; every anchor once, then again."""
    for shift in range(1, len(order)):
        for place, anchor in enumerate(order):
            target = order[(place + shift) % len(order)]
            for side in WORDS:
                if single(meshes, anchor) and holds(side, meshes.center[target], meshes.center[anchor], True):
                    yield target, anchor, side


def named_side(meshes: Meshes, order: list[int]) -> Iterator[Question]:
    """ "the bowl left of the laptop"."""
    for target, anchor, side in pairs(meshes, order):
        if single(meshes, target):
            yield Question(
                f"the {meshes.names[target]} {WORDS[side]} the {meshes.names[anchor]}", (meshes.ids[target],)
            )


def false_side(meshes: Meshes, order: list[int]) -> Iterator[Question]:
    """ "the bowl left of the laptop", where it is right of it."""
    for target, anchor, side in pairs(meshes, order[::-1]):
        if single(meshes, target):
            yield Question(f"the {meshes.names[target]} {WORDS[OPPOSITE[side]]} the {meshes.names[anchor]}", ())


def any_side(meshes: Meshes, order: list[int]) -> Iterator[Question]:
    """ "the thing left of the laptop": any thing that is."""
    for _, anchor, side in pairs(meshes, order[1:] + order[:1]):
        center = meshes.center
        fits = [i for i in range(len(center)) if i != anchor and holds(side, center[i], center[anchor], False)]
        yield Question(f"the thing {WORDS[side]} the {meshes.names[anchor]}", tuple(meshes.ids[i] for i in fits))


def of_two(meshes: Meshes, order: list[int]) -> Iterator[Question]:
    """ "the mug left of the laptop", where one of two mugs is on that side and the other one on the opposite."""
    mugs = [i for i, n in enumerate(meshes.names) if n == "mug"]
    for anchor in order:
        for side in WORDS:
            inside = [i for i in mugs if holds(side, meshes.center[i], meshes.center[anchor], True)]
            outside = [i for i in mugs if holds(OPPOSITE[side], meshes.center[i], meshes.center[anchor], False)]
            if single(meshes, anchor) and len(inside) == len(outside) == 1:
                yield Question(f"the mug {WORDS[side]} the {meshes.names[anchor]}", (meshes.ids[inside[0]],))


def on_book(scene: Scene) -> Iterator[Question]:
    """ "the thing on the book", and the book that carries it."""
    apple = next(i + 1 for i, t in enumerate(scene.things) if t.name == "apple" and t.support)
    yield Question("the thing on the book", (apple,))
    yield Question("the book under the apple", (scene.things[apple - 1].support,))


def nearest(meshes: Meshes, order: list[int]) -> Iterator[Question]:
    """ "the object closest to the bowl", where the second one is 3 cm further away."""
    for anchor in order:
        tree = cKDTree(meshes.points[anchor])
        gaps = np.array([tree.query(p)[0].min() for p in meshes.points])
        gaps[anchor] = np.inf
        first, second = np.argsort(gaps)[:2]
        if single(meshes, anchor) and gaps[second] - gaps[first] > 0.03:
            yield Question(f"the object closest to the {meshes.names[anchor]}", (meshes.ids[first],))


def between_two(meshes: Meshes, order: list[int]) -> Iterator[Question]:
    """ "the thing between the bowl and the laptop", for what is near the line and the only one at all near it."""
    center = meshes.center[:, :2]
    for a in order:
        for b in order:
            if a >= b or not (single(meshes, a) and single(meshes, b)):
                continue
            line = center[b] - center[a]
            along = (center - center[a]) @ line / (line @ line)
            aside = np.linalg.norm(center - center[a] - along[:, None] * line, axis=1) / np.linalg.norm(line)
            near = [i for i in order if i not in (a, b) and 0 < along[i] < 1 and aside[i] < 0.4]
            if len(near) == 1 and 0.25 < along[near[0]] < 0.75 and aside[near[0]] < 0.2:
                text = f"the thing between the {meshes.names[a]} and the {meshes.names[b]}"
                yield Question(text, (meshes.ids[near[0]],))
