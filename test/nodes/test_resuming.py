"""A node that is killed and started again has its map, its ids and its words."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from nodes.processes import Start, stop
from nodes.real import RealNode
from nodes.running import running, until

from ig_ros.errors import ConfigError, StorageError
from ig_ros.map_io import read_snapshot

NAME = "kitchen"


def test_killed_and_started_again_it_knows_what_it_knew(start: Start, context: object, tmp_path: Path) -> None:
    settings = {
        "map_directory": str(tmp_path), "resume": NAME, "save_interval": 0.5, "language__encoder": "sentence",
    }  # fmt: skip
    node = RealNode(start, context, **settings)
    node.map_the_cards()
    assert until(lambda: node.client.instantiate().success and ids(node), 60.0), node.log()
    before = ids(node)
    assert until(lambda: saved_objects(tmp_path / NAME) == len(before), 30.0), node.log()
    node.process.send_signal(signal.SIGKILL)
    node.process.wait()
    node.close()

    again = RealNode(start, context, **settings)
    assert until(lambda: ids(again) == before, 30.0), again.log()
    again.client.listen(1.0)
    assert int(again.client.diagnostics["keyframes"]) >= 5, "the keyframes are those of before, no image has come"
    assert int(again.client.diagnostics["steps"]) >= 60
    status, _ = stop(again.process)
    again.close()
    assert status == 0, again.log()


def ids(node: RealNode) -> dict[str, int]:
    """What a question by words finds."""
    answers = {name: node.client.query(name, max_results=1) for name in ("red card", "blue card")}
    return {name: answer.objects[0].id for name, answer in answers.items() if answer.success and answer.objects}


def saved_objects(directory: Path) -> int:
    """How many objects the saved map has, 0 where there is none yet."""
    try:
        snapshot, _ = read_snapshot(directory)
    except StorageError:
        return 0
    return 0 if snapshot is None else len(snapshot.instances.objects)


def test_an_interval_without_a_name_is_refused(context: object) -> None:
    with running(context, autostart=False, save_interval=5.0) as made, pytest.raises(ConfigError, match="resume"):
        made.node.autostart()


def test_a_name_outside_is_refused(context: object, tmp_path: Path) -> None:
    settings = {"autostart": False, "map_directory": str(tmp_path), "resume": "../x"}
    with running(context, **settings) as made, pytest.raises(StorageError, match="outside"):
        made.node.autostart()


def test_a_damaged_map_is_named_and_not_replaced_by_a_new_one(start: Start, tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "map.json").write_text("{")
    settings = (f"map_directory:={tmp_path}", f"resume:={NAME}", "save_interval:=0.1", "language.encoder:=none")
    node = start("-m", "ig_ros.nodes", "mapping_node", "--ros-args", *(w for s in settings for w in ("-p", s)))
    assert node.wait(60.0) == 1
    assert "map.json cannot be read" in node.log_path.read_text()
    assert (tmp_path / NAME / "map.json").read_text() == "{"
