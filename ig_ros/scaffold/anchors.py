"""The anchors as a structure of arrays, and the only functions that add or remove rows.

Trainable arrays, their Adam moments and the bookkeeping of an anchor live side by side here, so growth and pruning
cannot forget one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch

from ig_ros.config import ScaffoldConfig
from ig_ros.raster import RowStep, adam_rows
from ig_ros.scaffold import rotations
from ig_ros.validation import demand, demand_like, demand_range

WAVELENGTH = 2.0  # m, of the smooth field instance features start from


@dataclass(frozen=True, slots=True)
class NewAnchors:
    """Rows about to be planted; all tensors share their first dimension."""

    position: torch.Tensor  # (n, 3) m
    color: torch.Tensor  # (n, 3) in [0, 1]
    edge: torch.Tensor  # (n,) m, edge of the voxel the anchor stands for
    owner: torch.Tensor  # (n,) int64 uid of the keyframe that bore them
    embedding: torch.Tensor | None = None  # (n, E), zeros if absent
    feature: torch.Tensor | None = None  # (n, F), as the config starts them if absent
    turn: torch.Tensor | None = None  # (n, 4) unit wxyz, see AnchorStore.move, identity if absent

    def first(self, n: int) -> NewAnchors:
        """At most the first n rows."""
        rest = (None if t is None else t[:n] for t in (self.embedding, self.feature, self.turn))
        return NewAnchors(self.position[:n], self.color[:n], self.edge[:n], self.owner[:n], *rest)

    @classmethod
    def together(cls, parts: Sequence[NewAnchors]) -> NewAnchors:
        """The rows of all parts, which give the same fields, in order."""
        columns = ([getattr(part, field.name) for part in parts] for field in fields(cls))
        return cls(*(None if column[0] is None else torch.cat(column) for column in columns))  # type: ignore[arg-type]


class AnchorStore:
    """N anchors [SG 4.1, IG 3.2]: `parameters` are trained, `data` is bookkeeping, both indexed by the same row."""

    def __init__(self, config: ScaffoldConfig, device: torch.device, generator: torch.Generator) -> None:
        k, e, f = config.children, config.embedding, config.feature
        self._config, self._device, self._generator = config, device, generator
        self._next_uid = 0
        self._wave = (torch.randn((3, f), generator=generator) * (2 * torch.pi / WAVELENGTH)).to(device)
        self._phase = (torch.rand(f, generator=generator) * 2 * torch.pi).to(device)

        def empty(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.zeros((0, *shape), dtype=dtype, device=device)

        self.parameters = {
            "offsets": empty(k, 3),  # of the children, in units of exp(log_scale[:3])
            "log_scale": empty(6),  # 3 for the offsets, 3 for the children's extent
            "embedding": empty(e),
            "color": empty(3),  # logit of the colour the anchor was born with (Own: new ground looks right at once)
            "feature": empty(k, f) if config.feature_per_child else empty(f),
        }
        self.moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in self.parameters.items()}
        self.data = {
            "position": empty(3),
            "turn": empty(4),  # unit wxyz: rotates what the anchor decodes, see move
            "edge": empty(),
            "uid": empty(dtype=torch.int64),
            "owner": empty(dtype=torch.int64),
            "visits": empty(dtype=torch.int32),  # training steps in which the anchor was in view
            "lessons": empty(dtype=torch.int32),  # ... and in which its instance feature was trained
            "opacity": empty(),  # running mean of its children's summed opacity over those steps
            "gradient_sum": empty(k),  # 2D positional gradient per child, see growth
            "gradient_count": empty(k),
        }

        self.turned = False  # whether any anchor is: a map whose poses were never corrected pays nothing

    def __len__(self) -> int:
        return len(self.data["position"])

    def append(self, new: NewAnchors) -> None:
        """Plant new rows at the end; their moments and counts start at zero."""
        n = len(new.position)
        k = self._config.children
        color = new.color.clamp(0.02, 0.98)
        log_edge = new.edge.log()[:, None]
        # The paper starts offsets at 0; children on one spot share one gradient, so spread them inside the voxel (Own).
        offsets = torch.rand((n, k, 3), generator=self._generator).to(self._device) - 0.5
        offsets = offsets * self._config.offset_spread
        offsets[:, 0] = 0.0
        feature = self._first_feature(new, offsets) if new.feature is None else new.feature
        if self._config.feature_per_child and feature.dim() == 2:
            feature = feature[:, None].expand(n, k, -1)
        rows = {
            "offsets": offsets,
            "log_scale": log_edge.expand(n, 6),
            "embedding": torch.zeros(n, self._config.embedding) if new.embedding is None else new.embedding,
            "color": torch.logit(color),
            "feature": feature,
        }
        for name, old in self.parameters.items():
            added = rows[name].to(old)
            self.parameters[name] = torch.cat([old, added])
            self.moments[name] = tuple(torch.cat([m, torch.zeros_like(added)]) for m in self.moments[name])  # type: ignore[assignment]
        uid = torch.arange(self._next_uid, self._next_uid + n)
        self._next_uid += n
        given = {
            "position": new.position,
            "turn": torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(n, 4) if new.turn is None else new.turn,
            "edge": new.edge,
            "uid": uid,
            "owner": new.owner,
            "opacity": torch.ones(n),
        }
        for name, old in self.data.items():
            added = given[name].to(old) if name in given else old.new_zeros((n, *old.shape[1:]))
            self.data[name] = torch.cat([old, added])

    def _first_feature(self, new: NewAnchors, offsets: torch.Tensor) -> torch.Tensor:
        """(n, F) features in [0, 1]^F, or (n, k, F) where every child has its own: random [OG] or smooth in space.

        Smooth are low random frequencies of the position: neighbours start alike, so ground that no mask has taught
        yet over-segments into compact pieces instead of noise (Own).
        """
        position = new.position.to(self._device)
        if self._config.feature_per_child:
            position = position[:, None] + offsets * new.edge.to(self._device)[:, None, None]
        if self._config.feature_start == "random":
            shape = (*position.shape[:-1], self._config.feature)
            return torch.rand(shape, generator=self._generator).to(self._device)
        phase = position @ self._wave + self._phase
        return torch.nn.functional.normalize(0.5 + 0.5 * torch.sin(phase), dim=-1)

    def move(self, position: torch.Tensor, turn: torch.Tensor) -> None:
        """Put every anchor at a new position (N, 3) m, turned by unit quaternions (N, 4) wxyz in the world.

        The parameters live in the anchor's frame: they and their moments stay as they are.
        """
        self.data["position"] = position
        self.data["turn"] = torch.nn.functional.normalize(rotations.compose(turn, self.data["turn"]), dim=1)
        self.turned = True

    def gather(self, rows: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
        """Copies of the parameters, the positions (n, 3) m and the edges (n,) m of some anchors (n,)."""
        tables = [*self.parameters.values(), self.data["position"], self.data["edge"]]
        *found, position, edge = (table.index_select(0, rows) for table in tables)
        return dict(zip(self.parameters, found, strict=True)), position, edge

    def turns(self, rows: torch.Tensor) -> torch.Tensor | None:
        """(n, 4) rotations of some anchors, None while none in the map is rotated."""
        return self.data["turn"][rows] if self.turned else None

    def keep(self, mask: torch.Tensor) -> None:
        """Drop every row where mask (N,) is false, from parameters, moments and bookkeeping alike."""
        for name in self.parameters:
            self.parameters[name] = self.parameters[name][mask]
            first, second = self.moments[name]
            self.moments[name] = (first[mask], second[mask])
        for name in self.data:
            self.data[name] = self.data[name][mask]

    def rows(self, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """Everything known about the anchors in some rows (n,), as `put_back` takes it; they stay."""
        return {name: table[rows] for name, table in self._tables().items()}

    def put_back(self, parts: Sequence[dict[str, torch.Tensor]]) -> None:
        """Anchors that `rows` returned and `keep` dropped stand again, at the end, with uids, moments and counts."""
        tables = self._tables().items()
        joined = {name: torch.cat([table, *(part[name].to(table) for part in parts)]) for name, table in tables}
        next_uid = torch.tensor([self._next_uid])
        self.load_state(joined | {"next_uid": next_uid})

    def adam_step(
        self, rows: torch.Tensor, gradients: Mapping[str, torch.Tensor], rates: Mapping[str, float | torch.Tensor]
    ) -> None:
        """One Adam step on the rows (n,) that were in view, of the parameters in `gradients`; rates may be per row.

        Rows out of view keep their moments untouched: the cost is that of the view, not of the map. Bias is corrected
        by the row's own number of steps (`visits`, for features `lessons`, which the caller has counted up), so an
        anchor born late starts as fast as one born early. A row of a negative rate is left as it is.
        """
        steps = [
            RowStep(
                self.parameters[name],
                self.moments[name],
                gradient,
                self.data["lessons" if name == "feature" else "visits"],
                rates[name],
            )
            for name, gradient in gradients.items()
        ]
        adam_rows(rows, steps)

    def state(self) -> dict[str, torch.Tensor]:
        """Flat name -> tensor dictionary of everything, for storage."""
        return self._tables() | {"next_uid": torch.tensor([self._next_uid])}

    def _tables(self) -> dict[str, torch.Tensor]:
        """Name -> (N, ...) of all that is kept per anchor."""
        out = {f"parameter.{n}": p for n, p in self.parameters.items()}
        out |= {f"moment{i}.{n}": m for n, pair in self.moments.items() for i, m in enumerate(pair)}
        return out | {f"data.{n}": d for n, d in self.data.items()}

    def demand_rows(self, rows: Mapping[str, torch.Tensor]) -> None:
        """Raises StorageError for anchors, named as by `rows`, that a store of this configuration cannot have had."""
        n = len(rows.get("data.position", ()))
        for name, table in self._tables().items():
            if name in rows:
                demand_like(name, rows[name], table, n)
            else:
                demand(name == "data.turn", f"{name} is missing")  # of maps saved before anchors could be turned
        demand((rows["data.edge"] > 0).all(), "data.edge is not positive")
        for name in ("visits", "lessons", "uid", "owner"):
            demand_range(f"data.{name}", rows[f"data.{name}"], 0, 1 << 62)
        demand(len(set(rows["data.uid"].tolist())) == n, "two anchors have the same uid")

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Replace everything by a dictionary written by `state`; shapes are the caller's to have checked."""
        for name in self.parameters:
            self.parameters[name] = state[f"parameter.{name}"].to(self._device)
            self.moments[name] = (
                state[f"moment0.{name}"].to(self._device),
                state[f"moment1.{name}"].to(self._device),
            )
        identity = torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(len(state["data.position"]), 1)
        state = {"data.turn": identity, **state}  # maps saved before anchors could be turned
        for name in self.data:
            self.data[name] = state[f"data.{name}"].to(self._device)
        self.turned = bool((self.data["turn"] != identity.to(self._device)).any())
        self._next_uid = int(state["next_uid"][0])
