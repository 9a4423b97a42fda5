"""A signal ends the real node in time and in order, whatever its threads are doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import rclpy
from nodes.processes import Start, segments, stop
from nodes.real import RealNode
from nodes.running import until
from std_srvs.srv import Trigger

from ig_ros.map_io import is_map
from ig_ros.nodes.process import started_ros
from ig_ros.srv import QueryObject, SaveMap

row = pytest.mark.field(
    "ros", "SIGINT or SIGTERM while training, grouping, saving", "out of the graph and /dev/shm within 2 s"
)

GROUPS_FOR_EVER = """
from ig_ros import named_objects
from ig_ros.nodes.__main__ import main

def name_objects(*_):
    while True:
        pass

named_objects.name_objects = name_objects
main()
"""


def end(node: RealNode, number: int = signal.SIGINT) -> None:
    """Ends the node by a signal and demands that it leaves nothing behind."""
    own = segments(node.process.pid) - segments("self")
    assert own
    status, seconds = stop(node.process, number=number)
    assert status == 0, node.log()
    assert seconds < 2.0
    assert until(lambda: "mapping_node" not in node.client.get_node_names(), 2.0 - seconds)
    assert not [path for path in own - segments("self") if path.exists()]
    for word in ("terminate", "Traceback"):
        assert word not in node.log()


def asked(node: RealNode, kind: Any, name: str, request: Any) -> Any:
    """The future of a call that the node has."""
    service = node.client.create_client(kind, name)
    assert service.wait_for_service(10.0)
    future = service.call_async(request)
    node.client.listen(0.2)
    return future


@row
def test_in_the_middle_of_an_instantiation_it_ends_in_time(start: Start, context: object) -> None:
    node = RealNode(lambda _, __, *words: start("-c", GROUPS_FOR_EVER, *words), context)
    node.map_the_cards()
    grouping = asked(node, Trigger, "ig/instantiate", Trigger.Request())
    node.client.listen(0.5)
    assert not grouping.done(), "it must still run when the signal comes"
    end(node, signal.SIGTERM)
    node.close()


@row
def test_with_questions_in_flight_it_ends_in_time(start: Start, context: object) -> None:
    node = RealNode(start, context, language__encoder="sentence")
    node.map_the_cards()
    node.client.instantiate()
    answered = asked(node, QueryObject, "ig/query_object", QueryObject.Request(text="mug"))
    service, ended = node.client.create_client(QueryObject, "ig/query_object"), threading.Event()

    def ask() -> None:
        number = 0
        while not ended.wait(0.002):
            service.call_async(QueryObject.Request(text=f"something to drink from {(number := number + 1)}"))

    asking = threading.Thread(target=ask)
    asking.start()
    assert until(answered.done, 30.0, lambda: node.client.listen(0.1)), node.log()
    try:
        end(node)
    finally:
        ended.set()
        asking.join()
    node.close()


@row
def test_started_in_the_background_of_a_shell_it_ends_as_well(start: Start, context: object, tmp_path: Path) -> None:
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)  # what a shell does to `command &`, and children inherit
    try:
        node = RealNode(start, context, map_directory=str(tmp_path))
    finally:
        signal.signal(signal.SIGINT, heard)
    node.map_the_cards()
    service = node.client.create_client(SaveMap, "ig/save_map")
    assert service.wait_for_service(10.0)
    saving = [service.call_async(SaveMap.Request(name=str(number))) for number in range(50)]
    assert until(lambda: any(future.done() for future in saving), 10.0, lambda: node.client.listen(0.01))
    end(node)
    assert not all(future.done() for future in saving), "it must still save when the signal comes"
    node.close()
    assert all(is_map(path) for path in tmp_path.iterdir() if not path.name.startswith("."))


CHANGES = """
import os, signal, sys, gc
before = dict(os.environ), signal.getsignal(signal.SIGINT), gc.get_freeze_count(), gc.get_threshold()
import ig_ros.nodes.mapping_node, ig_ros.nodes.segmenter_node, ig_ros.nodes.player, ig_ros.cli.entry
after = dict(os.environ), signal.getsignal(signal.SIGINT), gc.get_freeze_count(), gc.get_threshold()
changed = {name for name in before[0] | after[0] if before[0].get(name) != after[0].get(name)}
print(changed - {"LD_LIBRARY_PATH"}, before[1:] == after[1:])  # which OpenCV sets
"""
PREPARED = """
import os, signal, sys
from ig_ros.nodes.process import prepare_process
prepare_process()
print(os.environ["OMP_WAIT_POLICY"], os.environ["FASTDDS_DEFAULT_PROFILES_FILE"].endswith("config/fastdds.xml"),
      signal.getsignal(signal.SIGINT) is signal.default_int_handler, "torch" in sys.modules, "rclpy" in sys.modules,
      os.environ.get("FASTRTPS_DEFAULT_PROFILES_FILE", "").endswith("config/fastdds.xml"))
"""


def said(code: str, **environment: str) -> str:
    """What a Python process prints that was started in the background of a shell."""
    ours = ("OMP_WAIT_POLICY", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    kept = {name: value for name, value in os.environ.items() if name not in ours} | environment
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.run([sys.executable, "-c", code], env=kept, check=True, capture_output=True, text=True).stdout
    finally:
        signal.signal(signal.SIGINT, heard)


def test_importing_the_nodes_changes_nothing_of_the_process() -> None:
    assert said(CHANGES).split() == ["set()", "True"]


def test_a_prepared_process_has_what_native_libraries_read_before_they_are_loaded() -> None:
    assert said(PREPARED).split()[:5] == ["passive", "True", "True", "False", "False"]
    assert said(PREPARED, OMP_WAIT_POLICY="active").split()[0] == "active", "the user's own setting stands"


@pytest.mark.field("ros", "Jazzy's rclpy, whose init is no context manager", "the nodes start and end")
def test_ros_starts_and_ends_around_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    init = rclpy.init
    monkeypatch.setattr(rclpy, "init", lambda **options: [init(**options), None][1])
    with started_ros([]):
        assert rclpy.ok()
    assert not rclpy.ok()


@pytest.mark.field("ros", "the wheels of Jazzy, which set no ROS_DISTRO", "images above 0.5 MB arrive")
def test_fast_dds_2_gets_its_profile_under_the_name_that_it_reads(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libfastrtps.so.2.14").touch()
    assert said(PREPARED, AMENT_PREFIX_PATH=str(tmp_path)).split()[5] == "True"
    newer = any((Path(sys.prefix) / "lib").glob("libfastdds.so*"))  # warns about the older name
    assert said(PREPARED).split()[5] == str(not newer)
