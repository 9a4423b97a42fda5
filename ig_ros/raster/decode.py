"""Anchors to Gaussians on the CPU: the three MLPs of Scaffold-GS with everything around them, as compiled kernels.

The truth it is tested against is the plain torch of `ig_ros.scaffold.decoder`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ig_ros.raster.library import Library, address, load, threads

MLPS, TENSORS = 3, 4  # opacity, covariance, colour; weight and bias of two layers each


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """What decode() needs besides the tensors that may be trained."""

    position: torch.Tensor  # (n, 3) m
    turn: torch.Tensor | None  # (n, 4) unit wxyz, rotates what an anchor decodes
    center: tuple[float, float, float]  # m, of the camera
    directed: tuple[bool, bool, bool]  # whether each MLP reads the viewing direction after the embedding


@dataclass(frozen=True, slots=True)
class AnchorLeaves:
    """The trained arrays of the n anchors to decode, float32 on the CPU."""

    offsets: torch.Tensor  # (n, k, 3) in units of exp(log_scale[:, :3])
    log_scale: torch.Tensor  # (n, 6) log m: of the offsets, of the children's extent
    embedding: torch.Tensor  # (n, E)
    color: torch.Tensor | None  # (n, 3) logit, added to what the colour MLP says
    feature: torch.Tensor | None  # (n, F), or (n, k, F) where every child has its own


def decode(
    request: DecodeRequest, leaves: AnchorLeaves, mlps: Sequence[torch.Tensor], library: Library | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Means, quats, scales, opacities and features of the n * k children, differentiable by leaves and MLPs.

    `mlps` are weight (hidden, inputs), bias (hidden,), weight (outputs, hidden), bias (outputs,) of the opacity,
    covariance and colour MLP, ReLU between. Child c of anchor i is row i * k + c; features (n * k, 3 + F) are colour
    and (f / |f| + 1) / 2 [SG 4.1, OG]. Raises MemoryError.
    """
    tensors = (leaves.offsets, leaves.log_scale, leaves.embedding, leaves.color, leaves.feature)
    settings = (library or load(), request, torch.is_grad_enabled())
    out = _Decode.apply(*settings, *tensors, *mlps)  # type: ignore[no-untyped-call]
    means, quats, scales, opacities, features = out
    return means, quats, scales, opacities, features


class _Mlp(ctypes.Structure):
    """Mirror of DecodeMlp and DecodeMlpGradients in native/decode.h."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("weight1", "bias1", "weight2", "bias2")]


class _Input(ctypes.Structure):
    """Mirror of DecodeInput in native/decode.h."""

    _fields_ = [
        *(
            (name, ctypes.c_void_p)
            for name in ("offsets", "log_scale", "embedding", "color", "feature", "position", "turn")
        ),
        ("mlp", _Mlp * MLPS),
        ("directed", ctypes.c_int32 * MLPS),
        *((name, ctypes.c_int32) for name in ("count", "children", "embedding_size", "hidden")),
        *((name, ctypes.c_int32) for name in ("feature_size", "feature_per_child", "threads")),
        ("center", ctypes.c_float * 3),
    ]


class _Output(ctypes.Structure):
    """Mirror of DecodeOutput in native/decode.h."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("means", "quats", "scales", "opacities", "features", "hidden")]


class _Gradients(ctypes.Structure):
    """Mirror of DecodeGradients in native/decode.h."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("means", "quats", "scales", "opacities", "features")),
        *((name, ctypes.c_void_p) for name in ("d_offsets", "d_log_scale", "d_embedding", "d_color", "d_feature")),
        ("mlp", _Mlp * MLPS),
    ]


class _Decode(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, library: Library, request: DecodeRequest, learning: bool, *tensors: torch.Tensor | None
    ) -> tuple[torch.Tensor, ...]:
        held = [None if t is None else t.detach().contiguous() for t in tensors]
        offsets, feature, hidden = held[0], held[4], held[5]
        assert offsets is not None
        assert hidden is not None
        n, k, _ = offsets.shape
        size = 0 if feature is None else feature.shape[-1]
        outputs = [offsets.new_empty(n * k, w) for w in (3, 4, 3, 1, 3 + size)]
        kept = offsets.new_empty(n, MLPS * -(-len(hidden) // 16) * 16) if learning else None
        library.call("ig_decode_forward", _input(request, held), _Output(*map(address, (*outputs, kept))))
        ctx.library, ctx.request, ctx.held, ctx.kept, ctx.outputs = library, request, held, kept, outputs
        ctx.set_materialize_grads(False)
        means, quats, scales, opacities, features = (t.detach() for t in outputs)
        return means, quats, scales, opacities.view(-1), features

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        given = [None if g is None else g.contiguous() for g in upstream]
        gradients = [None if t is None else torch.empty_like(t) for t in ctx.held]
        struct = _Gradients(*map(address, (*given, *gradients[:5])))
        struct.mlp[:] = _mlps(gradients[5:])
        output = _Output(*map(address, (*ctx.outputs, ctx.kept)))
        ctx.library.call("ig_decode_backward", _input(ctx.request, ctx.held), output, struct)
        return None, None, None, *gradients


def _mlps(tensors: list[torch.Tensor | None]) -> list[_Mlp]:
    return [_Mlp(*map(address, tensors[i : i + TENSORS])) for i in range(0, MLPS * TENSORS, TENSORS)]


def _input(request: DecodeRequest, held: list[torch.Tensor | None]) -> _Input:
    """The struct for one call; it borrows the tensors' memory."""
    offsets, _, embedding, _, feature = held[:5]
    assert offsets is not None
    assert embedding is not None
    assert held[5] is not None
    struct = _Input(*map(address, (*held[:5], request.position, request.turn)))
    struct.mlp[:] = _mlps(held[5:])
    struct.directed[:] = request.directed
    struct.count, struct.children, _ = offsets.shape
    struct.embedding_size, struct.hidden = embedding.shape[1], len(held[5])
    struct.feature_size = 0 if feature is None else feature.shape[-1]
    struct.feature_per_child = feature is not None and feature.dim() == 3
    struct.threads, struct.center[:] = threads(), request.center
    return struct
