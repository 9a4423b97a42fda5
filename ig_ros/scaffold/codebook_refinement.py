"""Refinement of the sub-objects' features [IG eq. 5]: a codebook trained on the keyframes with fixed geometry."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch.nn.functional import normalize

from ig_ros.config import Config
from ig_ros.raster import RowStep, adam_rows, rasterize
from ig_ros.raster.losses import FeatureTerms
from ig_ros.raster.request import NEAR
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.scaffold.losses import feature_loss
from ig_ros.types import GaussianBatch


def refine(
    gaussians: GaussianBatch,
    sub_object: torch.Tensor,
    features: torch.Tensor,
    keyframes: Sequence[Keyframe],
    config: Config,
    generator: torch.Generator,
) -> torch.Tensor:
    """Trains one feature per sub-object with the feature losses on keyframes drawn at random.

    gaussians: G canonical Gaussians; sub_object (G,) int64 is the row of `features` each of them is drawn with, -1 =
    none (drawn as the neutral middle). features (S, F): half-space features to start from, e.g. the means of the
    anchors' unit features / 2. Takes instances.refine_steps steps at the rate training.lr_feature; every feature is
    normalised before it is drawn, so what comes back is (S, F) of norm 1/2 on the features' device. Sub-objects that no
    usable mask shows only lose their scale.
    """
    device = gaussians.means.device
    shown = [k for k in keyframes if k.labels is not None]
    codebook = 2.0 * features.detach().to(device, torch.float32)
    moments = (torch.zeros_like(codebook), torch.zeros_like(codebook))
    lessons = torch.zeros(len(codebook), dtype=torch.int32, device=device)
    steps = config.instances.refine_steps if shown and len(codebook) else 0
    for pick in torch.randint(max(len(shown), 1), (steps,), generator=generator).tolist():
        gradient = _gradient(gaussians, sub_object.to(device), codebook, shown[pick], config)
        rows = gradient.any(dim=1).nonzero()[:, 0]
        lessons[rows] += 1
        adam_rows(rows, [RowStep(codebook, moments, gradient[rows], lessons, config.training.lr_feature)])
    return (normalize(codebook, dim=1) / 2).to(features)


def _gradient(
    gaussians: GaussianBatch, sub_object: torch.Tensor, codebook: torch.Tensor, keyframe: Keyframe, config: Config
) -> torch.Tensor:
    """Returns the gradient of one keyframe's feature losses with respect to the codebook (S, F)."""
    c = config.training
    assert keyframe.labels is not None
    with torch.enable_grad():
        leaf = codebook.clone().requires_grad_()
        # index_select: unlike that of [], its backward pass adds in a fixed order
        unit = normalize(leaf, dim=1).index_select(0, sub_object.clamp_min(0))
        drawn = (unit * (sub_object >= 0)[:, None] + 1) / 2
        batch = dataclasses.replace(gaussians, features=drawn)
        view = rasterize(batch, keyframe.T_world_camera, keyframe.camera, near=NEAR)
        terms = FeatureTerms(c.min_mask_pixels, c.truncation, c.contrast_weight, c.smooth_weight)
        torch.autograd.backward(feature_loss(view.features, view.alpha, keyframe.labels.to(codebook.device), terms))
    assert leaf.grad is not None
    return leaf.grad
