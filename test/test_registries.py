"""The tables of what can be chosen: every entry is what it says, and docs/development.md shows how to add one.

The page's own code is put where the page says, into a copy of the package, and is used as a user would use it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import CAMERA, orbit

from ig_ros.config import Config, NodeConfig, leaves
from ig_ros.registries import DATASET_READERS, ENCODERS, POSE_SOURCES, SEGMENTERS, WITNESSES, load

ROOT = Path(__file__).resolve().parents[1]
METHODS = {  # table -> what its classes have
    "SEGMENTERS": ("name", "segment"),
    "ENCODERS": ("from_config", "encode_text", "relevancy"),
    "POSE_SOURCES": ("at", "mounting", "restart", "note_image"),
    "DATASET_READERS": ("known_by", "recognises", "__len__", "__getitem__"),
    "WITNESSES": ("judge",),
}
TABLES = {
    "SEGMENTERS": SEGMENTERS, "ENCODERS": ENCODERS, "POSE_SOURCES": POSE_SOURCES, "DATASET_READERS": DATASET_READERS,
    "WITNESSES": WITNESSES,
}  # fmt: skip


@pytest.mark.parametrize(("table", "name"), [(table, name) for table, entries in TABLES.items() for name in entries])
def test_every_entry_names_a_class_of_its_protocol(table: str, name: str) -> None:
    if table == "POSE_SOURCES":
        pytest.importorskip("rclpy")
    made = load(TABLES[table][name])
    assert isinstance(made, type)
    assert [method for method in METHODS[table] if not hasattr(made, method)] == []


def test_parameters_offer_what_the_tables_hold() -> None:
    choices = {leaf.name: leaf.choices for leaf in (*leaves(Config), *leaves(NodeConfig))}
    assert choices["segmentation.segmenter"] == ("none", *SEGMENTERS)
    assert choices["language.encoder"] == ("none", *ENCODERS)
    assert choices["pose_source"] == tuple(POSE_SOURCES)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package to which the page's five files and five lines have been added."""
    root = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "ig_ros", root / "ig_ros", ignore=shutil.ignore_patterns("__pycache__"))
    page = (ROOT / "docs" / "development.md").read_text()
    blocks = re.findall(r"^```python\n# (ig_ros/[^\n]+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 10
    for place, code in blocks:
        path, _, table = place.partition(", ")
        target = root / path
        if table:
            assert len(code.splitlines()) == 1, "one line in a table"
            text, found = re.subn(rf"^({table}: .*\n)", rf"\g<1>{code}", target.read_text(), flags=re.MULTILINE)
            assert found == 1
            target.write_text(text)
        else:
            assert not target.exists()
            target.write_text(code)
    return root


def run(extended: Path, code: str, *arguments: str) -> str:
    """What a Python process prints that imports the extended copy."""
    environment = os.environ | {
        "PYTHONPATH": f"{extended}{os.pathsep}{ROOT / 'test'}", "ROS_LOG_DIR": str(extended / "log"),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_DOMAIN_ID": str(20 + os.getpid() % 80),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=extended, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


MAP = """
import sys
import ig_ros
from helpers import small_config
from ig_ros.datasets import open_dataset
from ig_ros.mapper import Mapper

dataset = open_dataset(sys.argv[1])
mapper = Mapper(small_config(segmentation__segmenter="brightness", language__encoder="letters"))
for i in range(len(dataset)):
    mapper.add_frame(dataset[i])
for _ in range(60):
    mapper.train_step()
mapper.instantiate()
print(ig_ros.__file__, type(dataset).__name__, mapper.segmenter.name, mapper.encoder.name)
print(sorted({thing.label for thing in mapper.latest.instances.objects}))
print(mapper.query("bright").hits[0].score)
"""


def test_a_segmenter_an_encoder_and_a_reader_made_as_the_page_says_map_a_scene(extended: Path, tmp_path: Path) -> None:
    frames = orbit(4)
    np.savez(
        tmp_path / "frames.npz",
        rgb=[f.rgb for f in frames], depth=[f.depth for f in frames], poses=[f.T_world_camera for f in frames],
        K=CAMERA.K,
    )  # fmt: skip
    used, labels, score = run(extended, MAP, str(tmp_path)).splitlines()
    assert used == f"{extended}/ig_ros/__init__.py ArrayDataset brightness letters"
    assert "dark" in labels
    assert 0 <= float(score) <= 1


REFUSE = """
from ig_ros.config import Config
from ig_ros.errors import ConfigError
try:
    Config.from_dict({"segmenter": "darkness"})
except ConfigError as error:
    print(error)
"""


def test_a_new_segmenter_is_among_the_choices_of_its_parameter(extended: Path) -> None:
    said = run(extended, REFUSE)
    assert "brightness" in said
    assert "geometric" in said


JUDGE = """
import numpy as np
from ig_ros.config import InstanceConfig
from ig_ros.instances.witnesses import Edges, make_witnesses
witnesses = make_witnesses(InstanceConfig())
edges = Edges(np.ones(2), np.zeros(2), np.full((2, 2), 9.0), np.array([[1.0, 1.0], [9.0, 9.0]]))
belief, weight = witnesses[0].judge(edges)
print(type(witnesses[0]).__name__, len(witnesses), belief.round(9).tolist(), weight.tolist())
"""


def test_a_witness_made_as_the_page_says_judges_edges_beside_the_others(extended: Path) -> None:
    assert run(extended, JUDGE).strip() == "SeamWitness 3 [0.1, 0.5] [0.6, 0.6]"


NODE = """
import rclpy
from nodes.running import running, until
from nodes.scene import small_frame
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from ig_ros.nodes.conversions import header, image_message, info_message

context = rclpy.Context()
rclpy.init(context=context)
camera = Node("camera", context=context)
images = camera.create_publisher(Image, "image", qos_profile_sensor_data)
infos = camera.create_publisher(CameraInfo, "camera_info", qos_profile_sensor_data)
stamps = iter(range(1, 10**6))

def publish():
    stamp = next(stamps) * 10**8
    infos.publish(info_message(small_frame().camera, header(stamp, "camera")))
    images.publish(image_message(small_frame().rgb, "rgb8", header(stamp, "camera")))

with running(context, pose_source="fixed") as made:
    until(lambda: made.mapper.frames, 60.0, publish)
    print(made.mapper.frames[0].T_world_camera.tolist())
camera.destroy_node()
rclpy.shutdown(context=context)
"""


def test_a_pose_source_made_as_the_page_says_places_the_images_of_a_node(extended: Path) -> None:
    pytest.importorskip("rclpy")
    assert run(extended, NODE).splitlines()[-1] == str(np.eye(4).tolist())
