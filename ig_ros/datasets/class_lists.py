"""The NYU40 classes of ScanNet's benchmark and the lists of 19, 15 and 10 of them that the papers report."""

from __future__ import annotations

from collections.abc import Mapping

UNLABELLED = 0
OTHER_PROP = 40  # what NYU40 calls every small thing without a class of its own

NYU40: Mapping[int, str] = dict(
    enumerate(
        (
            "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf",
            "picture", "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat",
            "clothes", "ceiling", "books", "refrigerator", "television", "paper", "towel", "shower curtain", "box",
            "whiteboard", "person", "night stand", "toilet", "sink", "lamp", "bathtub", "bag", "other structure",
            "other furniture", "other prop",
        ),
        start=1,
    )
)  # fmt: skip

CLASSES_19 = (*range(1, 13), 14, 16, 24, 28, 33, 34, 36)
CLASSES_15 = (*range(1, 11), 12, 14, 16, 33, 34)
CLASSES_10 = (1, 2, *range(4, 11), 33)

BACKGROUND = frozenset((1, 2, 22))  # wall, floor, ceiling: nobody asks a robot to fetch them


def nyu40_class(name: str) -> int:
    """NYU40 id of a thing's name: the class called so, else the one its last word names, else "other prop"."""
    ids = {text: i for i, text in NYU40.items()}
    words = name.strip().lower()
    return ids.get(words) or ids.get(words.split(" ")[-1]) or OTHER_PROP
