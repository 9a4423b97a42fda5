"""What a backend is asked for, checked once, and what it reports about the Gaussians on the screen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ig_ros.errors import RasterError
from ig_ros.geometry import inverse
from ig_ros.types import Camera, FloatArray, GaussianBatch

NEAR = 0.05  # m: what is nearer to the camera is neither drawn nor seen
MAX_ALPHA = 0.999  # opacity of one Gaussian at one pixel; gsplat's compiled-in value, so that both backends agree


@dataclass(slots=True)
class ScreenStats:
    """Filled by rasterize(): which Gaussians the camera sees, and after backward() how their images want to move."""

    visible: torch.Tensor | None = None  # (N,) bool: the Gaussian reaches the image; set by the forward pass
    gradient: torch.Tensor | None = None  # (N, 2) dL / d projected mean, per pixel; set by the backward pass


@dataclass(frozen=True, slots=True)
class RasterRequest:
    """A validated call of rasterize()."""

    gaussians: GaussianBatch
    world_to_camera: npt.NDArray[np.float64]  # (4, 4), of a world whose zero is the Gaussians' origin
    camera: Camera
    near: float
    gated: slice  # explicit bounds; empty without a gate
    gate: torch.Tensor | None  # (N,) float32, contiguous
    max_alpha: float = MAX_ALPHA


def make_request(
    gaussians: GaussianBatch,
    T_world_camera: torch.Tensor | FloatArray,
    camera: Camera,
    near: float,
    gated_channels: slice | None,
    geometry_gate: torch.Tensor | None,
) -> RasterRequest:
    """Check shapes and turn the arguments into one form. Raises RasterError naming the wrong argument."""
    _check_gaussians(gaussians)
    if isinstance(T_world_camera, torch.Tensor):
        T_world_camera = T_world_camera.detach().cpu().numpy()
    pose = np.array(T_world_camera, dtype=np.float64)
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise RasterError(f"T_world_camera must be a finite (4, 4) pose, got shape {pose.shape}")
    if not near > 0:
        raise RasterError(f"near must be > 0 m, got {near}")
    pose[:3, 3] -= gaussians.origin
    gated, gate = _gate(gaussians, gated_channels, geometry_gate)
    return RasterRequest(gaussians, np.asarray(inverse(pose), np.float64), camera, near, gated, gate)


def _check_gaussians(g: GaussianBatch) -> None:
    n = len(g.means)
    shapes = {"means": (n, 3), "quats": (n, 4), "scales": (n, 3), "opacities": (n,)}
    for name, shape in shapes.items():
        found = tuple(getattr(g, name).shape)
        if found != shape:
            raise RasterError(f"gaussians.{name} has shape {found}, expected {shape}")
    if g.features.ndim != 2 or len(g.features) != n:
        raise RasterError(f"gaussians.features has shape {tuple(g.features.shape)}, expected ({n}, F)")
    devices = {getattr(g, name).device for name in (*shapes, "features")}
    if len(devices) > 1:
        raise RasterError(f"gaussians lie on different devices: {', '.join(sorted(map(str, devices)))}")


def _gate(g: GaussianBatch, channels: slice | None, gate: torch.Tensor | None) -> tuple[slice, torch.Tensor | None]:
    if (channels is None) != (gate is None):
        raise RasterError("gated_channels and geometry_gate belong together: give both or neither")
    if channels is None or gate is None:
        return slice(0, 0), None
    begin, end, step = channels.indices(g.features.shape[1])
    if step != 1:
        raise RasterError(f"gated_channels must be a plain range of channels, got step {step}")
    if tuple(gate.shape) != (len(g.means),):
        raise RasterError(f"geometry_gate has shape {tuple(gate.shape)}, expected ({len(g.means)},)")
    return slice(begin, max(begin, end)), gate.detach().to(g.means.device, torch.float32).contiguous()
