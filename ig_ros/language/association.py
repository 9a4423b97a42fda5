"""Label, embedding and threshold of a map's objects, from the masks that showed them [OG 3.3]. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ig_ros.errors import EncoderError
from ig_ros.language.encoders import Encoder, FusedEncoder, ImageEncoder, LabelEncoder, normalized
from ig_ros.language.naming import Vocabulary, kind_of, name_probabilities
from ig_ros.types import FloatArray


@dataclass(frozen=True, slots=True)
class MaskObservation:
    """One mask of one keyframe that matched the object."""

    name: str  # label of the mask, "" = unnamed
    score: float  # the segmenter's confidence in the mask, [0, 1]
    embedding: FloatArray | None  # (E,) of the mask's image region
    weight: float  # IoU of the mask's points and those of the object that the view shows, [0, 1]
    view: int  # which of the views; several masks of one view may show parts of one object


@dataclass(frozen=True, slots=True)
class Description:
    """The words of one object."""

    label: str  # "" when no mask named it
    embedding: FloatArray  # (E,) float32 unit norm; zero = nothing known
    views: int  # in which a mask was accepted
    certainty: float = 1.0  # probability that the label is right; 1 without one


def describe(
    observations: Sequence[MaskObservation], encoder: Encoder | None, accept: float = 0.0, min_views: int = 1,
    vocabulary: Vocabulary | None = None, longest: float = 0.0,
) -> Description:  # fmt: skip
    """Finds the most probable label and averages the embedding; below `accept` an observation is ignored.

    Each counts weight x score for its name, the score as a share of the usual one of the map's masks, at most 1:
    detectors are not calibrated, some never say more than 0.5. One without a name counts its weight for a thing that
    the segmenter does not know (naming.py). longest: the object's longest edge, m, 0 = not known.

    The papers multiply the IoU with a feature score [OG 3.3]. It is left out here: online, features of new ground
    are not trained yet, so the score would tell new objects from old ones and not right masks from wrong ones.
    An object accepted in fewer than `min_views` views gets no label and a zero embedding.
    Raises EncoderError when a mask's embedding has another length than the encoder's.
    """
    used = [s for s in observations if s.weight > accept and s.score > 0]
    views = len({s.view for s in used})
    if views < min_views:
        return Description("", embedding_of([], {}, encoder), views)
    known = vocabulary or Vocabulary()
    votes = label_votes(used, known.score)
    silent = sum(s.weight for s in used if not s.name.strip())
    kinds = name_probabilities(votes, silent, known.kinds, longest)
    if not kinds:
        return Description("", embedding_of(used, {}, encoder), views)
    best = max(kinds, key=lambda kind: (kinds[kind], kind))
    total = {kind: sum(v for n, v in votes.items() if kind_of(n) == kind) for kind in kinds}
    shares = {name: kinds[kind_of(name)] * vote / total[kind_of(name)] for name, vote in votes.items()}
    label = max((n for n in votes if kind_of(n) == best), key=lambda name: (votes[name], name))
    return Description(label, embedding_of(used, shares, encoder), views, kinds[best])


def embedding_of(used: Sequence[MaskObservation], votes: Mapping[str, float], encoder: Encoder | None) -> FloatArray:
    """(E,) float32 from what the observations show, what they are called, or both side by side."""
    if isinstance(encoder, FusedEncoder):
        return np.concatenate([embedding_of(used, votes, half) for half in (encoder.image, encoder.label)])
    if isinstance(encoder, ImageEncoder):
        return mean_embedding(used, encoder)
    if isinstance(encoder, LabelEncoder) and votes:
        return normalized(np.array(list(votes.values())) @ encoder.encode_labels(list(votes)))
    return np.zeros(encoder.dimension if encoder is not None else 0, np.float32)


def label_votes(observations: Sequence[MaskObservation], usual: float = 1.0) -> dict[str, float]:
    """Summed weight x score, as a share of the usual one, per label; labels that differ in case or outer blanks
    only are one."""
    votes: dict[str, float] = defaultdict(float)
    for s in observations:
        if s.name.strip():
            votes[s.name.strip().lower()] += s.weight * min(1.0, s.score / usual)
    return dict(votes)


def mean_embedding(observations: Sequence[MaskObservation], encoder: Encoder) -> FloatArray:
    """(E,) weighted mean of the views' embeddings, unit norm, zero when no view has one."""
    total = np.zeros(encoder.dimension)
    for s in observations:
        if s.embedding is None:
            continue
        if s.embedding.shape != (encoder.dimension,):
            raise EncoderError(
                f"masks carry embeddings of length {s.embedding.size}, the encoder {encoder.name} has "
                f"{encoder.dimension}: set language.encoder to the one that made them"
            )
        total += s.weight * s.score * s.embedding
    return normalized(total)


ABSENT_SHARE = 0.08  # share of the canonical phrases, none of which is on a map, that a learnt threshold lets through
THRESHOLDS = (0.3, 0.8)  # a learnt threshold stays within these
CANONICAL = (
    "elephant", "giraffe", "horse", "cow", "whale", "airplane", "helicopter", "ship", "train", "truck", "tractor",
    "motorcycle", "bridge", "cathedral", "lighthouse", "windmill", "mountain", "river", "cloud", "moon", "palm tree",
    "waterfall", "volcano", "swimming pool", "football stadium", "roller coaster", "traffic light", "fire hydrant",
    "railway track", "tent", "submarine", "rocket", "parachute", "trumpet", "drum", "harp", "cannon", "sword", "crown",
    "anchor", "skeleton", "statue", "dinosaur", "penguin", "crocodile", "camel", "eagle", "shark", "spider", "snake",
    "tiger", "chainsaw", "ladder", "excavator", "concrete mixer", "surfboard", "sled", "hot air balloon", "a vehicle",
    "a wild animal", "a building", "a musical instrument", "weather", "a galaxy",
)  # fmt: skip


def learn_threshold(encoder: Encoder | None, embeddings: FloatArray) -> float:
    """Returns the score below which a thing is absent, from embeddings (S, E) of the map's objects; 0 = not learnt."""
    known = embeddings[np.linalg.norm(embeddings, axis=1) > 0] if embeddings.size else embeddings
    if encoder is None or not len(known):
        return 0.0
    best = [float(encoder.relevancy(phrase, known).max()) for phrase in CANONICAL]
    return float(np.clip(np.quantile(best, 1 - ABSENT_SHARE), *THRESHOLDS))
