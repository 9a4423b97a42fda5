"""Formats that people have: the ground with its cards, written as each of them, comes out as it was."""

from __future__ import annotations

import json
import logging
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from helpers import CAMERA, orbit
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from ig_ros.datasets import faults_of, open_dataset, sparse_points
from ig_ros.errors import DatasetError
from ig_ros.geometry import inverse
from ig_ros.types import Frame

GL = np.diag([1.0, -1.0, -1.0, 1.0])
FX, FY, CX, CY = CAMERA.K[0, 0], CAMERA.K[1, 1], CAMERA.K[0, 2], CAMERA.K[1, 2]


def picture(path: Path, frame: Frame, depth: Path | None = None, per_metre: float = 1000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), frame.rgb[..., ::-1])
    if depth is not None:
        assert frame.depth is not None
        depth.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(depth), (frame.depth * per_metre).round().astype(np.uint16))


def xyzw(frame: Frame) -> list[float]:
    return [float(x) for x in Rotation.from_matrix(frame.T_world_camera[:3, :3]).as_quat()]


def same(dataset: Any, frames: list[Frame], depth: bool = True, lossy: bool = False) -> None:
    """Picture, pose, camera and depth of each frame."""
    assert len(dataset) == len(frames)
    for i, expected in enumerate(frames):
        frame = dataset[i]
        assert np.abs(frame.rgb.astype(int) - expected.rgb).mean() < (6 if lossy else 0.01)
        assert np.allclose(frame.T_world_camera, expected.T_world_camera, atol=1e-5)
        assert np.allclose(frame.camera.K, CAMERA.K, atol=1e-4)
        assert (frame.depth is not None) == depth
        if depth:
            assert np.abs(frame.depth - expected.depth).max() < 0.001
    assert faults_of(dataset).counts() == {}


def transforms(root: Path, frames: list[Frame], depth: bool = True, **lens: float | str) -> Path:
    listed = []
    for i, frame in enumerate(frames):
        picture(root / f"images/frame_{i:05d}.png", frame, root / f"depth/{i}.png" if depth else None)
        T = (frame.T_world_camera @ GL).tolist()
        listed.append({"file_path": f"images/frame_{i:05d}.png", "transform_matrix": T})
        if depth:
            listed[-1]["depth_file_path"] = f"depth/{i}.png"
    size = {"w": CAMERA.width, "h": CAMERA.height, "fl_x": FX, "fl_y": FY, "cx": CX, "cy": CY}
    about = size | {"applied_transform": np.eye(4)[:3].tolist(), "frames": listed[::-1]} | lens
    (root / "transforms.json").write_text(json.dumps(about))
    return root


@pytest.mark.field("format", "nerfstudio transforms.json, with and without depth", "OpenGL axes turned, read right")
@pytest.mark.parametrize("depth", [True, False])
@pytest.mark.parametrize("name", ["", "transforms.json"])
def test_transforms(tmp_path: Path, depth: bool, name: str) -> None:
    frames = orbit(3)
    (tmp_path / "colmap" / "sparse" / "0").mkdir(parents=True)  # as ns-process-data leaves it
    (tmp_path / "colmap" / "sparse" / "0" / "images.bin").write_bytes(b"")
    dataset = open_dataset(transforms(tmp_path, frames, depth) / name)
    same(dataset, frames, depth)
    assert all(dataset[i].photograph for i in range(3))
    assert sparse_points(dataset) is None


@pytest.mark.field("format", "transforms.json with a lens and intrinsics per frame", "undistorted, or refused by name")
def test_transforms_with_lenses_of_their_own(tmp_path: Path) -> None:
    about = json.loads((transforms(tmp_path, orbit(2), False) / "transforms.json").read_text())
    about["frames"][0] |= {"fl_x": 2 * FX, "k1": -0.1}
    (tmp_path / "transforms.json").write_text(json.dumps(about))
    dataset = open_dataset(tmp_path)
    assert np.allclose(dataset[0].camera.K, CAMERA.K)
    bent = dataset[1]
    assert bent.camera.K[0, 0] > 1.9 * FX
    assert not np.allclose(bent.camera.K[0, 0], 2 * FX, atol=1e-6)
    with pytest.raises(DatasetError, match="EQUIRECTANGULAR"):
        open_dataset(transforms(tmp_path, orbit(2), False, camera_model="EQUIRECTANGULAR"))


