"""Values by name that differ from the defaults, chosen with the parameter `preset`; what is set explicitly wins."""

from __future__ import annotations

ROOM: dict[str, object] = {  # a few metres, seen from inside
    "keyframes.min_translation": 0.1,
    "keyframes.min_rotation": 8.0,
    "seeding.voxel": 0.03,
}

TABLETOP: dict[str, object] = {  # things of some centimetres, seen from an arm's length or two
    "input.max_depth": 4.0,
    "keyframes.min_translation": 0.03,
    "seeding.voxel": 0.015,
}

PRESETS: dict[str, dict[str, object]] = {"room": ROOM, "tabletop": TABLETOP}
