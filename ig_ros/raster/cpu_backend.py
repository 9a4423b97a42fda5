"""The CPU backend: autograd around the compiled kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ig_ros.raster.library import Library, RasterGradients, RasterInput, RasterOutput, Workspace, address, load, threads
from ig_ros.raster.request import RasterRequest, ScreenStats
from ig_ros.types import RenderResult


@dataclass(slots=True)
class _Call:
    """What the forward pass leaves for the backward pass besides saved tensors."""

    workspace: Workspace
    request: RasterRequest
    screen: ScreenStats | None


def render(request: RasterRequest, screen: ScreenStats | None, library: Library | None = None) -> RenderResult:
    """Rasterise on the CPU; see ig_ros.raster.rasterize."""
    library = library or load()
    g = request.gaussians
    call = _Call(Workspace(library), request, screen)
    tensors = (g.means, g.quats, g.scales, g.opacities, g.features)
    features, depth, alpha = _Rasterize.apply(call, *tensors)  # type: ignore[no-untyped-call]
    return RenderResult(features, depth, alpha)


def top(request: RasterRequest, library: Library | None = None) -> torch.Tensor:
    """Index (H, W) int32 of the Gaussian with the largest blend weight, -1 where there is none."""
    library = library or load()
    g = request.gaussians
    tensors = _prepared((g.means, g.quats, g.scales, g.opacities, g.features[:, :0]))
    index = torch.empty(request.camera.height, request.camera.width, dtype=torch.int32)
    library.call("ig_raster_top", Workspace(library).handle, _input(request, tensors), address(index))
    return index


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, *gaussians: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        tensors = _prepared(gaussians)
        camera, n = call.request.camera, len(tensors[0])
        features = torch.empty(camera.height, camera.width, tensors[4].shape[1])
        depth, alpha, transmittance = torch.empty(3, camera.height, camera.width).unbind(0)
        visible = torch.empty(n, dtype=torch.bool)
        output = _output(features, depth, alpha, transmittance, visible)
        call.workspace.library.call("ig_raster_forward", call.workspace.handle, _input(call.request, tensors), output)
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
        images = [None if g is None else g.float().contiguous() for g in image_gradients]
        gradients = [torch.empty_like(t) for t in tensors]
        screen = torch.empty(len(tensors[0]), 2)
        struct = RasterGradients(*map(address, (*images, *gradients, screen)))
        output = _output(features, depth, None, transmittance, None)
        call.workspace.library.call(
            "ig_raster_backward", call.workspace.handle, _input(call.request, tuple(tensors)), output, struct
        )
        if call.screen is not None:
            call.screen.gradient = screen
        return None, *gradients


def _prepared(gaussians: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """As the kernels read them: in this machine's memory, whatever device they come from."""
    return tuple(t.detach().cpu().float().contiguous() for t in gaussians)


def _input(request: RasterRequest, tensors: tuple[torch.Tensor, ...]) -> RasterInput:
    """The struct for one call; it borrows the tensors' and the gate's memory."""
    camera, view = request.camera, request.world_to_camera
    gated = request.gated
    struct = RasterInput(*map(address, (*tensors, request.gate)))
    struct.count, struct.channels = tensors[4].shape
    struct.gated_begin, struct.gated_end = gated.start, gated.stop
    struct.width, struct.height, struct.threads = camera.width, camera.height, threads()
    struct.world_to_camera[:] = view[:3].reshape(-1).tolist()
    struct.fx, struct.fy, struct.cx, struct.cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    struct.near, struct.max_alpha = request.near, request.max_alpha
    return struct


def _output(*tensors: torch.Tensor | None) -> RasterOutput:
    return RasterOutput(*map(address, tensors))