def test_transforms_in_another_unit_and_of_a_field_of_view(tmp_path: Path) -> None:
    folder = transforms(tmp_path, orbit(2), depth_unit_scale_factor=0.002)
    about = json.loads((folder / "transforms.json").read_text())
    for name in ("w", "h", "fl_x", "fl_y", "cx", "cy"):
        del about[name]
    about["camera_angle_x"] = 2 * np.arctan(CAMERA.width / 2 / FX)
    (folder / "transforms.json").write_text(json.dumps(about))
    frame, expected = open_dataset(folder)[0], orbit(2)[0]
    assert frame.depth is not None
    assert expected.depth is not None
    assert np.abs(frame.depth - 2 * expected.depth).max() < 0.002
    assert frame.camera.K[0, 0] == pytest.approx(FX)


def tum(root: Path, frames: list[Frame], depth: bool = True) -> Path:
    rgb, deep, poses = ["# color images"], [], []
    for i, frame in enumerate(frames):
        t = 1305031102.1753 + i / 10
        picture(root / f"rgb/{t:.6f}.png", frame, root / f"depth/{t + 0.01:.6f}.png" if depth else None, 5000)
        rgb.append(f"{t:.6f} rgb/{t:.6f}.png")
        deep.append(f"{t + 0.01:.6f} depth/{t + 0.01:.6f}.png")
        numbers = " ".join(f"{x:.9f}" for x in [*frame.T_world_camera[:3, 3], *xyzw(frame)])
        poses.append(f"{t:.6f} {numbers}")
    (root / "rgb.txt").write_text("\n".join(rgb))
    (root / "groundtruth.txt").write_text("# t x y z q\n" + "\n".join(poses))
    if depth:
        (root / "depth.txt").write_text("\n".join(deep))
    return root


@pytest.mark.field(
    "format", "TUM RGB-D, with and without depth", "nearest depth, factor 5000, calibration by file or option"
)
@pytest.mark.parametrize("depth", [True, False])
def test_tum(tmp_path: Path, depth: bool) -> None:
    frames = orbit(4)
    folder = tum(tmp_path, frames, depth)
    same(open_dataset(f"{folder}?intrinsics={FX},{FY},{CX - 0.5},{CY - 0.5}"), frames, depth)
    with pytest.raises(DatasetError, match="intrinsics="):
        open_dataset(folder)
    np.savetxt(folder / "camera-intrinsics.txt", CAMERA.K - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    dataset = open_dataset(folder)
    same(dataset, frames, depth)
    assert dataset[1].stamp == 1305031102275300000
    (folder / "groundtruth.txt").write_text((folder / "groundtruth.txt").read_text()[:-70])
    assert faults_of(open_dataset(folder)).counts() == {"broken_line": 1}


@pytest.mark.field("format", "TUM RGB-D without a calibration", "the ROS driver's one, said")
def test_tum_of_a_kinect_has_a_default(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tum(tmp_path, orbit(2), False)
    for path in (folder / "rgb").iterdir():
        cv2.imwrite(str(path), np.zeros((480, 640, 3), np.uint8))
    with caplog.at_level(logging.WARNING):
        assert open_dataset(folder)[0].camera.K[0].tolist() == [525.0, 0.0, 320.0]
    assert "525" in caplog.text


@pytest.mark.field("format", "EuRoC (ASL) folder, grey images", "mounting T_BS and lens used")
@pytest.mark.parametrize("name", ["", "mav0"])
def test_euroc(tmp_path: Path, name: str) -> None:
    T_BS = np.eye(4)
    T_BS[:3, :3], T_BS[:3, 3] = Rotation.from_rotvec([0.3, 1, 2]).as_matrix(), (0.1, -0.2, 0.3)
    camera, truth = tmp_path / "mav0" / "cam0", tmp_path / "mav0" / "state_groundtruth_estimate0"
    truth.mkdir(parents=True)
    images, poses = ["#timestamp [ns],filename"], ["#timestamp, p, q, v, b"]
    frames = orbit(3, depth=False)
    for i, frame in enumerate(frames):
        stamp = 1403636579763555584 + i * 50_000_000
        camera.joinpath("data").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(camera / "data" / f"{stamp}.png"), cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY))
        T = frame.T_world_camera @ inverse(T_BS)
        q = np.roll(Rotation.from_matrix(T[:3, :3]).as_quat(), 1)
        images.append(f"{stamp},{stamp}.png")
        poses.append(",".join(map(str, [stamp, *T[:3, 3], *q, 0, 0, 0])))
    (camera / "data.csv").write_text("\r\n".join(images))
    (truth / "data.csv").write_text("\n".join(poses))
    sensor = {
        "T_BS": {"cols": 4, "rows": 4, "data": T_BS.ravel().tolist()}, "resolution": [CAMERA.width, CAMERA.height],
        "intrinsics": [float(FX), float(FY), float(CX - 0.5), float(CY - 0.5)],
        "distortion_model": "radial-tangential", "distortion_coefficients": [0.0, 0.0, 0.0, 0.0],
    }  # fmt: skip
    (camera / "sensor.yaml").write_text(yaml.safe_dump(sensor))
    dataset = open_dataset(tmp_path / name)
    assert dataset[2].stamp == 1403636579863555584
    for i, frame in enumerate(frames):
        assert np.allclose(dataset[i].T_world_camera, frame.T_world_camera, atol=1e-6)
        assert np.allclose(dataset[i].camera.K, CAMERA.K)
        assert dataset[i].rgb.shape == frame.rgb.shape
    sensor |= {"distortion_model": "omni"}
    (camera / "sensor.yaml").write_text(yaml.safe_dump(sensor))
    with pytest.raises(DatasetError, match="omni"):
        open_dataset(tmp_path)


