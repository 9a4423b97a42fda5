"""The anchors as a structure of arrays, and the only functions that add or remove rows.

Trained arrays, their Adam moments and the bookkeeping of each anchor are added and removed together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from ig_ros.config import ScaffoldConfig
from ig_ros.raster import RowStep, adam_rows
from ig_ros.scaffold import rotations
from ig_ros.types import FloatArray
from ig_ros.validation import demand, demand_like, demand_range

ORIGIN_GRID = 10.0  # m: the origin is so round that maps which begin near the world's keep that one
WAVELENGTH = 2.0  # m, of the smooth field that new instance features are taken from: the extent of large objects


@dataclass(frozen=True, slots=True)
class NewAnchors:
    """Rows to be appended to an AnchorStore; all tensors share their first dimension."""

    position: torch.Tensor  # (n, 3) float64 m, world
    color: torch.Tensor  # (n, 3) in [0, 1]
    edge: torch.Tensor  # (n,) m, edge of the voxel the anchor stands for
    owner: torch.Tensor  # (n,) int64 uid of the keyframe that shows them
    embedding: torch.Tensor | None = None  # (n, E), zeros if absent
    feature: torch.Tensor | None = None  # (n, F), as the config starts them if absent
    rotation: torch.Tensor | None = None  # (n, 4) unit wxyz, see AnchorStore.move, identity if absent

    def first(self, n: int) -> NewAnchors:
        """Returns at most the first n rows."""
        columns = (getattr(self, field.name) for field in fields(self))
        return NewAnchors(*(None if column is None else column[:n] for column in columns))  # type: ignore[arg-type]

    @classmethod
    def concatenate(cls, parts: Sequence[NewAnchors]) -> NewAnchors:
        """Returns the rows of all parts in order; the parts have the same fields."""
        columns = ([getattr(part, field.name) for part in parts] for field in fields(cls))
        return cls(*(None if column[0] is None else torch.cat(column) for column in columns))  # type: ignore[arg-type]


class AnchorStore:
    """N anchors [SG 4.1, IG 3.2]: `parameters` are trained, `data` is bookkeeping, both indexed by the same row."""

    def __init__(self, config: ScaffoldConfig, device: torch.device, generator: torch.Generator) -> None:
        k, e, f = config.children, config.embedding, config.feature
        self._config, self._device, self._generator = config, device, generator
        self._next_uid = 0
        self.origin: FloatArray = np.zeros(3)  # (3,) float64 m, world: positions are kept from here
        self._wave = (torch.randn((3, f), generator=generator) * (2 * torch.pi / WAVELENGTH)).to(device)
        self._phase = (torch.rand(f, generator=generator) * 2 * torch.pi).to(device)

        def empty(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.zeros((0, *shape), dtype=dtype, device=device)

        self.parameters = {
            "offsets": empty(k, 3),  # of the children, in units of exp(log_scale[:3])
            "log_scale": empty(6),  # 3 for the offsets, 3 for the children's extent
            "embedding": empty(e),
            "color": empty(3),  # logit, starts at the measured colour
            "feature": empty(f),
        }
        self.moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in self.parameters.items()}
        self.data = {
            "position": empty(3),  # m, from the origin
            "rotation": empty(4),  # unit wxyz: rotates what the anchor decodes, see move
            "edge": empty(),
            "uid": empty(dtype=torch.int64),
            "owner": empty(dtype=torch.int64),
            "visits": empty(dtype=torch.int32),  # training steps in which the anchor was in view
            "lessons": empty(dtype=torch.int32),  # ... and in which its instance feature was trained
            "opacity": empty(),  # running mean of its children's summed opacity over those steps
            "gradient_sum": empty(k),  # 2D positional gradient per child, see densification
            "gradient_count": empty(k),
        }
        self.rotated = False  # whether any rotation is not the identity: only pose corrections rotate anchors

    def __len__(self) -> int:
        return len(self.data["position"])

    @property
    def position(self) -> FloatArray:
        """Positions (N, 3) float64 m in the world."""
        return np.asarray(self.data["position"].cpu().numpy() + self.origin)

    def append(self, new: NewAnchors) -> None:
        """Appends new rows; their moments and counts start at zero. The first ones decide where the origin is."""
        n = len(new.position)
        if not self._next_uid and n:
            self.origin = np.round(new.position.mean(0).cpu().numpy() / ORIGIN_GRID) * ORIGIN_GRID
        position = self._from_origin(new.position)
        # The paper starts offsets at 0; children in one spot share one gradient, so spread them inside the voxel (Own).
        offsets = torch.rand((n, self._config.children, 3), generator=self._generator) - 0.5
        offsets[:, 0] = 0.0
        rows = {
            "offsets": offsets,
            "log_scale": new.edge.log()[:, None].expand(n, 6),
            "embedding": torch.zeros(n, self._config.embedding) if new.embedding is None else new.embedding,
            "color": torch.logit(new.color.clamp(0.02, 0.98)),
            "feature": self._first_feature(position) if new.feature is None else new.feature,
        }
        for name, old in self.parameters.items():
            added = rows[name].to(old)
            self.parameters[name] = torch.cat([old, added])
            self.moments[name] = tuple(torch.cat([m, torch.zeros_like(added)]) for m in self.moments[name])  # type: ignore[assignment]
        uid = torch.arange(self._next_uid, self._next_uid + n)
        self._next_uid += n
        given = {
            "position": position,
            "rotation": rotations.IDENTITY.expand(n, 4) if new.rotation is None else new.rotation,
            "edge": new.edge,
            "uid": uid,
            "owner": new.owner,
            "opacity": torch.ones(n),
        }
        for name, old in self.data.items():
            added = given[name].to(old) if name in given else old.new_zeros((n, *old.shape[1:]))
            self.data[name] = torch.cat([old, added])

    def _first_feature(self, position: torch.Tensor) -> torch.Tensor:
        """Returns features (n, F) in [0, 1]^F at positions (n, 3) m, smooth in space.

        They are low random frequencies of the position: neighbours start alike, so ground that no mask has
        shown yet over-segments into compact pieces instead of noise (Own).
        """
        phase = position.to(self._device) @ self._wave + self._phase
        return torch.nn.functional.normalize(0.5 + 0.5 * torch.sin(phase), dim=-1)

    def _from_origin(self, position: torch.Tensor) -> torch.Tensor:
        """Returns positions (n, 3) float32 m from the origin of those in the world, float64."""
        return (position.double() - torch.from_numpy(self.origin).to(position.device)).float()

    def move(self, position: torch.Tensor, rotation: torch.Tensor) -> None:
        """Puts every anchor at a position (N, 3) float64 m, rotated by unit quaternions (N, 4) wxyz; both in the world.

        The parameters are in the anchor's frame: they and their moments stay as they are.
        """
        self.data["position"] = self._from_origin(position)
        self.data["rotation"] = torch.nn.functional.normalize(rotations.compose(rotation, self.data["rotation"]), dim=1)
        self.rotated = True

    def gather(self, rows: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
        """Returns copies of the parameters, the positions (n, 3) m and the edges (n,) m of some anchors (n,)."""
        tables = [*self.parameters.values(), self.data["position"], self.data["edge"]]
        *found, position, edge = (table.index_select(0, rows) for table in tables)
        return dict(zip(self.parameters, found, strict=True)), position, edge

    def rotations_of(self, rows: torch.Tensor) -> torch.Tensor | None:
        """Returns the rotations (n, 4) of some anchors (n,), None while no anchor of the map is rotated."""
        return self.data["rotation"][rows] if self.rotated else None

    def keep(self, mask: torch.Tensor) -> None:
        """Drops every row where mask (N,) is false from parameters, moments and bookkeeping."""
        for name in self.parameters:
            self.parameters[name] = self.parameters[name][mask]
            first, second = self.moments[name]
            self.moments[name] = (first[mask], second[mask])
        for name in self.data:
            self.data[name] = self.data[name][mask]

    def rows(self, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns everything known about the anchors in some rows (n,), as `put_back` takes it."""
        return {name: table[rows] for name, table in self._tables().items()}

    def put_back(self, parts: Sequence[dict[str, torch.Tensor]]) -> None:
        """Appends anchors that `rows` returned and `keep` dropped, with their uids, moments and counts."""
        tables = self._tables().items()
        joined = {name: torch.cat([table, *(part[name].to(table) for part in parts)]) for name, table in tables}
        self.load_state(joined | self._scalars())

    def adam_step(
        self, rows: torch.Tensor, gradients: Mapping[str, torch.Tensor], rates: Mapping[str, float | torch.Tensor]
    ) -> None:
        """Takes one Adam step on the rows (n,) in view, of the parameters in `gradients`; rates may be per row.

        Rows out of view keep their moments. Bias is corrected by the row's own number of steps (`visits`, for features
        `lessons`, which the caller has counted up), so a late anchor starts as fast as an early one. A row of a
        negative rate is left as it is.
        """
        data, p, m = self.data, self.parameters, self.moments
        steps = [
            RowStep(p[name], m[name], gradient, data["lessons" if name == "feature" else "visits"], rates[name])
            for name, gradient in gradients.items()
        ]
        adam_rows(rows, steps)

    def state(self) -> dict[str, torch.Tensor]:
        """Returns everything as a flat dictionary name -> tensor, for storage."""
        return self._tables() | self._scalars()

    def _scalars(self) -> dict[str, torch.Tensor]:
        return {"next_uid": torch.tensor([self._next_uid]), "origin": torch.from_numpy(self.origin.copy())}

    def _tables(self) -> dict[str, torch.Tensor]:
        """Returns name -> (N, ...) of all that is kept per anchor."""
        out = {f"parameter.{n}": p for n, p in self.parameters.items()}
        out |= {f"moment{i}.{n}": m for n, pair in self.moments.items() for i, m in enumerate(pair)}
        return out | {f"data.{n}": d for n, d in self.data.items()}

    def demand_rows(self, rows: Mapping[str, torch.Tensor]) -> None:
        """Raises StorageError for a dictionary as by `rows` that a store of this configuration cannot have returned."""
        n = len(rows.get("data.position", ()))
        for name, table in self._tables().items():
            demand(name in rows, f"{name} is missing")
            demand_like(name, rows[name], table, n)
        demand((rows["data.edge"] > 0).all(), "data.edge is not positive")
        for name in ("visits", "lessons", "uid", "owner"):
            demand_range(f"data.{name}", rows[f"data.{name}"], 0, 1 << 62)
        demand(len(set(rows["data.uid"].tolist())) == n, "two anchors have the same uid")

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Replaces everything by a dictionary that `state` returned; the caller has checked its shapes."""
        for name in self.parameters:
            self.parameters[name] = state[f"parameter.{name}"].to(self._device)
            first, second = (state[f"moment{i}.{name}"].to(self._device) for i in range(2))
            self.moments[name] = (first, second)
        for name in self.data:
            self.data[name] = state[f"data.{name}"].to(self._device)
        self.rotated = bool((self.data["rotation"] != rotations.IDENTITY.to(self._device)).any())
        self._next_uid, self.origin = int(state["next_uid"][0]), state["origin"].cpu().numpy()
