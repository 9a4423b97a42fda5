"""A simulated tabletop from frames to answers, with the sentence encoder."""

from __future__ import annotations

from helpers import small_config

from ig_ros.datasets import open_dataset
from ig_ros.evaluation.label_transfer import transfer_ids
from ig_ros.evaluation.metrics import instance_score
from ig_ros.mapper import Mapper


def test_a_simulated_tabletop_is_segmented_and_answers_by_paraphrase() -> None:
    dataset = open_dataset("sim:tabletop?width=160&frames=16&masks=exact")
    config = small_config(language__encoder="sentence", seeding__voxel=0.025, instances__sub_objects=1000)
    mapper = Mapper(config)
    for i in range(len(dataset)):
        mapper.add_frame(dataset[i])
    for _ in range(40):
        mapper.train_step()
    snapshot = mapper.instantiate()
    assert dataset.truth is not None
    ids = transfer_ids(snapshot.xyz, snapshot.instances.point_ids, dataset.truth.points)
    score = instance_score(ids, dataset.truth.ids)
    assert score.miou > 88  # 93.0 is reached; a lost object costs 5
    assert score.found >= score.true - 1
    right = 0
    for text, wanted in dataset.truth.queries:
        hits = mapper.query(text).hits
        right += bool(hits) and hits[0].object.label == dataset.truth.names[wanted]
    assert right >= len(dataset.truth.queries) - 1
