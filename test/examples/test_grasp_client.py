"""The pose that the worked example prints: above the box, fingers across its short side, never into the table."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

FILE = Path(__file__).resolve().parents[2] / "examples" / "grasp_client.py"
TABLE = np.array([0.0, 0.0, 1.0, -0.7])  # z = 0.7


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("grasp_client", FILE)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def box(x: float, y: float, z: float, yaw: float) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", yaw, degrees=True).as_matrix()
    T[:3, 3] = (x, y, z)
    return T


@pytest.mark.parametrize("yaw", [0.0, 30.0, 120.0])
@pytest.mark.parametrize(("size", "short"), [((0.2, 0.06, 0.1), 1), ((0.06, 0.2, 0.1), 0)])
def test_the_fingers_come_from_above_and_close_across_the_shorter_edge(
    example: ModuleType, yaw: float, size: tuple[float, float, float], short: int
) -> None:
    T_box = box(0.4, -0.2, 0.75, yaw)
    T = example.top_grasp(T_box, np.array(size), TABLE)
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_allclose(T[:3, 2], [0, 0, -1])
    assert abs(T[:3, 1] @ T_box[:3, short]) == pytest.approx(1.0)
    np.testing.assert_allclose(T[:3, 3], [0.4, -0.2, 0.8 - 0.03])


@pytest.mark.parametrize(("height", "grasp"), [(0.1, 0.77), (0.04, 0.72), (0.01, 0.71)])
def test_flat_things_are_taken_by_their_upper_half_and_the_table_is_not_touched(
    example: ModuleType, height: float, grasp: float
) -> None:
    T = example.top_grasp(box(0, 0, 0.7 + height / 2, 0), np.array([0.1, 0.05, height]), TABLE)
    assert T[2, 3] == pytest.approx(grasp)


def test_without_a_known_support_the_box_alone_decides(example: ModuleType) -> None:
    T = example.top_grasp(box(0, 0, 0.705, 0), np.array([0.1, 0.05, 0.01]), np.zeros(4))
    assert T[2, 3] == pytest.approx(0.705)
