"""Decodes anchors into Gaussians on the CPU: the three MLPs of Scaffold-GS and the activations, as compiled kernels.

Tests hold it to the torch code of `ig_ros.scaffold.decoder`, which serves other devices.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ig_ros.raster.library import Library, load, threads

MLPS = 3  # opacity, covariance, colour


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
    feature: torch.Tensor | None  # (n, F)


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


LEAVES = ("offsets", "log_scale", "embedding", "color", "feature")
CHILDREN = ("means", "quats", "scales", "opacities", "features")
LAYERS = ("weight1", "bias1", "weight2", "bias2")


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
        library.call("ig_decode_forward", _input(library, request, held), _output(library, outputs, kept))
        ctx.library, ctx.request, ctx.held, ctx.kept, ctx.outputs = library, request, held, kept, outputs
        ctx.set_materialize_grads(False)
        means, quats, scales, opacities, features = (t.detach() for t in outputs)
        return means, quats, scales, opacities.view(-1), features

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        given = [None if g is None else g.contiguous() for g in upstream]
        gradients = [None if t is None else torch.empty_like(t) for t in ctx.held]
        struct = ctx.library.struct(
            "DecodeGradients",
            **dict(zip(CHILDREN, given, strict=True)),
            **dict(zip(LEAVES, gradients[:5], strict=True)),
            mlp=_mlps(ctx.library, "DecodeMlpGradients", gradients[5:]),
        )
        output = _output(ctx.library, ctx.outputs, ctx.kept)
        ctx.library.call("ig_decode_backward", _input(ctx.library, ctx.request, ctx.held), output, struct)
        return None, None, None, *gradients


def _mlps(library: Library, struct: str, tensors: list[torch.Tensor | None]) -> list[ctypes.Structure]:
    parts = [tensors[i : i + len(LAYERS)] for i in range(0, MLPS * len(LAYERS), len(LAYERS))]
    return [library.struct(struct, **dict(zip(LAYERS, part, strict=True))) for part in parts]


def _output(library: Library, children: list[torch.Tensor], hidden: torch.Tensor | None) -> ctypes.Structure:
    return library.struct("DecodeOutput", **dict(zip(CHILDREN, children, strict=True)), hidden=hidden)


def _input(library: Library, request: DecodeRequest, held: list[torch.Tensor | None]) -> ctypes.Structure:
    offsets, _, embedding, _, feature, weight1 = held[:6]
    assert offsets is not None
    assert embedding is not None
    assert weight1 is not None
    return library.struct(
        "DecodeInput",
        **dict(zip(LEAVES, held[:5], strict=True)),
        position=request.position,
        turn=request.turn,
        mlp=_mlps(library, "DecodeMlp", held[5:]),
        directed=request.directed,
        count=offsets.shape[0],
        children=offsets.shape[1],
        embedding_size=embedding.shape[1],
        hidden=len(weight1),
        feature_size=0 if feature is None else feature.shape[-1],
        feature_per_child=False,
        threads=threads(),
        center=request.center,
    )
