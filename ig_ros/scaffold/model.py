"""The model: anchors and decoder, culled to a view and decoded into Gaussians."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch

from ig_ros.config import ScaffoldConfig
from ig_ros.raster import rasterize
from ig_ros.raster.request import NEAR
from ig_ros.scaffold.anchors import AnchorStore
from ig_ros.scaffold.decoder import Decoder
from ig_ros.types import Camera, FloatArray, GaussianBatch, RenderResult

BORDER = 0.05  # share of the image's size: anchors further outside are not decoded, children blur into the image


@dataclass(frozen=True, slots=True)
class DecodedView:
    """The part of the model that one camera sees, with the leaves of its autograd graph."""

    rows: torch.Tensor  # (n,) rows of the anchors in view
    leaves: dict[str, torch.Tensor]  # their parameters, gathered; gradients land here
    edge: torch.Tensor  # (n,) m
    gaussians: GaussianBatch  # n * k, child c of the anchor rows[i] at i * k + c


class Scaffold:
    """Semantic-Scaffold Gaussians [IG 3.2]: N anchors, k children each, one instance feature per anchor."""

    def __init__(self, config: ScaffoldConfig, device: torch.device, seed: int) -> None:
        self.config, self.device = config, device
        self.generator = torch.Generator().manual_seed(seed)
        self.anchors = AnchorStore(config, device, self.generator)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.decoder = Decoder(config).to(device)

    @torch.no_grad()
    def in_view(self, camera: Camera, T_world_camera: FloatArray) -> torch.Tensor:
        """Returns the rows (n,) of the anchors inside the camera's frustum, with a border for their size."""
        position, edge = self.anchors.data["position"], self.anchors.data["edge"]
        turn = torch.as_tensor(T_world_camera[:3, :3], dtype=torch.float32, device=self.device)
        local = (position - self._place(T_world_camera)) @ turn
        x, y, z = local.unbind(1)
        reach = 2.5 * edge  # a child in the corner of its voxel and three of its deviations
        inside = z > NEAR - reach
        K = camera.K
        for across, focal, center in (
            (x, K[0, 0] / camera.width, K[0, 2] / camera.width),
            (y, K[1, 1] / camera.height, K[1, 2] / camera.height),
        ):  # spheres of radius `reach` against the frustum's planes through the camera
            low, high = center + BORDER, 1 - center + BORDER
            inside &= focal * across > -low * z - reach * math.hypot(focal, low)
            inside &= focal * across < high * z + reach * math.hypot(focal, high)
        return torch.nonzero(inside)[:, 0]

    def decode(
        self, camera: Camera, T_world_camera: FloatArray, with_feature: bool, rows: torch.Tensor | None = None
    ) -> DecodedView:
        """Gathers and decodes what one camera sees; the gathered rows are leaves of the autograd graph.

        `rows` are those that `in_view` returns, where the caller has them already.
        """
        rows = self.in_view(camera, T_world_camera) if rows is None else rows
        grad = torch.is_grad_enabled()
        gathered, position, edge = self.anchors.gather(rows)
        leaves = {name: p.requires_grad_(grad) for name, p in gathered.items()}
        center = self._place(T_world_camera)
        gaussians = self.decoder(leaves, position, rows, center, with_feature, self.anchors.rotations_of(rows))
        return DecodedView(rows, leaves, edge, dataclasses.replace(gaussians, origin=self.anchors.origin))

    def _place(self, T_world_camera: FloatArray) -> torch.Tensor:
        """Returns where the camera is, (3,) m from the anchors' origin."""
        place = np.asarray(T_world_camera[:3, 3], np.float64) - self.anchors.origin
        return torch.as_tensor(place, dtype=torch.float32, device=self.device)

    @torch.no_grad()
    def render(self, camera: Camera, T_world_camera: FloatArray, with_feature: bool = False) -> RenderResult:
        """Draws a view: colour (channels 0-2), if asked for instance features (channels 3-), depth and alpha."""
        view = self.decode(camera, T_world_camera, with_feature)
        return rasterize(view.gaussians, T_world_camera, camera, near=NEAR)

    @torch.no_grad()
    def instance_features(self) -> torch.Tensor:
        """Returns the instance feature (N, F) of each anchor, unit norm."""
        return torch.nn.functional.normalize(self.anchors.parameters["feature"], dim=-1)

    @torch.no_grad()
    def canonical(self) -> GaussianBatch:
        """Returns all Gaussians over scaffold.min_opacity; their features are colour (3) and instance feature.

        What depends on the view direction is decoded as seen from the mean anchor.
        """
        anchors = self.anchors
        rows = torch.arange(len(anchors), device=self.device)
        position = anchors.data["position"]
        center = position.mean(0) if len(position) else torch.zeros(3, device=self.device)
        batch: GaussianBatch = self.decoder(
            anchors.parameters, position, rows, center, True, anchors.rotations_of(rows)
        )
        solid = batch.opacities > self.config.min_opacity
        return dataclasses.replace(batch, origin=anchors.origin).rows(solid)
