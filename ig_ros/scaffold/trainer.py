"""One training step: choose a keyframe, decode, rasterise once, compute the losses, update what was in view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ig_ros.config import Config, TrainingConfig
from ig_ros.raster import ScreenStats, rasterize
from ig_ros.raster.library import helpers_for_kernels_only
from ig_ros.raster.losses import COLORS, FeatureTerms, Target
from ig_ros.raster.request import NEAR
from ig_ros.scaffold import densification
from ig_ros.scaffold.exposure import compensated, measured_gain
from ig_ros.scaffold.keyframes import Keyframe, KeyframeStore
from ig_ros.scaffold.losses import VOLUME_WEIGHT, scale_loss, view_loss
from ig_ros.scaffold.model import DecodedView, Scaffold
from ig_ros.types import RenderResult

# Learning rates [SG]: at the first step and after training.decay_steps, with exponential decay between. Those of the
# opacity and colour MLP end at training.lr_mlp_floor times the second value.
ANCHOR_RATES = {"offsets": (1e-2, 1e-4), "log_scale": (7e-3, 7e-3), "embedding": (7.5e-3, 7.5e-3)}
MLP_RATES = {"opacity": (2e-3, 2e-5), "covariance": (4e-3, 4e-3), "color": (8e-3, 5e-5)}
MIN_MASK_PIXELS = 10  # smaller masks take no part in the feature losses
MEMORY = 0.9  # weight of the old value in running means: a keyframe's loss for replay, an anchor's opacity for pruning


def phase_masks(visits: torch.Tensor, step: int, config: TrainingConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns two (n,) bool masks for anchors seen `visits` (n,) times before training step `step`.

    trained: the instance feature is trained (phases 2 and 3); joint: the feature losses also move offsets, scales,
    embedding and the opacity and covariance MLPs (phase 3). Phases go by the anchor's own age, so that new ground
    starts in phase 1 while old ground is in phase 3 (docs/method.md, section 3), or by the step as in the paper.
    """
    age = visits if config.phases == "age" else torch.full_like(visits, step)
    return age >= config.warmup_visits, age >= config.joint_visits


@dataclass(frozen=True, slots=True)
class StepResult:
    """The outcome of a step."""

    step: int
    keyframe: int  # uid
    loss: float  # colour loss of the view
    gaussians: int  # drawn


