"""One training step: choose a view, decode, rasterise once, ask for the losses, move what was in view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.weak import WeakTensorKeyDictionary

from ig_ros.config import Config, TrainingConfig
from ig_ros.raster import ScreenStats, rasterize
from ig_ros.raster.library import helpers_for_kernels_only
from ig_ros.raster.losses import FeatureTerms, Target
from ig_ros.scaffold import densification
from ig_ros.scaffold.keyframes import Keyframe, KeyframeStore
from ig_ros.scaffold.losses import scale_loss, view_loss
from ig_ros.scaffold.model import NEAR, Scaffold, View
from ig_ros.types import RenderResult


def phase_masks(visits: torch.Tensor, step: int, config: TrainingConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Two (n,) bool masks for anchors seen `visits` (n,) times before training step `step`.

    awake: the instance feature is trained (phases 2 and 3); mature: the feature losses also move offsets, scales,
    embedding and the opacity and covariance MLPs (phase 3). By the anchor's own age, so that new ground starts in
    phase 1 while old ground is in phase 3 (METHOD 3), or by the step of the whole map as in the paper.
    """
    age = visits if config.phases == "age" else torch.full_like(visits, step)
    mature = age >= config.joint_visits
    return age >= config.warmup_visits, mature if config.joint else torch.zeros_like(mature)


class Resident:
    """Copies of stored images on a device; a copy lives as long as its original. On the CPU nothing is copied.

    A keyframe is replayed tens of times: without this every step would send its picture over the bus, and wait for it.
    Images are never written in place, they are replaced; so a copy is true as long as it is found.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._copies = WeakTensorKeyDictionary()

    def __len__(self) -> int:
        return len(self._copies)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """The image, any shape and type, on the device."""
        if image.device.type == self.device.type:
            return image
        if image not in self._copies:
            self._copies[image] = image.to(self.device)
        copy: torch.Tensor = self._copies[image]
        return copy


FEATURE_START = 3
ASLEEP = -1.0  # rate of a feature that does not learn yet
LOSS_MEMORY = 0.8  # of a keyframe's running loss
OPACITY_MEMORY = 0.95  # of an anchor's running opacity


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step reports."""

    step: int
    keyframe: int  # uid
    loss: float  # colour loss of the view
    gaussians: int  # drawn


