"""A scene that grows while it is grouped into objects fifty times: nothing that has a name changes its id."""

from __future__ import annotations

import numpy as np
from helpers import ground_frame, look_at, small_config

from ig_ros.mapper import Mapper

RUNS = 50


def test_ids_last_over_fifty_instantiations_of_a_growing_scene() -> None:
    mapper = Mapper(small_config(threads=1, keyframes__min_translation=0.0, instances__sub_objects=60))
    ids: dict[str, set[int]] = {"red card": set(), "blue card": set()}
    anchors = []
    for run, x in enumerate(np.linspace(-0.7, 0.7, RUNS)):
        mapper.add_frame(ground_frame(look_at((x, -0.2, 0.7), (x, 0.0, 0.0)), run))
        mapper.train_step()
        for thing in mapper.instantiate().instances.objects:
            if thing.label:
                ids[thing.label].add(thing.id)
        anchors.append(len(mapper.scaffold.anchors))
    assert all(len(numbers) == 1 for numbers in ids.values()), ids
    assert anchors[0] < anchors[RUNS // 2] < anchors[-1]
    assert mapper.latest is not None
    assert mapper.latest.version == RUNS
    red = next(o for o in mapper.latest.instances.objects if o.label == "red card")
    assert red.born < red.last_seen
