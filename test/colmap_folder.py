"""The ground with its two cards as a COLMAP folder: photographs, a sparse model, LERF-OVS labels."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import cv2
import numpy as np
from helpers import CAMERA, CARDS, HALF, orbit
from scipy.spatial.transform import Rotation

from ig_ros.geometry import inverse, project, transform
from ig_ros.types import FloatArray, Frame

POINTS = np.array([[*centre, 0.0] for _, centre in CARDS.values()])
COLORS = ((200, 60, 60), (60, 80, 200))
FIRST = 41  # number of the first photograph, as LERF's frames do not start at 0


def world_to_camera(frame: Frame) -> list[float]:
    T = inverse(frame.T_world_camera)
    return [*np.roll(Rotation.from_matrix(T[:3, :3]).as_quat(), 1), *T[:3, 3]]


def write_text_model(folder: Path, frames: list[Frame]) -> None:
    folder.mkdir(parents=True)
    values = " ".join(str(CAMERA.K[i]) for i in ((0, 0), (1, 1), (0, 2), (1, 2)))
    (folder / "cameras.txt").write_text(f"# Camera list\n3 PINHOLE {CAMERA.width} {CAMERA.height} {values}\n")
    lines = ["# Image list with two lines of data per image:"]
    for i, frame in reversed(list(enumerate(frames))):  # COLMAP promises no order
        pose = " ".join(map(str, world_to_camera(frame)))
        lines += [f"{i + 7} {pose} 3 frame_{i + FIRST:05d}.png", "1.5 2.5 -1" if i % 2 else ""]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    rows = [
        f"{k} {' '.join(map(str, point))} {' '.join(map(str, color))} 0.3 7 0 8 1"
        for k, (point, color) in enumerate(zip(POINTS, COLORS, strict=True))
    ]
    (folder / "points3D.txt").write_text("# 3D point list\n" + "\n".join(rows) + "\n")


def write_binary_model(folder: Path, frames: list[Frame]) -> None:
    folder.mkdir(parents=True)
    K = CAMERA.K
    camera = struct.pack("<iiQQ4d", 3, 1, CAMERA.width, CAMERA.height, K[0, 0], K[1, 1], K[0, 2], K[1, 2])
    (folder / "cameras.bin").write_bytes(struct.pack("<Q", 1) + camera)
    data = struct.pack("<Q", len(frames))
    for i, frame in reversed(list(enumerate(frames))):
        data += struct.pack("<i7di", i + 7, *world_to_camera(frame), 3) + f"frame_{i + FIRST:05d}.png".encode() + b"\0"
        data += struct.pack("<Q", i) + i * struct.pack("<ddq", 1.5, 2.5, -1)
    (folder / "images.bin").write_bytes(data)
    data = struct.pack("<Q", len(POINTS))
    for k, (point, color) in enumerate(zip(POINTS, COLORS, strict=True)):
        data += struct.pack("<Q3d3Bd", k, *point, *color, 0.3) + struct.pack("<Q", k) + k * struct.pack("<ii", 7, 0)
    (folder / "points3D.bin").write_bytes(data)


def corners(card: int, frame: Frame) -> FloatArray:
    """(4, 2) px of a card's corners in a frame."""
    x, y = CARDS[card][1]
    square = np.array([[x + a * HALF, y + b * HALF, 0.0] for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
    return project(transform(inverse(frame.T_world_camera), square), frame.camera)[0]


def write_labels(folder: Path, frame: Frame, number: int, size: float = 1.0) -> None:
    """LERF-OVS labels of both cards, under one name each and a common one."""
    folder.mkdir(parents=True, exist_ok=True)
    things = []
    for card, (name, _) in CARDS.items():
        polygon = (corners(card, frame) * size).tolist()
        things += [{"category": text, "segmentation": polygon, "bbox": [0, 0, 1, 1]} for text in (name, "card")]
    width, height = round(CAMERA.width * size), round(CAMERA.height * size)
    about = {"info": {"name": f"frame_{number:05d}.jpg", "width": width, "height": height}, "objects": things}
    (folder / f"frame_{number:05d}.json").write_text(json.dumps(about))


def scene(root: Path, binary: bool = True, n: int = 5) -> tuple[Path, list[Frame]]:
    """n photographs of the ground in root/cards, and the frames they are of."""
    folder, frames = root / "cards", orbit(n, depth=False)
    (folder / "images").mkdir(parents=True)
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / "images" / f"frame_{i + FIRST:05d}.png"), frame.rgb[..., ::-1])
    (write_binary_model if binary else write_text_model)(folder / "sparse" / "0", frames)
    return folder, frames
