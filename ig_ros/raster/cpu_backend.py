"""The CPU backend: autograd around the compiled kernels."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch

from ig_ros.raster.library import Library, Workspace, load, threads
from ig_ros.raster.request import RasterRequest, ScreenStats
from ig_ros.types import RenderResult

INPUTS = ("means", "quats", "scales", "opacities", "features")


@dataclass(slots=True)
class _Call:
    """What the forward pass leaves for the backward pass besides saved tensors."""

    workspace: Workspace
    request: RasterRequest
    screen: ScreenStats | None

    def run(self, name: str, gaussians: tuple[torch.Tensor, ...], *arguments: object) -> None:
        """Call a function of the rasteriser with this workspace and request."""
        library = self.workspace.library
        library.call(name, self.workspace.handle, _input(library, self.request, gaussians), *arguments)


def render(request: RasterRequest, screen: ScreenStats | None, library: Library | None = None) -> RenderResult:
    """Rasterise on the CPU; see ig_ros.raster.rasterize."""
    g = request.gaussians
    call = _Call(Workspace(library or load()), request, screen)
    tensors = (g.means, g.quats, g.scales, g.opacities, g.features)
    features, depth, alpha = _Rasterize.apply(call, *tensors)  # type: ignore[no-untyped-call]
    return RenderResult(features, depth, alpha)


def top(request: RasterRequest, library: Library | None = None) -> torch.Tensor:
    """Index (H, W) int32 of the Gaussian with the largest blend weight, -1 where there is none."""
    g = request.gaussians
    tensors = _prepared((g.means, g.quats, g.scales, g.opacities, g.features[:, :0]))
    index = torch.empty(request.camera.height, request.camera.width, dtype=torch.int32)
    _Call(Workspace(library or load()), request, None).run("ig_raster_top", tensors, index)
    return index


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, *gaussians: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        tensors = _prepared(gaussians)
        camera, n = call.request.camera, len(tensors[0])
        features = torch.empty(camera.height, camera.width, tensors[4].shape[1])
        depth, alpha, transmittance = torch.empty(3, camera.height, camera.width).unbind(0)
        visible = torch.empty(n, dtype=torch.bool)
        output = call.workspace.library.struct(
            "RasterOutput", features=features, depth=depth, alpha=alpha, transmittance=transmittance, visible=visible
        )
        call.run("ig_raster_forward", tensors, output)
        if call.screen is not None:
            call.screen.visible = visible
        ctx.call = call
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, features, depth, transmittance)
        return features, depth, alpha

    @staticmethod
    def backward(ctx: Any, *image_gradients: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        *tensors, features, depth, transmittance = ctx.saved_tensors
        call: _Call = ctx.call
        library = call.workspace.library
        images = [None if g is None else g.float().contiguous() for g in image_gradients]
        gradients = [torch.empty_like(t) for t in tensors]
        screen = torch.empty(len(tensors[0]), 2)
        output = library.struct(
            "RasterOutput", features=features, depth=depth, alpha=None, transmittance=transmittance, visible=None
        )
        names = ("features", "depth", "alpha", *INPUTS[:4], "gaussian_features", "screen")
        values = dict(zip(names, (*images, *gradients, screen), strict=True))
        call.run("ig_raster_backward", tuple(tensors), output, library.struct("RasterGradients", **values))
        if call.screen is not None:
            call.screen.gradient = screen
        return None, *gradients


def _prepared(gaussians: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """As the kernels read them: in this machine's memory, whatever device they come from."""
    return tuple(t.detach().cpu().float().contiguous() for t in gaussians)


def _input(library: Library, request: RasterRequest, gaussians: tuple[torch.Tensor, ...]) -> ctypes.Structure:
    """The struct for one call, which borrows the memory of the Gaussians and the gate."""
    camera, gated, K = request.camera, request.gated, request.camera.K
    count, channels = gaussians[4].shape
    return library.struct(
        "RasterInput",
        **dict(zip(INPUTS, gaussians, strict=True)),
        gate=request.gate,
        count=count,
        channels=channels,
        gated_begin=gated.start,
        gated_end=gated.stop,
        width=camera.width,
        height=camera.height,
        threads=threads(),
        world_to_camera=request.world_to_camera[:3].ravel().tolist(),
        fx=K[0, 0],
        fy=K[1, 1],
        cx=K[0, 2],
        cy=K[1, 2],
        near=request.near,
        max_alpha=request.max_alpha,
    )
