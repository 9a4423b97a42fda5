"""Rendering of the map from any pose: colour, depth and instances, with objects masked in or out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ig_ros.errors import QueryError
from ig_ros.named_objects import MIN_ALPHA
from ig_ros.raster import rasterize, top_contributor
from ig_ros.types import Camera, FloatArray, GaussianBatch, MapSnapshot


@dataclass(frozen=True, slots=True)
class RenderedView:
    """What a camera at that pose would see of the map."""

    color: npt.NDArray[np.uint8]  # (H, W, 3)
    depth: FloatArray  # (H, W) float32 m along z, 0 = nothing
    instances: npt.NDArray[np.uint16]  # (H, W) object id, 0 = none


@torch.no_grad()
def render_view(
    snapshot: MapSnapshot, camera: Camera, T_world_camera: FloatArray,
    only: Collection[int] = (), without: Collection[int] = (),
) -> RenderedView:  # fmt: skip
    """Renders a snapshot; `only` these objects (none = everything), `without` those. Raises QueryError.

    A pixel has depth and an instance where the map covers it by at least MIN_ALPHA.
    """
    gaussians, ids = snapshot.gaussians, snapshot.instances.point_ids
    if gaussians is None:
        raise QueryError("a map just loaded cannot be rendered yet: call ig/instantiate first")
    known = {o.id for o in snapshot.instances.objects}
    unknown = sorted({*only, *without} - known)
    if unknown:
        raise QueryError(f"object {unknown[0]} is not in the map")
    shown = np.isin(ids, list(only)) if only else np.ones(len(ids), bool)
    shown &= ~np.isin(ids, list(without))
    height, width = camera.height, camera.width
    if not shown.any():
        empty = np.zeros((height, width))
        return RenderedView(np.zeros((height, width, 3), np.uint8), empty.astype(np.float32), empty.astype(np.uint16))
    chosen = select(gaussians, shown)
    result = rasterize(chosen, T_world_camera, camera)
    alpha = result.alpha.cpu().numpy()
    color = (result.features[..., :3].cpu().numpy().clip(0, 1) * 255).round().astype(np.uint8)
    solid = alpha > MIN_ALPHA
    depth = np.where(solid, result.depth.cpu().numpy() / np.maximum(alpha, 1e-6), 0.0).astype(np.float32)
    top = top_contributor(chosen, T_world_camera, camera).cpu().numpy()
    seen = np.append(ids[shown], -1)[top]
    return RenderedView(color, depth, np.where(solid & (seen > 0), seen, 0).astype(np.uint16))


def select(gaussians: GaussianBatch, rows: npt.NDArray[np.bool_]) -> GaussianBatch:
    """The Gaussians of rows (N,) bool."""
    return gaussians.rows(torch.from_numpy(rows).to(gaussians.means.device))