@pytest.mark.field("format", "Record3D export", "read, or one line where LZFSE cannot be decompressed")
@pytest.mark.parametrize("name", ["metadata", "metadata.json"])
def test_record3d(tmp_path: Path, name: str) -> None:
    frames, poses = orbit(3), []
    for i, frame in enumerate(frames):
        picture(tmp_path / f"rgbd/{i}.png", frame)
        assert frame.depth is not None
        (tmp_path / f"rgbd/{i}.depth").write_bytes(frame.depth.astype(np.float32).tobytes())
        T = frame.T_world_camera @ GL
        poses.append([*Rotation.from_matrix(T[:3, :3]).as_quat(), *T[:3, 3]])
    about = {"w": CAMERA.width, "h": CAMERA.height, "dw": CAMERA.width, "dh": CAMERA.height, "fps": 10,
             "K": CAMERA.K.T.ravel().tolist(), "poses": poses}  # fmt: skip
    (tmp_path / name).write_text(json.dumps(about))
    dataset = open_dataset(tmp_path)
    same(dataset, frames)
    assert dataset[1].stamp == 100_000_000
    (tmp_path / "rgbd/0.depth").write_bytes(b"bvx2 compressed")
    with pytest.raises(DatasetError, match="pyliblzfse"):
        open_dataset(tmp_path)
    for path in (tmp_path / "rgbd").glob("*.depth"):
        path.unlink()
    same(open_dataset(tmp_path), frames, depth=False)


