"""What is run: one map per row of the page. Everything that decides a figure stands in a `Row`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.quality.pool import DONE, ROOT, code_version
from benchmarks.reality.perturbations import PERTURBATIONS, Strength

KITCHEN, TABLETOPS, PERTURBED = "kitchen", "tabletops", "perturbations"
SCENES = ("sim:tabletop?seed=11&width=640",)
# What every column of the perturbation table maps with; "plain fusion" is judged on the keyframes of the second.
OURS, OFF, FUSION = "ours", "ours, refinement off", "mask fusion"
COLUMNS: dict[str, dict[str, Any]] = {OURS: {}, OFF: {"poses.refine": "off"}}
TABLETOP_FOLDER = ROOT.parent / "shared/data/tabletops"
PERTURBED_STEPS, KITCHEN_STEPS = 400, 1200
KITCHEN_ROWS: dict[str, tuple[str, dict[str, Any]]] = {  # name -> which cameras (kitchen.py), settings
    "RGB-D, registered": ("registered", {}),
    "RGB-D, registered, poses as recorded": ("registered", {"poses.refine": "off"}),
    "RGB-D, as recorded": ("recorded", {}),
    "RGB only": ("none", {}),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One map, and everything measured on it."""

    part: str
    name: str
    steps: int
    column: str = ""
    scene: str = ""  # for `open_dataset`, or which cameras the kitchen is read with
    strength: Strength = field(default_factory=Strength)
    settings: dict[str, Any] = field(default_factory=dict)  # of the mapper, dotted names

    @property
    def key(self) -> str:
        """Unique, and fit for a file name."""
        words = (self.part, self.scene if self.part == PERTURBED else "", self.name, self.column)
        return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


def plan(quick: bool, only: str | None, steps: float) -> list[Row]:
    """Returns all rows, the slow ones first; `quick` is a look at every part that means nothing."""
    rows = [
        Row(KITCHEN, name, round(KITCHEN_STEPS * steps), "", scene, settings=settings)
        for name, (scene, settings) in KITCHEN_ROWS.items()
    ]
    rows.append(Row(TABLETOPS, "geometric segmenter", 0))
    scenes = [s.replace("width=640", "width=160&frames=16") for s in SCENES] if quick else SCENES
    rows += [
        Row(PERTURBED, name, round(PERTURBED_STEPS * steps), column, scene, strength, settings)
        for scene in scenes
        for name, strength in PERTURBATIONS.items()
        for column, settings in COLUMNS.items()
    ]
    chosen = [r for r in rows if only in (None, r.part)]
    if not quick:
        return chosen
    small = {"keyframes.max_speed": 1000.0}
    return [dataclasses.replace(r, steps=min(r.steps, 20), settings=r.settings | small) for r in chosen]


def version() -> str:
    """Returns a fingerprint of every source a figure depends on."""
    digest = hashlib.sha256(code_version().encode())
    for name in ("perturbations", "rows", "kitchen", "perturbed"):
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return digest.hexdigest()[:16]


def path_of(row: Row, out: Path) -> Path:
    """Returns where a row's figures go."""
    return out / "rows" / f"{row.key}.json"


def is_done(row: Row, out: Path, code: str) -> bool:
    """Whether the row has figures of the same code and settings."""
    path = path_of(row, out)
    old = json.loads(path.read_text()) if path.is_file() else {}
    return (
        old.get("code") == code
        and old["status"] == DONE
        and old["row"] == json.loads(json.dumps(dataclasses.asdict(row)))
    )
