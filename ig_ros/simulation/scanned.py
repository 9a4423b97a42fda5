"""A table of scanned objects: textured OBJ meshes from a folder, one sub-folder per object."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ig_ros.datasets.files import read_rgb
from ig_ros.errors import DatasetError
from ig_ros.geometry import dot
from ig_ros.simulation.mesh import Mesh
from ig_ros.simulation.scene import Part, Scene, Thing
from ig_ros.simulation.tabletop import arrange
from ig_ros.simulation.textures import Texture
from ig_ros.types import FloatArray, IntArray

EXPECTED = "expected one folder per object with textured.obj, textured.mtl and the picture it names (metres, z up)"
LARGEST = 0.6  # m
TEXTURE_SIDE = 1024

PARAPHRASES = {  # for the objects of the YCB set; others are asked for by name
    "banana": "a long yellow fruit",
    "baseball": "sports equipment to throw and hit",
    "bowl": "a deep round dish",
    "lemon": "a sour yellow citrus fruit",
    "mug": "something to drink from",
    "power drill": "a tool for making holes",
    "scissors": "something to cut paper with",
    "spoon": "cutlery for eating soup",
    "rubiks cube": "a puzzle with coloured squares",
    "mustard bottle": "yellow sauce for a hot dog",
    "bleach cleanser": "a chemical for cleaning the bathroom",
}


def scanned_scene(meshes: str, seed: int, frames: int) -> Scene:
    """8 to 12 objects of the folder on a table (fewer if it holds fewer). Raises DatasetError naming bad files."""
    if not meshes:
        raise DatasetError("the scene sim:scanned needs a folder of meshes: sim:scanned?meshes=FOLDER")
    folder = Path(meshes).expanduser()
    objects = sorted(path.parent for path in folder.glob("*/textured.obj")) if folder.is_dir() else []
    if not objects:
        raise DatasetError(f"no scanned objects in {folder}: {EXPECTED}")
    random = np.random.default_rng([seed, 2])
    count = min(len(objects), int(random.integers(8, 13)))
    chosen = sorted(random.choice(len(objects), count, replace=False))
    return arrange("scanned", [load_object(objects[i]) for i in chosen], random, frames)


def load_object(folder: Path) -> Thing:
    """One object, standing on z = 0 around the vertical through its middle; named after its folder."""
    mesh = read_obj(folder / "textured.obj")
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    if (high - low).max() > LARGEST:
        raise DatasetError(f"{folder / 'textured.obj'} is {(high - low).max():.2f} m large: {EXPECTED}")
    middle = (low + high) / 2
    name = folder.name.replace("_", " ")
    paraphrases = (PARAPHRASES[name],) if name in PARAPHRASES else ()
    standing = mesh.moved(-middle[0], -middle[1], -low[2])
    return Thing(name, (Part(standing, read_texture(folder)),), paraphrases)


def read_texture(folder: Path) -> Texture:
    """The picture that textured.mtl names, resampled to a power of two."""
    material = folder / "textured.mtl"
    try:
        lines = [line.split(maxsplit=1) for line in material.read_text().splitlines()]
    except OSError as error:
        raise DatasetError(f"cannot read {material}: {EXPECTED}") from error
    names = [line[1].strip() for line in lines if len(line) == 2 and line[0] == "map_Kd"]
    if not names:
        raise DatasetError(f"{material} names no picture (map_Kd): {EXPECTED}")
    picture: Texture = cv2.resize(
        read_rgb(folder / names[0]), (TEXTURE_SIDE, TEXTURE_SIDE), interpolation=cv2.INTER_AREA
    )
    return picture


def read_obj(path: Path) -> Mesh:
    """Triangles of a Wavefront OBJ with texture coordinates; normals are made smooth. Raises DatasetError."""
    try:
        lines = path.read_text().splitlines()
        vertices = _rows(lines, "v ", 3)
        uv = _rows(lines, "vt ", 2)
        corners = np.array([line.split()[1:4] for line in lines if line.startswith("f ")])
        pairs = np.array([[int(n) for n in corner.split("/")[:2]] for corner in corners.ravel()]) - 1
        place, texture = pairs.reshape(-1, 2).T
        if len(corners) == 0 or place.max() >= len(vertices) or texture.max() >= len(uv) or pairs.min() < 0:
            raise ValueError("its faces name vertices that are not there")
    except (OSError, ValueError, IndexError) as error:
        raise DatasetError(f"cannot read {path} as a textured mesh ({error}): {EXPECTED}") from error
    normals = smooth_normals(vertices, place.reshape(-1, 3))
    both = np.stack([place, texture], axis=1)
    distinct, triangles = np.unique(both, axis=0, return_inverse=True)
    flipped = uv[distinct[:, 1]] * [1, -1] + [0, 1]  # OBJ counts v from the bottom
    return Mesh(vertices[distinct[:, 0]], normals[distinct[:, 0]], flipped, triangles.reshape(-1, 3))


def smooth_normals(vertices: FloatArray, triangles: IntArray) -> FloatArray:
    """(V, 3) unit normals: the mean over the faces around each vertex, weighted by area."""
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    face = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(total, triangles[:, k], face)
    length = np.sqrt(np.maximum(dot(total, total), 1e-24))
    return total / length[:, None]


def _rows(lines: list[str], prefix: str, columns: int) -> FloatArray:
    rows = [line.split()[1 : columns + 1] for line in lines if line.startswith(prefix)]
    return np.array(rows, dtype=np.float64).reshape(-1, columns)
