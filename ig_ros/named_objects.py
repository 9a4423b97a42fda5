"""From a frozen map to named objects: views for the instantiation, the instantiation, words for its objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ig_ros.config import Config, LanguageConfig
from ig_ros.instances import Children, Instantiation, Instantiator, LabelledView, ObjectTracker, PointSet
from ig_ros.language import Encoder, MaskObservation, Vocabulary, describe, foreign, learn_threshold
from ig_ros.raster import rasterize
from ig_ros.scaffold import Keyframe
from ig_ros.types import FloatArray, GaussianBatch, Instances, IntArray, ObjectInstance

UNSAID = "one that gave no name"  # stands for the encoder of embeddings that came without its name
MIN_ALPHA = 0.5  # a pixel shows the model's surface when the model covers it at least this much


@dataclass(frozen=True, slots=True)
class FrozenMap:
    """Everything an instantiation needs, copied between two training steps and immutable afterwards."""

    step: int
    stamp: int  # ns, of the newest keyframe
    gaussians: GaussianBatch  # canonical, detached; features are colour (3) and instance feature
    points: PointSet  # the anchors, from the Gaussians' origin as these are
    keyframes: tuple[Keyframe, ...]  # copies; their images are never written after they are stored
    on_disk: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))  # uids of the anchors on disk
    removed: int = 0  # objects that had been taken out of the map by then
    source: object = None  # the MapState it was copied from, None = not said


def find_objects(
    frozen: FrozenMap,
    tracker: ObjectTracker,
    encoder: Encoder | None,
    config: Config,
    instantiator: Instantiator | None = None,
) -> Instances:
    """Instantiate and name; without a single mask, or with an empty map, there are no objects.

    An instantiator that ran on this map before makes it cheaper, not different.
    """
    shown = [k for k in frozen.keyframes if k.masks is not None]
    shown = [shown[i] for i in spread(len(shown), config.instances.max_views)]
    children = Children(frozen.gaussians.means.cpu().numpy(), frozen.gaussians.anchors.cpu().numpy())
    if not shown or len(frozen.points.xyz) < config.instances.min_anchors:
        n = len(children.xyz)
        return Instances(np.full(n, -1, np.int32), np.zeros(n, np.float32))
    views = [labelled_view(k, frozen.gaussians) for k in shown]
    instantiator = instantiator or Instantiator()
    settings, exhaustive = config.instances, config.segmentation.exhaustive
    found = instantiator.run(frozen.points, children, views, tracker, settings, exhaustive)
    found = dataclasses.replace(found, objects=tuple(in_world(o, frozen.gaussians.origin) for o in found.objects))
    return name_objects(found, shown, encoder, config.language, config.instances.min_views)


def spread(n: int, limit: int) -> IntArray:
    """At most `limit` of n places, spread out and always with the newest; one more place changes few of them.

    Every 2^k-th place, and from the oldest on every 2^(k+1)-th, so that just `limit` remain.
    """
    if n <= limit:
        return np.arange(n)
    places = np.arange(0, n, 2 ** int(np.log2(n / limit)))
    if places[-1] != n - 1:
        places = np.append(places, n - 1)
    places = np.delete(places, 2 * np.arange(len(places) - limit) + 1)
    places[-1] = n - 1
    return places


def labelled_view(keyframe: Keyframe, gaussians: GaussianBatch) -> LabelledView:
    """A keyframe's masks with the surface each pixel sees: measured where there is a sensor, else rendered.

    Its pose is told from the Gaussians' origin.
    """
    assert keyframe.masks is not None
    if keyframe.depth is not None and not keyframe.estimated:
        depth = keyframe.depth.float().numpy()
    else:
        view = rasterize(gaussians, keyframe.T_world_camera, keyframe.camera)
        alpha = view.alpha.cpu().numpy()
        depth = np.where(alpha > MIN_ALPHA, view.depth.cpu().numpy() / np.maximum(alpha, 1e-6), 0.0)
        if keyframe.ignored is not None:
            depth = np.where(keyframe.ignored.numpy(), 0.0, depth)
    T = keyframe.T_world_camera.copy()
    T[:3, 3] -= gaussians.origin
    return LabelledView(keyframe.camera, T, keyframe.masks.labels, depth)


def in_world(thing: ObjectInstance, origin: FloatArray) -> ObjectInstance:
    """Returns an object whose box was told from `origin` (3,) m."""
    T = thing.T_world_box.copy()
    T[:3, 3] += origin
    return dataclasses.replace(thing, T_world_box=T)


def name_objects(
    found: Instantiation, shown: list[Keyframe], encoder: Encoder | None, config: LanguageConfig, min_views: int
) -> Instances:
    """Vote a label for every object and gather its embedding from the masks that show it [OG 3.3].

    An object described in under `min_views` keyframes stays nameless, with a zero embedding. Embeddings of
    another encoder are left out. Where nothing is left, the result says so by bearing its name.
    """
    objects, embeddings = [], []
    usable, others = usable_embeddings(shown, encoder)
    vocabulary = Vocabulary.of(k.masks for k in shown if k.masks is not None)
    for thing, matches in zip(found.objects, found.matches, strict=True):
        observations = []
        for match in matches:
            masks = shown[match.view].masks
            assert masks is not None
            mask = int(found.observed.label_of_column[match.column])
            observations.append(
                MaskObservation(
                    masks.names.get(mask, ""),
                    masks.scores.get(mask, 1.0),
                    usable[match.view].get(mask),
                    match.iou,
                    match.view,
                )
            )
        words = describe(observations, encoder, config.accept, min_views, vocabulary, float(np.max(thing.size)))
        stamps = [shown[match.view].stamp for match in matches]
        born, last = min(stamps, default=0), max(stamps, default=0)
        objects.append(
            dataclasses.replace(thing, label=words.label, born=born, last_seen=last, certainty=words.certainty)
        )
        embeddings.append(words.embedding)
    table: FloatArray = np.stack(embeddings) if embeddings else np.zeros((0, 0), np.float32)
    threshold = learn_threshold(encoder, table) if config.learn_threshold else 0.0
    name = encoder.name if encoder is not None else ""
    if others and not table.any():
        name = others[0]
    return Instances(found.child_ids, found.child_confidence, tuple(objects), table, name, threshold)


def usable_embeddings(
    shown: list[Keyframe], encoder: Encoder | None
) -> tuple[list[Mapping[int, FloatArray]], list[str]]:
    """Per keyframe the embeddings that the encoder made, and the names of other encoders that made the rest."""
    masks = [k.masks for k in shown if k.masks is not None]
    others = sorted({m.encoder or UNSAID for m in masks if foreign(encoder, m)})
    return [{} if foreign(encoder, m) else m.embeddings for m in masks], others
