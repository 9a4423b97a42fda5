"""How far a rendered image is from the camera's: (1 - w) L1 + w (1 - SSIM) [Kerbl et al. 2023, eq. 7].

SSIM as usual in 3DGS: Gaussian 11 x 11 window with sigma 1.5, zero padding, data range 1 [Wang et al. 2004].
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch.nn.functional import conv2d

from ig_ros.errors import RasterError
from ig_ros.raster.library import Library, address, load, threads

RADIUS, SIGMA = 5, 1.5
C1, C2 = 0.01**2, 0.03**2


def image_loss(
    rendered: torch.Tensor, target: torch.Tensor, ssim_weight: float, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Scalar (1 - w) L1 + w (1 - SSIM), differentiable with respect to `rendered`; `target` is a constant.

    rendered, target (H, W, 3) in [0, 1]; mask (H, W) weighs the pixels of both terms (the window still sees pixels of
    weight 0); an all-zero mask gives 0. Compiled kernels on the CPU, torch elsewhere. Raises RasterError.
    """
    if rendered.shape != target.shape or rendered.ndim != 3 or rendered.shape[2] != 3:
        raise RasterError(
            f"image_loss needs two (H, W, 3) images, got {tuple(rendered.shape)} and {tuple(target.shape)}"
        )
    if mask is not None and mask.shape != rendered.shape[:2]:
        raise RasterError(f"mask has shape {tuple(mask.shape)}, the images are {tuple(rendered.shape[:2])}")
    if rendered.device.type != "cpu":
        return image_loss_torch(rendered, target, ssim_weight, mask)
    return compiled_image_loss(load(), rendered, target, ssim_weight, mask)


def compiled_image_loss(
    library: Library, rendered: torch.Tensor, target: torch.Tensor, ssim_weight: float, mask: torch.Tensor | None
) -> torch.Tensor:
    """image_loss() by the kernels of one library; CPU tensors only."""
    arguments = (library, rendered, target.detach(), ssim_weight, mask)
    loss: torch.Tensor = _ImageLoss.apply(*arguments)  # type: ignore[no-untyped-call]
    return loss


def image_loss_gradient(
    library: Library,
    rendered: torch.Tensor,
    target: torch.Tensor,
    ssim_weight: float,
    mask: torch.Tensor | None,
    gradient: torch.Tensor | None,
) -> float:
    """The loss as a number; its gradient is written into `gradient` (H, W, 3), which may be part of a wider image.

    `target` (H, W, 3) may be uint8: 0 .. 255 then stand for 0 .. 1. Otherwise as compiled_image_loss.
    """
    height, width, _ = rendered.shape
    bytes_ = target.contiguous() if target.dtype == torch.uint8 else None
    x, y = _pixels(rendered), None if bytes_ is not None else _pixels(target)
    weight = None if mask is None else mask.detach().float().contiguous()
    total = float(height * width) if weight is None else float(weight.sum())
    struct = _Input(
        *map(address, (x, y, weight, bytes_)),
        *(x.stride(1), 3 if y is None else y.stride(1), 3 if gradient is None else gradient.stride(1)),
        *(height, width, threads(), ssim_weight, 1 / max(3 * total, 1e-8)),
    )
    loss = ctypes.c_double()
    library.call("ig_image_loss", struct, ctypes.c_void_p(address(gradient)), ctypes.byref(loss))
    return loss.value


def image_loss_torch(
    rendered: torch.Tensor, target: torch.Tensor, ssim_weight: float, mask: torch.Tensor | None
) -> torch.Tensor:
    """The same function in plain torch, on any device and dtype."""
    x, y = rendered.movedim(2, 0), target.detach().to(rendered).movedim(2, 0)
    mu_x, mu_y, xx, yy, xy = _blur(torch.stack([x, y, x * x, y * y, x * y]))
    covariance, variances = xy - mu_x * mu_y, xx - mu_x**2 + yy - mu_y**2
    ssim = (2 * mu_x * mu_y + C1) * (2 * covariance + C2) / ((mu_x**2 + mu_y**2 + C1) * (variances + C2))
    error = (1 - ssim_weight) * (x - y).abs() + ssim_weight * (1 - ssim)
    weight = torch.ones_like(x[0]) if mask is None else mask.to(rendered)
    loss: torch.Tensor = (error * weight).sum() / (3 * weight.sum()).clamp_min(1e-8)
    return loss


class _Input(ctypes.Structure):
    """Mirror of ImageLossInput in native/image_loss.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("rendered", "target", "mask", "target_bytes")),
        *(
            (name, ctypes.c_int32)
            for name in ("rendered_stride", "target_stride", "gradient_stride", "height", "width", "threads")
        ),
        *((name, ctypes.c_float) for name in ("ssim_weight", "scale")),
    ]


class _ImageLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        library: Library,
        rendered: torch.Tensor,
        target: torch.Tensor,
        ssim_weight: float,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        gradient = torch.empty(rendered.shape) if ctx.needs_input_grad[1] else None
        ctx.gradient = gradient
        return rendered.new_tensor(image_loss_gradient(library, rendered, target, ssim_weight, mask, gradient))

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, ctx.gradient * upstream, None, None, None


def _pixels(image: torch.Tensor) -> torch.Tensor:
    """float32 view of an image (H, W, 3) whose rows follow each other without gaps; pixels may lie further apart."""
    image = image.detach().float()
    dense_rows = image.stride(0) == image.shape[1] * image.stride(1) and image.stride(2) == 1
    return image if dense_rows and image.stride(1) >= 3 else image.contiguous()


def _blur(images: torch.Tensor) -> torch.Tensor:
    """Separable Gaussian window with zero padding over the last two axes of (B, 3, H, W)."""
    taps = torch.exp(-(torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64) ** 2) / (2 * SIGMA**2))
    taps = (taps / taps.sum()).to(images)
    flat = images.reshape(-1, 1, *images.shape[-2:])
    flat = conv2d(flat, taps.view(1, 1, 1, -1), padding=(0, RADIUS))
    return conv2d(flat, taps.view(1, 1, -1, 1), padding=(RADIUS, 0)).view_as(images)
