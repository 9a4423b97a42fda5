"""What an object is called, and how probable that is, from the names that its views gave it. Pure functions.

Views of one thing err together, so their names are counts of a Dirichlet-multinomial: three equal ones out of a
detector that errs in a tenth are no proof. A view that saw the object and named nothing speaks for a thing that the
detector does not know, and so does a size that nothing of the name has. docs/method.md derives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import inf, lgamma, log

import numpy as np
import yaml

from ig_ros.language.lexicon import ENTRY_OF, NAMES
from ig_ros.types import FloatArray, Masks

VOCABULARY = 20  # kinds that a detector can name at least, however few are in a map
ERROR = 0.1  # share of a detector's names that are wrong
ALIKE = 2.0  # how many views say all that the others would: the concentration of the names over a thing's views
FOUND = (1.0, 1.0)  # Beta of how often a thing that the detector knows is named: nothing is known beforehand
INVENTED = (0.5, 9.5)  # Beta of how often a thing that it does not know is named: once in twenty views
ODD = 0.02  # how probable the farthest size is beside a usual one: objects are merged and cut, too
SPREAD = log(1.5)  # logarithm of the factor beyond the typical range at which a size is unusual


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How the masks of a map are named."""

    kinds: int = VOCABULARY  # so many different ones
    score: float = 1.0  # mean of those that have a name

    @staticmethod
    def of(masks: Iterable[Masks]) -> Vocabulary:
        """Returns that of all masks of a map."""
        names, scores = set(), []
        for some in masks:
            named = {mask: name for mask, name in some.names.items() if name.strip()}
            names.update(kind_of(name) for name in named.values())
            scores += [s for s in (some.scores.get(mask, 1.0) for mask in named) if s > 0]
        return Vocabulary(len(names), float(np.mean(scores)) if scores else 1.0)


@cache
def size_ranges() -> dict[str, tuple[float, float]]:
    """Returns entry of the lexicon -> the range of its longest edge, m."""
    groups = yaml.safe_load(files("ig_ros.language").joinpath("sizes.yaml").read_bytes())
    return {" ".join(name.split()): tuple(g["range"]) for g in groups for name in g["things"].split(",")}


def kind_of(name: str) -> str:
    """Returns the lexicon's name for a name: one for those that people use for the same thing, else the name itself."""
    words = " ".join(name.lower().replace("_", " ").split())
    return words if words in NAMES and words not in ENTRY_OF else ENTRY_OF.get(words, words)


def size_fit(name: str, longest: float) -> float:
    """Returns in [ODD, 1] how usual so long an edge (m) is of a thing of this name; 1 where nothing is known."""
    kind = kind_of(name)
    low, high = size_ranges().get(kind) or size_ranges().get(kind.split()[-1] if kind else "", (0.0, inf))
    if longest <= 0 or low <= longest <= high:
        return 1.0
    beyond = log(low / longest if longest < low else longest / high) / SPREAD
    return ODD + (1 - ODD) * float(np.exp(-0.5 * beyond**2))


def name_probabilities(votes: Mapping[str, float], silent: float, names: int, longest: float = 0.0) -> dict[str, float]:
    """Returns kind -> probability that the object is one, of the kinds that were named; the rest is something else.

    votes: name -> weight of the views that gave it; silent: weight of the views that saw the object and gave none;
    names: how many kinds the masks of this map name; longest: the object's longest edge, m, 0 = not known.
    """
    kinds: dict[str, float] = {}
    for name, weight in votes.items():
        kinds[kind_of(name)] = kinds.get(kind_of(name), 0.0) + weight
    if not kinds:
        return {}
    named, others = sum(kinds.values()), max(names, VOCABULARY, len(kinds) + 1) - 1
    right, wrong = ALIKE * (1 - ERROR), ALIKE * ERROR / others
    counts = np.array(list(kinds.values()))
    # log-odds of "this kind" and of "another kind, which no view named" against names out of the blue
    as_wrong = np.array([polya(c, wrong) for c in counts])
    as_right = np.array([polya(c, right) for c in counts])
    this = as_wrong.sum() - as_wrong + as_right + [log(size_fit(kind, longest)) for kind in kinds]
    unseen = as_wrong.sum() + log(max(others + 1 - len(kinds), 1))
    known = beta_odds(named, silent, FOUND) - log(others + 1)
    nothing = sum(polya(c, ALIKE / (others + 1)) for c in counts) + beta_odds(named, silent, INVENTED)
    logs = np.array([*(this + known), unseen + known, nothing])
    share = np.exp(logs - logs.max())
    return dict(zip(kinds, (share / share.sum()).tolist(), strict=False))


def polya(count: float, strength: float) -> float:
    """Returns the logarithm of how probable a name with this Dirichlet strength makes so many views of it."""
    return lgamma(count + strength) - lgamma(strength)


def beta_odds(named: float, silent: float, prior: tuple[float, float]) -> float:
    """Returns the logarithm of how probable so many named and silent views are under a Beta prior of the share."""
    a, b = prior
    return (
        lgamma(a + named) + lgamma(b + silent) - lgamma(a + b + named + silent) - lgamma(a) - lgamma(b) + lgamma(a + b)
    )


def weighed(scores: FloatArray, certainty: FloatArray, threshold: float) -> tuple[FloatArray, float]:
    """Returns (S,) the probabilities that the objects answer, and the least one that is an answer.

    scores (S,) say how well the text fits the objects' labels, certainty (S,) how probable the labels are. What does
    not fit a label is no answer, and neither is one that is more likely wrong than right.
    """
    fits, likely = scores >= threshold, scores * certainty
    if not fits.any():
        return likely, threshold
    likely = np.where(fits, likely, 0.0)
    return likely, max(threshold * float(certainty[likely.argmax()]), min(threshold, 0.5))