class Trainer:
    """Trains a model on keyframes, both the mapper's; holds the optimiser of the MLPs and the step counter."""

    def __init__(self, config: Config, scaffold: Scaffold, keyframes: KeyframeStore) -> None:
        self.config = config
        self.scaffold, self.keyframes = scaffold, keyframes
        self.step = 0
        self.rng = np.random.default_rng(config.training.seed)
        groups = [{"params": getattr(scaffold.decoder, name).parameters()} for name in MLP_RATES]
        self.optimizer = torch.optim.Adam(groups, eps=1e-15, fused=True)

    def train_step(self) -> StepResult | None:
        """Takes one step on one replayed keyframe; returns None while there is nothing to train."""
        if not len(self.keyframes) or not len(self.scaffold.anchors):
            return None
        c = self.config.training
        with helpers_for_kernels_only():
            result = self._step_on(self.keyframes.choose(self.step, c, self.rng))
            if self.step % c.growth_every == 0:
                self._grow()
        return result

    def _step_on(self, keyframe: Keyframe) -> StepResult:
        """Decodes and draws what one keyframe sees, compares it with the images and updates it."""
        c = self.config.training
        rows = self.scaffold.in_view(keyframe.camera, keyframe.T_world_camera)
        trained, joint = phase_masks(self.scaffold.anchors.data["visits"][rows], self.step, c)
        semantic = keyframe.labels is not None and bool((trained | joint).any())
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
            gated_channels=slice(COLORS, None) if semantic else None,
            geometry_gate=joint.float().repeat_interleave(self.scaffold.config.children) if semantic else None,
        )
        color_loss = self._loss(keyframe, view, rendered, bool(joint.any()), semantic)
        self._apply(view, trained, joint)
        self._account(keyframe, view, screen, color_loss)
        gain = measured_gain(rendered, keyframe.rgb)
        if gain is not None:
            keyframe.log_gain = MEMORY * keyframe.log_gain + (1 - MEMORY) * gain
        self.step += 1
        drawn = 0 if screen.visible is None else int(screen.visible.sum())
        return StepResult(self.step, keyframe.uid, color_loss, drawn)

    def _loss(
        self, keyframe: Keyframe, view: DecodedView, rendered: RenderResult, any_joint: bool, semantic: bool
    ) -> float:
        """Sums the losses of one view and runs backward; returns the colour loss."""
        c = self.config.training
        rgb, labels = compensated(keyframe, self.keyframes), keyframe.labels if semantic else None
        images = (rgb, keyframe.depth, labels, keyframe.ignored)
        target = Target(*(None if image is None else image.to(self.scaffold.device) for image in images))  # type: ignore[arg-type]
        terms = FeatureTerms(MIN_MASK_PIXELS, c.truncation if any_joint else None, c.contrast_weight, c.smooth_weight)
        loss, color = view_loss(rendered, target, c.ssim_weight, c.depth_weight, terms)
        loss = loss + VOLUME_WEIGHT * scale_loss(view.gaussians.scales, view.edge)
        for weight in self.scaffold.decoder.weights:
            weight.grad = None
        torch.autograd.backward(loss)
        return color

    @torch.no_grad()
    def _apply(self, view: DecodedView, trained: torch.Tensor, joint: torch.Tensor) -> None:
        """Updates the anchors in view and the MLPs at this step's rates; anchors in phase 1 keep their feature."""
        c, anchors = self.config.training, self.scaffold.anchors
        anchors.data["visits"].index_add_(0, view.rows, torch.ones_like(trained, dtype=torch.int32))
        rates: dict[str, float | torch.Tensor] = {
            name: decay(first, final, self.step, c) for name, (first, final) in ANCHOR_RATES.items()
        }
        rates["color"] = rates["embedding"]
        gradients = {name: leaf.grad for name, leaf in view.leaves.items() if leaf.grad is not None}
        if "feature" in gradients:
            anchors.data["lessons"].index_add_(0, view.rows, trained.int())
            rates["feature"] = torch.where(joint, c.lr_feature / 10, c.lr_feature).masked_fill_(~trained, -1.0)
        anchors.adam_step(view.rows, gradients, rates)
        for group, (first, final) in zip(self.optimizer.param_groups, MLP_RATES.values(), strict=True):
            group["lr"] = decay(first, final if final == first else c.lr_mlp_floor * final, self.step, c)
        self.optimizer.step()

    def _grow(self) -> None:
        """Grows and prunes from growth_from on; gradients from before are discarded."""
        c, anchors = self.config.training, self.scaffold.anchors
        if self.step < c.growth_from:
            anchors.data["gradient_sum"].zero_()
            anchors.data["gradient_count"].zero_()
        else:
            densification.grow(anchors, c, self.config.seeding, self.scaffold.generator)
            densification.prune(anchors, c)

    @torch.no_grad()
    def _account(self, keyframe: Keyframe, view: DecodedView, screen: ScreenStats, color_loss: float) -> None:
        """Updates the statistics that steer replay, growth and pruning."""
        seen = None
        if screen.gradient is not None and screen.visible is not None:
            seen = (screen.gradient, screen.visible)
        size, opacities = (keyframe.camera.width, keyframe.camera.height), view.gaussians.opacities.detach()
        account_view(self.scaffold.anchors.data, view.rows, opacities, MEMORY, seen, size)
        keyframe.loss = color_loss if not keyframe.uses else MEMORY * keyframe.loss + (1 - MEMORY) * color_loss
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


def decay(first: float, final: float, step: int, config: TrainingConfig) -> float:
    """Returns the rate that decays exponentially from `first` to `final` over decay_steps and stays there."""
    t = min(step / config.decay_steps, 1.0)
    return first * (final / first) ** t if first > 0 else 0.0
