"""The goals of the project beside what was measured; a run prints them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.quality.plan import DOUBLE, FULL, NOISY, REPEATING, RGB, VARIANTS
from benchmarks.quality.reference import TABLE_5
from benchmarks.quality.results import Results, Spread, count_error, mean, metric, spread_of
from benchmarks.quality.structure import LARGE
from benchmarks.quality.sweeps import OURS, PAPER, SWEPT

INSTANCE_GOALS = (  # condition, kind, metric, at least
    (NOISY, "tabletop", "miou", 94), (NOISY, "tabletop", "ma50", 98),
    (NOISY, "room", "miou", 90), (NOISY, "room", "ma50", 95),
    (NOISY, "scanned", "miou", 90), (NOISY, "scanned", "ma50", 96),
    (RGB, "tabletop", "miou", 82), (RGB, "room", "miou", 72), (RGB, "scanned", "miou", 75),
    (REPEATING, "tabletop", "miou", 92), (REPEATING, "room", "miou", 85), (REPEATING, "scanned", "miou", 85),
)  # fmt: skip
MARGINS = {  # mIoU points by which ours is to lead on RGB-D; other rows: by any
    "training-free consensus": 3, "plain mask fusion": 25, "mask fusion": 25, "mask fusion + words": 25,
    "HDBSCAN on features": 25, "HDBSCAN on features + position": 25, "two-level codebook": 25,
}  # fmt: skip
WORDS = {"miou": "instance mIoU", "ma50": "mA50"}


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal and what was measured of it."""

    text: str
    wanted: str
    measured: str
    reached: bool | None  # None: not measured in this run


def at_least(text: str, wanted: float, found: Spread | None) -> Goal:
    """A figure that is to be no lower than wanted."""
    return Goal(text, f"≥ {wanted:g}", str(found) if found else "-", found.mean >= wanted if found else None)


def at_most(text: str, wanted: float, found: Spread | None) -> Goal:
    """A figure that is to be no higher than wanted."""
    return Goal(text, f"≤ {wanted:g}", str(found) if found else "-", found.mean <= wanted if found else None)


def goals(results: Results) -> list[Goal]:
    """All goals in the order in which they were set."""
    parts: tuple[Callable[[Results], Iterator[Goal]], ...] = (
        levels, language_and_counts, margins, ablation, forgiving, structure, robustness,
    )  # fmt: skip
    return [goal for part in parts for goal in part(results)]


def levels(results: Results) -> Iterator[Goal]:
    """Instance quality per kind of scene and condition."""
    for condition, kind, name, wanted in INSTANCE_GOALS:
        found = mean(results.select(condition, kind), OURS, name)
        yield at_least(f"ours, {condition}, {kind}: {WORDS[name]}", wanted, found)


def language_and_counts(results: Results) -> Iterator[Goal]:
    """Semantics with label masks, and the number of instances."""
    yield at_least("semantic mIoU with label masks", 80, mean(results.select(), OURS, "semantic", "all", "miou"))
    for condition in (NOISY, RGB, REPEATING):
        text = f"{condition}: number of instances, error in % of truth, mean over scenes"
        yield at_most(text, 10, count_error(results.select(condition), OURS))


def margins(results: Results) -> Iterator[Goal]:
    """By how much ours leads each other row, over the scenes where both ran."""
    for condition in (NOISY, RGB):
        entries = results.select(condition)
        for name in (n for n in results.methods(condition) if n != OURS):
            found = spread_of(_lead(e, name) for e in entries)
            wanted = MARGINS.get(name, 0) if condition == NOISY else 0
            if found is None:  # needs depth: cannot run at all
                continue
            reached = found.mean >= wanted if wanted else found.mean > 0
            yield Goal(
                f"{condition}: ours above {name}, mIoU points", f"≥ {wanted}" if wanted else "> 0", str(found), reached
            )


def _lead(entry: dict[str, Any], name: str) -> float | None:
    mine, theirs = metric(entry, OURS, "miou"), metric(entry, name, "miou")
    return mine - theirs if mine is not None and theirs is not None else None


def ablation(results: Results) -> Iterator[Goal]:
    """Joint and joint is the best row of Table 4, feature and voxel the best of Table 5's aggregations."""
    for row in (OURS, PAPER):
        yield best(
            "best in Table 4 by " + row, FULL, {v: mean(results.select(variant=v), row, "miou") for v in VARIANTS}
        )
    rows = {name: mean(results.select(), name, "miou") for name in TABLE_5 if name != OURS}
    yield best("best in Table 5 but ours", PAPER, rows)


def best(text: str, wanted: str, found: dict[str, Spread | None]) -> Goal:
    """The row that is to have the highest mean."""
    known = {name: value for name, value in found.items() if value is not None}
    if wanted not in known or len(known) < 2:
        return Goal(text, wanted, "-", None)
    winner = max(known, key=lambda name: known[name].mean)
    measured = f"{winner} ({known[winner].mean:.1f}; {wanted}: {known[wanted].mean:.1f})"
    return Goal(text, wanted, winner if winner == wanted else measured, winner == wanted)


def forgiving(results: Results) -> Iterator[Goal]:
    """How far a parameter moves instance mIoU: sd over its values, mean over scenes."""
    for parameter, values in SWEPT.items():
        text = f"{parameter} from {values[0]:g} to {values[-1]:g}{' x default' if parameter == 'gamma' else ''}"
        deviations = [
            statistics.pstdev(v["miou"] for v in e["sweeps"][OURS][parameter].values())
            for e in results.select()
            if "sweeps" in e
        ]
        yield at_most(f"{text}: sd of instance mIoU", 4, spread_of(deviations))


def structure(results: Results) -> Iterator[Goal]:
    """Large things come out as one."""
    for name in LARGE:
        found = [100.0 * one for e in results.select() for one in e["structure"].get(name, [])]
        yield at_least(f"{name}: one instance, % of those there are", 80, spread_of(found))


def robustness(results: Results) -> Iterator[Goal]:
    """Instance mIoU lost at twice the mask errors, per scene."""
    usual = {e["job"]["scene"]: metric(e, OURS, "miou") for e in results.select()}
    losses = []
    for e in results.select(DOUBLE):
        before, after = usual.get(e["job"]["scene"]), metric(e, OURS, "miou")
        losses.append(before - after if before is not None and after is not None else None)
    yield at_most("mIoU points lost at twice the mask errors", 10, spread_of(losses))
