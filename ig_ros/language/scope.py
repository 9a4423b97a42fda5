"""Where a query looks, and from where it is meant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ig_ros.errors import QueryError
from ig_ros.geometry import inverse, transform
from ig_ros.language.viewpoint import Viewpoint
from ig_ros.types import FloatArray, Instances


@dataclass(frozen=True, slots=True)
class Scope:
    """Limits of a query; the default has none, and looks from the newest camera pose.

    Raises QueryError for a box whose edges are not all finite and positive.
    """

    viewpoint: Viewpoint | None = None  # whose left and right; None = the newest camera's
    T_world_box: FloatArray | None = None  # (4, 4) only objects whose centre lies in this box; None = everywhere
    size: FloatArray | None = None  # (3,) m, its full edge lengths
    id: int = 0  # only this object, or what it has become part of; 0 = any

    def __post_init__(self) -> None:
        if self.size is not None and not (np.isfinite(self.size).all() and (self.size > 0).all()):
            edges = " x ".join(f"{edge:g}" for edge in self.size)
            raise QueryError(f"a box of {edges} m: give three edges, finite and greater than 0")

    @property
    def narrow(self) -> bool:
        """Whether it names objects by itself, so that no text is needed."""
        return self.id > 0 or self.T_world_box is not None

    def admits(self, instances: Instances) -> npt.NDArray[np.bool_]:
        """(S,) bool: the objects inside."""
        admitted = np.ones(len(instances.objects), bool)
        if self.id:
            number = instances.merged_into.get(self.id, self.id)  # a holder of an old id means what it is part of now
            admitted &= np.array([o.id == number for o in instances.objects], bool)
        if self.T_world_box is not None and self.size is not None and len(instances.objects):
            centers = np.stack([o.T_world_box[:3, 3] for o in instances.objects])
            admitted &= (np.abs(transform(inverse(self.T_world_box), centers)) <= self.size / 2).all(1)
        return admitted