def sens(path: Path, frames: list[Frame]) -> Path:
    K = np.eye(4, dtype=np.float32)
    K[:3, :3] = CAMERA.K
    K[:2, 2] -= 0.5
    matrices = b"".join(m.astype("<f4").tobytes() for m in (K, np.eye(4), K, np.eye(4)))
    sizes = (CAMERA.width, CAMERA.height) * 2
    data = struct.pack("<IQ", 4, 6) + b"sensor" + matrices + struct.pack("<2i4IfQ", 2, 1, *sizes, 1000.0, len(frames))
    for frame in frames:
        assert frame.depth is not None
        color = cv2.imencode(".jpg", frame.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
        depth = zlib.compress((frame.depth * 1000).round().astype("<u2").tobytes())
        pose = frame.T_world_camera.astype("<f4").tobytes()
        data += pose + struct.pack("<4Q", 7, 8, len(color), len(depth)) + color + depth
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.field("format", "ScanNet .sens, the file or its folder", "read without unpacking")
@pytest.mark.parametrize("whole", [True, False])
def test_sens(tmp_path: Path, whole: bool) -> None:
    frames = orbit(3)
    path = sens(tmp_path / "scene" / "scene.sens", frames)
    same(open_dataset(path if whole else path.parent), frames, lossy=True)


@pytest.mark.field("broken", "a .sens that ends in the middle of a frame", "the whole frames are read, it is said")
def test_a_cut_sens(tmp_path: Path) -> None:
    path = sens(tmp_path / "scene.sens", orbit(3))
    path.write_bytes(path.read_bytes()[:-50])
    dataset = open_dataset(path)
    assert len(dataset) == 2
    assert faults_of(dataset).counts() == {"cut_file": 1}


@pytest.mark.field("format", "ScanNet C++ export, 3RScan: frame-N.* with _info.txt", "calibrations of the file used")
def test_scannet_of_the_cpp_tool(tmp_path: Path) -> None:
    frames = orbit(3)
    K = np.eye(4)
    K[:3, :3] = CAMERA.K
    K[:2, 2] -= 0.5
    numbers = " ".join(map(str, K.ravel()))
    for i, frame in enumerate(frames):
        picture(tmp_path / f"frame-{i:06d}.color.png", frame, tmp_path / f"frame-{i:06d}.depth.pgm", 2000)
        np.savetxt(tmp_path / f"frame-{i:06d}.pose.txt", frame.T_world_camera)
    text = f"m_calibrationColorIntrinsic = {numbers}\nm_calibrationDepthIntrinsic = {numbers}\nm_depthShift = 2000\n"
    (tmp_path / "_info.txt").write_text(text)
    same(open_dataset(tmp_path), frames)


@pytest.mark.field("format", "ROS 1 bag", "read as a ROS 2 bag is")
def test_ros1_bag(tmp_path: Path) -> None:
    store, frames, path = get_typestore(Stores.ROS1_NOETIC), orbit(3), tmp_path / "drive.bag"

    def make(kind: str, *values: Any) -> Any:
        return store.types[kind](*values)

    with Writer(path) as writer:
        kinds = {"/rgb/image_raw": "sensor_msgs/msg/Image", "/depth": "sensor_msgs/msg/Image",
                 "/rgb/camera_info": "sensor_msgs/msg/CameraInfo",
                 "/pose": "geometry_msgs/msg/PoseStamped"}  # fmt: skip
        connections = {t: writer.add_connection(t, kind, typestore=store) for t, kind in kinds.items()}
        for i, frame in enumerate(frames):
            time = 1_000_000_000 + i * 100_000_000
            header = make("std_msgs/msg/Header", i, make("builtin_interfaces/msg/Time", 1, i * 100_000_000), "camera")
            size = CAMERA.height, CAMERA.width
            roi = make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
            K = CAMERA.K - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
            P = np.hstack([K, np.zeros((3, 1))]).ravel()
            assert frame.depth is not None
            depth = (frame.depth * 1000).round().astype("<u2").tobytes()
            point = make("geometry_msgs/msg/Point", *frame.T_world_camera[:3, 3])
            pose = make("geometry_msgs/msg/Pose", point, make("geometry_msgs/msg/Quaternion", *xyzw(frame)))
            sent = {
                "/rgb/image_raw": make(kinds["/depth"], header, *size, "rgb8", 0, size[1] * 3,
                                       np.frombuffer(frame.rgb.tobytes(), np.uint8)),
                "/depth": make(kinds["/depth"], header, *size, "16UC1", 0, size[1] * 2, np.frombuffer(depth, np.uint8)),
                "/rgb/camera_info": make(kinds["/rgb/camera_info"], header, *size, "plumb_bob", np.zeros(5), K.ravel(),
                                         np.eye(3).ravel(), P, 0, 0, roi),
                "/pose": make(kinds["/pose"], header, pose),
            }  # fmt: skip
            for topic, message in sent.items():
                writer.write(connections[topic], time, store.serialize_ros1(message, kinds[topic]))
    dataset = open_dataset(path)
    same(dataset, frames)
    assert dataset[2].stamp == 1_200_000_000
