"""Is it there at all? A threshold learnt for every map from canonical phrases of things that no map of rooms holds.

LERF compares a query with four canonical phrases; here the phrases ask for things that are absent, and what the map's
objects score for them shows how well an absent thing can score: the more objects, the better by chance.
"""

from __future__ import annotations

import numpy as np

from ig_ros.language.encoders import Encoder
from ig_ros.types import FloatArray

LET_IN = 0.08  # share of canonical phrases that the threshold would let in
RANGE = (0.3, 0.8)  # whatever the phrases say, a threshold stays in here
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
    """Score below which a thing is not there, from embeddings (S, E) of the map's objects; 0 = not learnt."""
    known = embeddings[np.linalg.norm(embeddings, axis=1) > 0] if embeddings.size else embeddings
    if encoder is None or not len(known):
        return 0.0
    best = [float(encoder.relevancy(phrase, known).max()) for phrase in CANONICAL]
    return float(np.clip(np.quantile(best, 1 - LET_IN), *RANGE))
