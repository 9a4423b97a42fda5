"""The results of a map as a bag: what comes out of it is what the map holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cards import map_of_cards
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from ig_ros.errors import StorageError
from ig_ros.mapper import Mapper
from ig_ros.nodes.bag_writer import write_results


@pytest.fixture(scope="module")
def mapper() -> Mapper:
    return map_of_cards(6, 10)


def read(path: Path) -> dict[str, Any]:
    """The only message of each topic, read by the definitions that stand in the bag itself."""
    found: dict[str, Any] = {}
    with AnyReader([path], default_typestore=get_typestore(Stores.EMPTY)) as reader:
        for connection, stamp, raw in reader.messages():
            assert connection.topic not in found
            found[connection.topic] = stamp, reader.deserialize(raw, connection.msgtype)
    return found


@pytest.mark.parametrize("name", ["results.mcap", "results"])
def test_the_bag_holds_the_map(mapper: Mapper, tmp_path: Path, name: str) -> None:
    snapshot = mapper.latest
    assert snapshot is not None
    count = write_results(tmp_path / name, snapshot, mapper.keyframes.items)
    found = read(tmp_path / name)
    assert len(found) == count
    assert {stamp for stamp, _ in found.values()} == {snapshot.stamp}
    objects = found["/ig/objects"][1].objects
    assert [o.id for o in objects] == sorted(o.id for o in snapshot.instances.objects)
    assert len(objects) >= 2
    by_id = {o.id: o for o in snapshot.instances.objects}
    for message in objects:
        assert message.label == by_id[message.id].label
        p = message.pose.position
        np.testing.assert_allclose([p.x, p.y, p.z], by_id[message.id].T_world_box[:3, 3])
    cloud = found["/ig/instance_cloud"][1]
    assert cloud.width == len(snapshot.xyz)
    offsets = {f.name: f.offset for f in cloud.fields}
    rows = np.frombuffer(cloud.data, np.uint8).reshape(cloud.width, cloud.point_step)
    ids = rows[:, offsets["instance_id"] : offsets["instance_id"] + 4].copy().view(np.int32).ravel()
    np.testing.assert_array_equal(ids, snapshot.instances.point_ids)
    path = found["/ig/camera_path"][1]
    assert [p.header.stamp.sec * 10**9 + p.header.stamp.nanosec for p in path.poses] == [
        k.stamp for k in mapper.keyframes.items
    ]
    assert path.header.frame_id == "map"


def test_a_bag_is_never_overwritten(mapper: Mapper, tmp_path: Path) -> None:
    assert mapper.latest is not None
    (tmp_path / "b.mcap").write_text("mine")
    with pytest.raises(StorageError, match="exists already"):
        write_results(tmp_path / "b.mcap", mapper.latest, [])
