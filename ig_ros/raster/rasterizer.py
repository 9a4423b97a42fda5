"""The rasteriser's front door: one call for colour, features, depth and alpha, on the CPU or on CUDA."""

from __future__ import annotations

import torch

from ig_ros.errors import RasterError
from ig_ros.raster import cpu_backend, gsplat_backend
from ig_ros.raster.request import NEAR, ScreenStats, make_request
from ig_ros.types import Camera, FloatArray, GaussianBatch, RenderResult


def rasterize(
    gaussians: GaussianBatch,
    T_world_camera: torch.Tensor | FloatArray,
    camera: Camera,
    *,
    near: float = NEAR,
    screen: ScreenStats | None = None,
    gated_channels: slice | None = None,
    geometry_gate: torch.Tensor | None = None,
) -> RenderResult:
    """Blend Gaussians front to back into one image [Kerbl et al. 2023, eq. 2-5], F channels and depth in one pass.

    gaussians: world frame, metres; gsplat draws them on CUDA, the compiled kernels on the CPU. T_world_camera (4, 4):
    camera-to-world, OpenCV axes, a constant. near: nearer Gaussians are left out, m.
    screen: filled with what growth needs to know, see ScreenStats.
    gated_channels, geometry_gate (N,) in [0, 1]: the loss on these feature channels moves means, quats, scales and
    opacities of Gaussian i only by the share gate_i, that is geometry = m g + (1 - m) stopgrad(g)
    [docs/method.md, section 7.4]; the features themselves always get their whole gradient.

    Returns features (H, W, F), depth (H, W) and alpha (H, W), differentiable with respect to the five Gaussian tensors;
    the background is zero. Raises RasterError.
    """
    request = make_request(gaussians, T_world_camera, camera, near, gated_channels, geometry_gate)
    render = gsplat_backend.render if gaussians.means.device.type == "cuda" else cpu_backend.render
    return render(request, screen)


@torch.no_grad()
def top_contributor(
    gaussians: GaussianBatch,
    T_world_camera: torch.Tensor | FloatArray,
    camera: Camera,
    *,
    near: float = NEAR,
) -> torch.Tensor:
    """Row of the Gaussian with the largest blend weight at every pixel, (H, W) int32; -1 where nothing is drawn.

    Computed on the CPU whatever the device of the Gaussians; the result is on their device.
    """
    request = make_request(gaussians, T_world_camera, camera, near, None, None)
    return cpu_backend.top(request).to(gaussians.means.device)


def select_device(name: str) -> torch.device:
    """Device for a configured name: auto takes CUDA where it and gsplat work. Raises RasterError for absent CUDA."""
    if name == "cpu":
        return torch.device("cpu")
    usable = torch.cuda.is_available()
    if name == "cuda" and not usable:
        raise RasterError("device is 'cuda', but torch finds no CUDA GPU: set it to cpu or install torch for CUDA")
    if name == "cuda":
        gsplat_backend.require()
    return torch.device("cuda" if usable and gsplat_backend.installed() else "cpu")
