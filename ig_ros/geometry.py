"""Rigid transforms and pinhole projection. Quaternions are (w, x, y, z) here; ROS borders convert."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from ig_ros.types import Camera, FloatArray, IntArray

# The axes of a camera's optical frame (x right, y down, z forward) in a body frame (x forward, y left, z up), REP 103.
T_BODY_OPTICAL: FloatArray = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def pose_from_quaternion(translation: FloatArray, quaternion_wxyz: FloatArray) -> FloatArray:
    """(4, 4) pose from a translation (3,) in metres and a quaternion (4,) wxyz (normalised here).

    Raises ValueError for a zero or non-finite quaternion or translation.
    """
    values = np.concatenate([translation, quaternion_wxyz]).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("pose contains NaN or infinity")
    if np.linalg.norm(quaternion_wxyz) < 1e-6:
        raise ValueError("pose has a zero quaternion")
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat(np.roll(values[3:], -1)).as_matrix()
    T[:3, 3] = values[:3]
    return T


def quaternion_from_matrix(R: FloatArray) -> FloatArray:
    """(4,) wxyz unit quaternion with w >= 0 of a rotation matrix (3, 3)."""
    q: FloatArray = np.roll(Rotation.from_matrix(R).as_quat(), 1)
    return q if q[0] >= 0 else -q


def inverse(T: FloatArray) -> FloatArray:
    """Inverse of a rigid transform (4, 4)."""
    R, t = T[:3, :3], T[:3, 3]
    inv = np.eye(4)
    inv[:3, :3] = R.T
    inv[:3, 3] = -R.T @ t
    return inv


def is_rigid(T: FloatArray, tolerance: float) -> bool:
    """Returns whether T is a rigid transform (4, 4); R R^T of its rotation R may be off by `tolerance`."""
    if T.shape != (4, 4) or not np.isfinite(T).all() or not np.allclose(T[3], [0, 0, 0, 1]):
        return False
    R = T[:3, :3]
    return bool(np.allclose(R @ R.T, np.eye(3), atol=tolerance) and np.linalg.det(R) > 0)


def interpolate(T_a: FloatArray, T_b: FloatArray, fraction: float) -> FloatArray:
    """Pose between T_a (fraction 0) and T_b (fraction 1): linear translation, spherical rotation."""
    T = np.eye(4)
    T[:3, 3] = (1 - fraction) * T_a[:3, 3] + fraction * T_b[:3, 3]
    T[:3, :3] = Slerp([0.0, 1.0], Rotation.from_matrix(np.stack([T_a[:3, :3], T_b[:3, :3]])))(fraction).as_matrix()
    return T


def rotation_angle(T_a: FloatArray, T_b: FloatArray) -> float:
    """Angle in radians between the orientations of two poses."""
    return float(Rotation.from_matrix(T_a[:3, :3].T @ T_b[:3, :3]).magnitude())


def transform(T_a_b: FloatArray, points_b: FloatArray) -> FloatArray:
    """Points (N, 3) of frame b expressed in frame a."""
    return points_b @ T_a_b[:3, :3].T.astype(points_b.dtype) + T_a_b[:3, 3].astype(points_b.dtype)


def box_edges(T_world_box: FloatArray, size: FloatArray) -> FloatArray:
    """(12, 2, 3) m: the ends of the edges of a box by its pose (4, 4) and its size (3,) m."""
    signs = np.indices((2, 2, 2)).reshape(3, 8).T
    ends = [(a, b) for a in range(8) for b in range(a) if np.abs(signs[a] - signs[b]).sum() == 1]
    edges: FloatArray = transform(T_world_box, (signs - 0.5) * size)[np.array(ends)]
    return edges


def box_iou(one: FloatArray, many: FloatArray) -> FloatArray:
    """Returns (n,) IoU of an upright box (4,) of an image, two corners, with boxes (n, 4)."""
    edges = np.minimum(one[2:], many[:, 2:]) - np.maximum(one[:2], many[:, :2])
    common = np.clip(edges, 0, None).prod(1)
    union = (one[2:] - one[:2]).prod() + (many[:, 2:] - many[:, :2]).prod(1) - common
    return np.asarray(common / union)


def project(points_camera: FloatArray, camera: Camera) -> tuple[FloatArray, FloatArray]:
    """Pixel coordinates (N, 2) and depth (N,) of points in the camera frame; points behind have depth <= 0."""
    z = points_camera[:, 2]
    safe = np.where(z > 1e-6, z, 1.0)
    uv = points_camera[:, :2] / safe[:, None] * [camera.K[0, 0], camera.K[1, 1]] + [camera.K[0, 2], camera.K[1, 2]]
    return uv, z


def back_project(depth: FloatArray, camera: Camera, rows: IntArray, cols: IntArray) -> FloatArray:
    """Points (N, 3) in the camera frame seen at the centres of pixels (rows, cols) with depth (H, W) in metres."""
    z = depth[rows, cols].astype(np.float64)
    x = (cols + 0.5 - camera.K[0, 2]) / camera.K[0, 0] * z
    y = (rows + 0.5 - camera.K[1, 2]) / camera.K[1, 1] * z
    return np.stack([x, y, z], axis=1)


def reproject_depth(depth: FloatArray, depth_camera: Camera, T_color_depth: FloatArray, camera: Camera) -> FloatArray:
    """Returns depth (H, W) float32 m as another camera sees it from T_color_depth (4, 4); 0 where nothing was measured.

    depth (h, w) m belongs to depth_camera. Of several points behind a pixel the nearest counts. A camera with more
    pixels than the depth takes the value of the coarser pixel.
    """
    rows, cols = np.nonzero(depth > 0)
    seen = camera.resized(min(camera.width, depth.shape[1]), min(camera.height, depth.shape[0]))
    uv, z = project(transform(T_color_depth, back_project(depth, depth_camera, rows, cols)), seen)
    u, v = np.floor(uv.T).astype(np.int64)
    inside = (z > 0) & (u >= 0) & (u < seen.width) & (v >= 0) & (v < seen.height)
    nearest = np.full(seen.height * seen.width, np.inf, np.float32)
    np.minimum.at(nearest, v[inside] * seen.width + u[inside], z[inside].astype(np.float32))
    image = np.where(np.isfinite(nearest), nearest, np.float32(0)).reshape(seen.height, seen.width)
    row = (np.arange(camera.height) + 0.5) * seen.height // camera.height
    col = (np.arange(camera.width) + 0.5) * seen.width // camera.width
    return np.asarray(image[row.astype(int)[:, None], col.astype(int)[None]])


def dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """Inner products of vectors (..., F); einsum because summing a short last axis is slow in NumPy."""
    product: FloatArray = np.einsum("...i,...i->...", a, b)
    return product


def lengths(vectors: FloatArray) -> FloatArray:
    """(...) lengths of vectors (..., F)."""
    return np.sqrt(dot(vectors, vectors))
