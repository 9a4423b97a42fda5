"""Language on every Gaussian and no instances: the 3D query of LangSplat and LEGaussians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from benchmarks.baselines.adjacency import voxel_components
from benchmarks.baselines.base import Material, Prediction
from ig_ros.instances.instantiation import drop_small
from ig_ros.instances.visibility import Observations, observe
from ig_ros.language.encoders import LabelEncoder
from ig_ros.types import FloatArray, IntArray

UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class LanguageField:
    """Each Gaussian averages the embeddings of the masks it falls on and takes the class closest by cosine.

    Its instances are the connected pieces of equal class: two mugs side by side are one.
    """

    name: str = "per-Gaussian language"
    voxel: float = 0.05  # m, pieces of a class further apart are separate
    min_points: int = 10  # smaller pieces are noise
    needs_depth: bool = False

    def __call__(self, material: Material, random: np.random.Generator) -> Prediction:  # noqa: ARG002 - the interface's
        """Deterministic: nothing is drawn."""
        xyz = material.children.xyz
        # Without a list of classes the words of the masks themselves are the vocabulary.
        vocabulary = material.classes or tuple(sorted(vocabulary_of(material)))
        observed = observe(xyz, material.views, material.config.instances.depth_tolerance)
        classes = spread_to_unseen(xyz, closest(observed, similarity(material, observed, vocabulary)))
        ids = voxel_components(xyz, classes, self.voxel)
        kept = ids >= 0
        ids[kept] = drop_small(ids[kept], self.min_points)
        return Prediction(xyz, ids, classes if material.classes else None)


def vocabulary_of(material: Material) -> set[str]:
    """All names the keyframes' masks carry."""
    return {name for k in material.keyframes if k.masks for name in k.masks.names.values() if name.strip()}


def similarity(material: Material, observed: Observations, vocabulary: tuple[str, ...]) -> FloatArray:
    """(M, C) cosine of the mask in each column of `observed` with each text; 0 for masks nothing is known of."""
    names, embeddings = [], []
    for view, label in zip(observed.view_of_column.tolist(), observed.label_of_column.tolist(), strict=True):
        masks = material.keyframes[view].masks if label > 0 else None  # column 0 is no mask
        names.append(masks.names.get(label, "").strip() if masks else "")
        embeddings.append(masks.embeddings.get(label) if masks else None)
    scores = np.zeros((len(names), len(vocabulary)))
    if not vocabulary:
        return scores
    encoder = material.encoder
    texts = encoder.encode_text(vocabulary) if encoder is not None else None
    for_name = {n: np.array([n.lower() == v.lower() for v in vocabulary], float) for n in set(names) - {""}}
    if texts is not None and isinstance(encoder, LabelEncoder) and for_name:
        rows = encoder.encode_labels(list(for_name)) @ texts.T
        for_name = dict(zip(for_name, rows, strict=True))
    for column, (name, embedding) in enumerate(zip(names, embeddings, strict=True)):
        if embedding is not None and texts is not None and embedding.shape == texts.shape[1:]:
            scores[column] = texts @ embedding
        elif name:
            scores[column] = for_name[name]
    return scores


def closest(observed: Observations, scores: FloatArray) -> IntArray:
    """(N,) class whose text is closest to the mean embedding of the masks a point falls on, UNKNOWN without any.

    The cosine with a text is linear in the mean up to its length, which no class gains by: so cosines (M, C) of the
    masks are averaged instead of embeddings, which saves N x E numbers.
    """
    views, n = observed.mask.shape
    if not views or not scores.any():
        return np.full(n, UNKNOWN, np.int64)
    told = np.abs(scores).max(axis=1) > 0
    rows = [((mask > 0) & told[np.maximum(mask, 0)]).nonzero()[0] for mask in observed.mask]
    columns = np.concatenate([mask[r] for mask, r in zip(observed.mask, rows, strict=True)])
    points = np.concatenate(rows)
    falls = csr_matrix((np.ones(len(points), np.float32), (points, columns)), shape=(n, len(scores)))
    mean = falls @ scores
    return np.where(np.bincount(points, minlength=n) > 0, mean.argmax(axis=1), UNKNOWN)


def spread_to_unseen(xyz: FloatArray, classes: IntArray) -> IntArray:
    """classes (N,) where every UNKNOWN takes the class of the nearest point (N, 3) that has one, if any has."""
    known, unknown = (classes >= 0).nonzero()[0], (classes < 0).nonzero()[0]
    if not len(known) or not len(unknown):
        return classes
    full = classes.copy()
    full[unknown] = classes[known[cKDTree(xyz[known]).query(xyz[unknown], workers=-1)[1]]]
    return full
