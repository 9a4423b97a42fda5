"""Segmenter and mapping node on two networks (namespaces joined by a cable) make the same map as one process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from nodes.processes import ROOT, stop

FRAMES = 4
UDP_ONLY = """<?xml version="1.0" encoding="UTF-8" ?>
<dds xmlns="http://www.eprosima.com"><profiles>
 <transport_descriptors><transport_descriptor><transport_id>udp</transport_id><type>UDPv4</type></transport_descriptor>
 </transport_descriptors>
 <participant profile_name="udp" is_default_profile="true"><rtps>
  <userTransports><transport_id>udp</transport_id></userTransports><useBuiltinTransports>false</useBuiltinTransports>
 </rtps></participant>
</profiles></dds>
"""  # two machines share no memory


@dataclass(frozen=True)
class Network:
    """A network namespace."""

    name: str

    def start(self, log: Path, *arguments: str) -> subprocess.Popen:
        """`python ARGUMENTS...` inside, with nothing of this machine's shared memory."""
        profile = log.parent / "udp.xml"
        profile.write_text(UDP_ONLY)
        environment = os.environ | {
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "FASTDDS_DEFAULT_PROFILES_FILE": str(profile),
            "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join((str(ROOT / "test"), str(ROOT))),
            "ROS_LOG_DIR": str(log.parent), "FASTRTPS_DEFAULT_PROFILES_FILE": str(profile),
        }  # fmt: skip
        inside = ["ip", "netns", "exec", self.name, "unshare", "--mount", "sh", "-c",
                  'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh"]  # fmt: skip
        with log.open("w") as sink:
            return subprocess.Popen(
                [*inside, sys.executable, *arguments], cwd=ROOT, env=environment, stdout=sink, stderr=subprocess.STDOUT
            )


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def networks() -> Iterator[tuple[Network, Network]]:
    """A robot's network and a server's, joined by a cable; skips where this machine allows none."""
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("the programs ip (iproute2) and unshare (util-linux) are not installed")
    mark = f"{os.getpid() % 100000}"
    names, ends = (f"ig{mark}a", f"ig{mark}b"), (f"v{mark}a", f"v{mark}b")
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", ends[0], "netns", names[0], "type", "veth", "peer", "name", ends[1], "netns", names[1])
        for number, (name, end) in enumerate(zip(names, ends, strict=True), start=1):
            ip("-n", name, "address", "add", f"10.77.7.{number}/24", "dev", end)
            for device in ("lo", end):
                ip("-n", name, "link", "set", device, "up")
            ip("-n", name, "route", "add", "224.0.0.0/4", "dev", end)
        yield Network(names[0]), Network(names[1])
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces are not permitted here: {error.stderr.strip()}")
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


Mapped = Callable[..., dict[str, np.ndarray]]


@pytest.fixture
def mapped(networks: tuple[Network, Network], tmp_path: Path) -> Iterator[Mapped]:
    """Maps the small scene: mapping node and robot on the first network, the segmenter on the one that is given."""
    started: list[subprocess.Popen] = []

    def run(name: str, segmenter: Network | None) -> dict[str, np.ndarray]:
        robot = networks[0]
        inside = [] if segmenter else ["-p", "segmenter:=geometric"]
        node = robot.start(
            tmp_path / f"{name}_node.txt", "test/nodes/steady.py", "--ros-args", "-p", f"map_directory:={tmp_path}",
            "-p", "diagnostics_period:=0.1", "-p", "language.encoder:=none", "-p", "mask_timeout:=30.0",
            "-p", "pose_timeout:=0.5", *inside,
        )  # fmt: skip
        processes = [node]
        if segmenter:
            arguments = ("-m", "ig_ros.nodes", "segmenter_node", "--ros-args", "-p", "segmenter:=geometric")
            processes.append(segmenter.start(tmp_path / f"{name}_segmenter.txt", *arguments))
        started.extend(processes)
        drive = robot.start(
            tmp_path / f"{name}_robot.txt",
            "test/nodes/small_robot.py",
            str(FRAMES),
            name,
            *(["--masks"] if segmenter else []),
        )
        started.append(drive)
        assert drive.wait(100) == 0, "\n".join(p.read_text() for p in sorted(tmp_path.glob(f"{name}_*.txt")))
        for process in processes:
            stop(process)
        with np.load(tmp_path / name / "map.npz") as arrays:
            return dict(arrays)

    yield run
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()


@pytest.mark.timeout(240)
def test_segmenting_on_another_network_makes_the_same_map(networks: tuple[Network, Network], mapped: Mapped) -> None:
    alone, apart = mapped("alone", None), mapped("apart", networks[1])
    assert set(apart) == set(alone)
    assert sum(name.startswith("masks_") for name in alone) == FRAMES
    assert len(alone["boxes"]) >= 3  # wall, mug, plate
    for name, value in alone.items():
        np.testing.assert_array_equal(apart[name], value, err_msg=name)
