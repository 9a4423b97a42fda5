"""The splat PLY: the fields of 3D Gaussian splatting, and the same Gaussians when read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from plyfile import PlyData
from scipy.spatial.transform import Rotation

from ig_ros.errors import StorageError
from ig_ros.export import Axes, write_splats
from ig_ros.types import FloatArray, GaussianBatch

N = 40


@pytest.fixture
def gaussians() -> GaussianBatch:
    g = torch.Generator().manual_seed(3)
    return GaussianBatch(
        torch.randn(N, 3, generator=g),
        3 * torch.randn(N, 4, generator=g),  # not normalised
        torch.exp(torch.randn(N, 3, generator=g) - 4),
        torch.linspace(0, 1, N),
        torch.rand(N, 9, generator=g),
        torch.arange(N),
    )


def read(path: Path) -> dict[str, FloatArray]:
    """What a splat viewer makes of the file: means, covariances, colours, opacities."""
    v = PlyData.read(str(path))["vertex"]
    stack = lambda names: np.stack([np.asarray(v[n], np.float64) for n in names], axis=1)  # noqa: E731
    rotation = stack(["rot_0", "rot_1", "rot_2", "rot_3"])
    R = Rotation.from_quat(rotation[:, [1, 2, 3, 0]]).as_matrix()
    S = np.exp(stack(["scale_0", "scale_1", "scale_2"]))
    return {
        "means": stack(["x", "y", "z"]),
        "rotation": rotation,
        "covariance": (R * S[:, None] ** 2) @ R.transpose(0, 2, 1),
        "color": 0.5 + 0.28209479177387814 * stack(["f_dc_0", "f_dc_1", "f_dc_2"]),
        "opacity": 1 / (1 + np.exp(-np.asarray(v["opacity"], np.float64))),
    }


def covariance(gaussians: GaussianBatch) -> FloatArray:
    q = gaussians.quats.double().numpy()
    R = Rotation.from_quat(q[:, [1, 2, 3, 0]]).as_matrix()
    return (R * gaussians.scales.double().numpy()[:, None] ** 2) @ R.transpose(0, 2, 1)


def test_the_fields_are_those_of_3d_gaussian_splatting(tmp_path: Path, gaussians: GaussianBatch) -> None:
    assert write_splats(tmp_path / "s.ply", gaussians) == N
    data = PlyData.read(str(tmp_path / "s.ply"))
    assert [e.name for e in data.elements] == ["vertex"]
    assert not data.text
    assert data.byte_order == "<"
    names = [
        "x",
        "y",
        "z",
        "nx",
        "ny",
        "nz",
        "f_dc_0",
        "f_dc_1",
        "f_dc_2",
        "opacity",
        "scale_0",
        "scale_1",
        "scale_2",
        "rot_0",
        "rot_1",
        "rot_2",
        "rot_3",
    ]
    assert [p.name for p in data["vertex"].properties] == names
    assert {data["vertex"][n].dtype for n in names} == {np.dtype("<f4")}
    assert all(np.isfinite(data["vertex"][n]).all() for n in names)  # opacities 0 and 1 included


def test_what_is_read_back_is_what_the_map_draws(tmp_path: Path, gaussians: GaussianBatch) -> None:
    write_splats(tmp_path / "s.ply", gaussians)
    got = read(tmp_path / "s.ply")
    np.testing.assert_allclose(got["means"], gaussians.means, atol=1e-6)
    np.testing.assert_allclose(got["color"], gaussians.features[:, :3], atol=1e-6)
    np.testing.assert_allclose(got["opacity"], gaussians.opacities, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(got["rotation"], axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(got["covariance"], covariance(gaussians), rtol=1e-4, atol=1e-10)


def test_viewer_axes_turn_the_whole_map_rigidly(tmp_path: Path, gaussians: GaussianBatch) -> None:
    write_splats(tmp_path / "s.ply", gaussians, Axes.VIEWER)
    got = read(tmp_path / "s.ply")
    R = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # up, +z, becomes -y
    np.testing.assert_allclose(R @ [0, 0, 1], [0, -1, 0])
    np.testing.assert_allclose(got["means"], gaussians.means.numpy() @ R.T, atol=1e-6)
    np.testing.assert_allclose(got["covariance"], R @ covariance(gaussians) @ R.T, rtol=1e-4, atol=1e-9)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, gaussians: GaussianBatch) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        write_splats(tmp_path / "nowhere" / "s.ply", gaussians)