class Trainer:
    """Owns the optimisers and the step counter; the model and the keyframes belong to the mapper."""

    def __init__(self, config: Config, scaffold: Scaffold, keyframes: KeyframeStore) -> None:
        self.config = config
        self.scaffold, self.keyframes = scaffold, keyframes
        self.resident = Resident(scaffold.device)
        self.step = 0
        self.rng = np.random.default_rng(config.training.seed)
        decoder, c = scaffold.decoder, config.training
        self.optimizer = torch.optim.Adam(
            [
                {"params": decoder.opacity.parameters(), "lr": c.lr_mlp_opacity},
                {"params": decoder.covariance.parameters(), "lr": c.lr_mlp_covariance},
                {"params": decoder.color.parameters(), "lr": c.lr_mlp_color},
            ],
            eps=1e-15,
            fused=True,
        )

    def train_step(self) -> StepResult | None:
        """One step on one replayed keyframe; None while there is nothing to train."""
        if not len(self.keyframes) or not len(self.scaffold.anchors):
            return None
        c = self.config.training
        with helpers_for_kernels_only():
            result = self._step_on(self.keyframes.choose(self.step, c, self.rng))
            if c.growth and self.step % c.growth_every == 0:
                self._grow()
        return result

    def _step_on(self, keyframe: Keyframe) -> StepResult:
        """Decode, draw, compare and move what one keyframe sees."""
        c = self.config.training
        rows = self.scaffold.in_view(keyframe.camera, keyframe.T_world_camera)
        awake, mature = phase_masks(self.scaffold.anchors.data["visits"][rows], self.step, c)
        joint = bool(mature.any())
        semantic = keyframe.labels is not None and (joint or bool(awake.any()))
        view = self.scaffold.decode(keyframe.camera, keyframe.T_world_camera, semantic, rows)
        if not len(view.rows):
            keyframe.last_used = self.step
            self.step += 1
            return StepResult(self.step, keyframe.uid, keyframe.loss, 0)
        screen = ScreenStats()
        rendered = rasterize(
            view.gaussians,
            keyframe.T_world_camera,
            keyframe.camera,
            near=NEAR,
            screen=screen,
            gated_channels=slice(FEATURE_START, None) if semantic else None,
            geometry_gate=_of_children(mature.float(), self.scaffold.config.children) if semantic else None,
        )
        color_loss = self._loss(keyframe, view, rendered, joint, semantic)
        self._apply(view, awake, mature)
        self._account(keyframe, view, screen, color_loss)
        self.step += 1
        return StepResult(self.step, keyframe.uid, color_loss, _count(screen.visible))

    def _loss(self, keyframe: Keyframe, view: View, rendered: RenderResult, joint: bool, semantic: bool) -> float:
        """Sum the losses of one view and run backward; returns the colour loss."""
        c = self.config.training
        target = Target(
            self.resident(keyframe.rgb),
            None if keyframe.depth is None else self.resident(keyframe.depth),
            self.resident(keyframe.labels) if semantic and keyframe.labels is not None else None,
        )
        terms = FeatureTerms(c.min_mask_pixels, c.truncation if joint else None, c.contrast_weight, c.smooth_weight)
        loss, color = view_loss(rendered, target, c.ssim_weight, c.depth_weight, terms)
        edge = view.edge if c.scale_unit == "voxel" else None
        loss = loss + c.scale_weight * scale_loss(view.gaussians.scales, edge)
        for weight in self.scaffold.decoder.weights:
            weight.grad = None
        torch.autograd.backward(loss)
        return color

    @torch.no_grad()
    def _apply(self, view: View, awake: torch.Tensor, mature: torch.Tensor) -> None:
        """Move the anchors in view and the shared MLPs at this step's rates; young anchors keep their feature."""
        c = self.config.training
        anchors = self.scaffold.anchors
        anchors.data["visits"].index_add_(0, view.rows, torch.ones_like(awake, dtype=torch.int32))
        rates: dict[str, float | torch.Tensor] = {
            "offsets": decay(c.lr_offset, c.lr_offset_final, self.step, c),
            "log_scale": c.lr_scale,
            "embedding": c.lr_embedding,
            "color": c.lr_embedding,
        }
        gradients = {name: leaf.grad for name, leaf in view.leaves.items() if leaf.grad is not None}
        if "feature" in gradients:
            anchors.data["lessons"].index_add_(0, view.rows, awake.int())
            rates["feature"] = torch.where(mature, c.lr_feature_joint, c.lr_feature).masked_fill_(~awake, ASLEEP)
        anchors.adam_step(view.rows, gradients, rates)
        finals = [
            (c.lr_mlp_opacity, c.lr_mlp_opacity_final),
            (c.lr_mlp_covariance,) * 2,
            (c.lr_mlp_color, c.lr_mlp_color_final),
        ]
        for group, (first, final) in zip(self.optimizer.param_groups, finals, strict=True):
            group["lr"] = decay(first, final, self.step, c)
        self.optimizer.step()

    def _grow(self) -> None:
        """Grow and prune between growth_from and growth_until; what was counted before does not count."""
        c, anchors = self.config.training, self.scaffold.anchors
        if self.step < c.growth_from:
            anchors.data["gradient_sum"].zero_()
            anchors.data["gradient_count"].zero_()
        elif self.step <= c.growth_until:
            densification.grow(anchors, c, self.config.seeding, self.scaffold.generator)
            densification.prune(anchors, c)

    @torch.no_grad()
    def _account(self, keyframe: Keyframe, view: View, screen: ScreenStats, color_loss: float) -> None:
        """Keep the statistics that replay, growth and pruning live on."""
        growing = self.config.training.growth and self.step < self.config.training.growth_until
        seen = None
        if growing and screen.gradient is not None and screen.visible is not None:
            seen = (screen.gradient, screen.visible)
        size, opacities = (keyframe.camera.width, keyframe.camera.height), view.gaussians.opacities.detach()
        account_view(self.scaffold.anchors.data, view.rows, opacities, OPACITY_MEMORY, seen, size)
        keyframe.loss = (
            color_loss if not keyframe.uses else LOSS_MEMORY * keyframe.loss + (1 - LOSS_MEMORY) * color_loss
        )
        keyframe.uses += 1
        keyframe.last_used = self.step


def account_view(
    data: dict[str, torch.Tensor],
    rows: torch.Tensor,
    opacities: torch.Tensor,
    memory: float,
    screen: tuple[torch.Tensor, torch.Tensor] | None,
    size: tuple[int, int],
) -> None:
    """Update the statistics `data` of the anchors `rows` (n,), all different, after their k children were drawn.

    opacity (N,) is the running mean, with this memory, of the children's summed opacities (n * k,). With `screen`,
    gradients (n * k, 2) per pixel and visibility (n * k,) bool, the positional gradients of the visible children are
    summed in units of half the image's size (width, height) px and counted [SG].
    """
    k = data["gradient_sum"].shape[1]
    before = data["opacity"].index_select(0, rows)
    data["opacity"].index_copy_(0, rows, torch.lerp(opacities.view(-1, k).sum(1), before, memory))
    if screen is not None:
        gradient, visible = screen
        strength = torch.hypot(gradient[:, 0] * (size[0] / 2), gradient[:, 1] * (size[1] / 2)).mul_(visible)
        data["gradient_sum"].index_add_(0, rows, strength.view(-1, k))
        data["gradient_count"].index_add_(0, rows, visible.view(-1, k).float())


def _count(visible: torch.Tensor | None) -> int:
    """How many are true (N,); 0 for None. On the CPU numpy counts without a copy."""
    if visible is None:
        return 0
    return int(np.count_nonzero(visible.numpy()) if visible.device.type == "cpu" else torch.count_nonzero(visible))


def _of_children(values: torch.Tensor, children: int) -> torch.Tensor:
    """(n * k,) value of each child's anchor."""
    return values[:, None].expand(-1, children).reshape(-1)


def decay(first: float, final: float, step: int, config: TrainingConfig) -> float:
    """Exponential decay from `first` to `final` over decay_steps, constant afterwards (METHOD 7.3: a floor)."""
    t = min(step / config.decay_steps, 1.0)
    return first * (final / first) ** t if first > 0 else 0.0
