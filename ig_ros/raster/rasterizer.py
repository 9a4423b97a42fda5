"""The rasteriser's front door: one call for colour, features, depth and alpha, on the CPU or on CUDA."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

import numpy as np
import torch

from ig_ros.errors import RasterError, one_line
from ig_ros.raster import cpu_backend, gsplat_backend
from ig_ros.raster.request import NEAR, ScreenStats, make_request
from ig_ros.types import Camera, FloatArray, GaussianBatch, RenderResult

log = logging.getLogger(__name__)

GPU_NODES = ("/dev/nvidia0", "/dev/nvhost-gpu")  # of the driver on a desktop and on a Jetson


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


def gpu_problem() -> str:
    """Returns what keeps this machine from training on its GPU, with the remedy; "" if nothing does.

    A picture and its gradient are drawn, so gsplat's kernels are compiled here where that has not been done (minutes).
    """
    if torch.version.cuda is None:
        return f"torch {torch.__version__} was built without CUDA: install torch for CUDA (https://pytorch.org)"
    if not torch.cuda.is_available():
        return "torch finds no CUDA GPU: `nvidia-smi` tells whether the driver works"
    try:
        if gsplat_backend.kernels() is None:
            return (
                f"gsplat found no nvcc to compile its kernels with: install the CUDA {torch.version.cuda} toolkit, or "
                "a gsplat wheel that brings them"
            )
        there, here = _trial(torch.device("cuda")), _trial(torch.device("cpu"))
    except (RasterError, RuntimeError, OSError, ImportError, subprocess.SubprocessError) as error:
        return one_line(error)
    right = torch.allclose(there, here, atol=1e-2)
    return "" if right else f"gsplat draws a wrong picture on {device_name(torch.device('cuda'))}"


def _trial(device: torch.device) -> torch.Tensor:
    """Three Gaussians drawn on a device: the colours and the gradient of the means in one vector, on the CPU."""
    place = torch.tensor([[0.0, 0, 1], [0.2, 0.1, 1.2], [-0.2, 0.2, 0.9]], device=device).requires_grad_()
    turn, ones = torch.tensor([[1.0, 0, 0, 0]] * 3, device=device), torch.ones(3, device=device)
    batch = GaussianBatch(place, turn, 0.1 * ones[:, None].expand(3, 3), 0.5 * ones, torch.eye(3, device=device), ones)
    camera = Camera(np.array([[32.0, 0, 16], [0, 32, 16], [0, 0, 1]]), 32, 32)
    image = rasterize(batch, np.eye(4), camera).features
    (moved,) = torch.autograd.grad((image**2).mean(), [place])
    return torch.cat([image.detach().cpu().flatten(), moved.cpu().flatten()])


def select_device(name: str) -> torch.device:
    """Returns the device for a configured name; auto takes a GPU on which gsplat has drawn a picture, else the CPU.

    Raises RasterError for 'cuda' where that does not work, with the reason and the remedy.
    """
    if name == "cpu":
        return torch.device("cpu")
    problem = gpu_problem()
    if name == "cuda" and problem:
        raise RasterError(f"device is 'cuda', but {problem}; or set device to cpu")
    if problem and any(Path(node).exists() for node in GPU_NODES):
        log.warning("this machine's GPU is not used, training runs on the CPU: %s", problem)
    return torch.device("cpu" if problem else "cuda")


def device_name(device: torch.device) -> str:
    """Returns a device as people read it: `cpu`, `cuda (NVIDIA H200)`."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type
