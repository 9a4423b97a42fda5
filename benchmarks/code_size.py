"""Prints how large the package is to take over: code lines, files, functions, parameters, numeric constants.

    python -m benchmarks.code_size [--files]

Code lines are lines without blank ones, comments and docstrings. Simulation is counted apart: no robot runs it.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ig_ros.config import NodeConfig, leaves

ROOT = Path(__file__).resolve().parents[1] / "ig_ros"
APART = ("msg", "srv", "simulation")  # generated messages, and the simulator
SHOWN = ("cli", "evaluation", "export", "nodes", "report", "viewer")  # their constants steer what is shown, not the map

# Numbers that steer nothing: change them, together with whoever shares them, and map and answers stay what they were.
NEUTRAL = {
    "codes and empty values": (
        "datasets/files:NO_VALUE", "geometry:T_BODY_OPTICAL",
        "instances/tracking:NO_IDS", "instances/visibility:HIDDEN", "instances/visibility:UNLABELLED",
        "instances/voting:NONE", "lens_distortion:_LENGTHS", "map_io:SCHEMA", "map_validation:IDS",
        "map_validation:STAMPS", "raster/anchor_decoding:MLPS", "raster/losses:COLORS", "raster/visibility:LOOSE",
        "scaffold/rotations:IDENTITY", "scaffold/keyframes:MASK_ID_LIMIT",
    ),
    "how much is worked on at once": (
        "datasets/replica:BATCH", "instances/over_segmentation:CHUNK", "instances/voting:CHUNK",
        "language/encoders:CACHE_SIZE", "language/open_clip_encoder:BATCH", "raster/counting:MANY",
        "segmentation/sam:BATCH",
    ),
    "lengths of queues and messages, restarts of threads": (
        "datasets/files:NAMED_AT_MOST", "frame_queue:REMEMBERED", "live:HEALTHY",
        "live:IDLE", "message_decoding:NAME", "thread_settings:NICENESS",
    ),
    "definitions: Adam, SSIM, gsplat, ImageNet": (
        "raster/adam:BETA1", "raster/adam:BETA2", "raster/adam:EPSILON", "raster/losses:RADIUS", "raster/losses:SIGMA",
        "raster/losses:C1", "raster/losses:C2", "raster/gsplat_backend:BLUR", "raster/request:MAX_ALPHA",
        "segmentation/sam2:MEAN", "segmentation/sam2:DEVIATION",
    ),
    "how a map is judged and drawn": (
        "colors:GOLDEN", "colors:TABLE", "datasets/base:HELD_OUT_EVERY", "datasets/replica:VOXEL",
        "datasets/replica:COLUMNS", "datasets/replica:FUSED_VIEWS",
    ),
}  # fmt: skip
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file of the package."""

    name: str  # its path below ig_ros/
    lines: frozenset[int]  # numbers of its code lines
    tree: ast.Module

    @property
    def folder(self) -> str:
        """The part of the package it belongs to; "." for modules at the top."""
        return self.name.partition("/")[0] if "/" in self.name else "."

    def functions(self) -> dict[str, int]:
        """Code lines of every function and method by name."""
        found = [n for n in ast.walk(self.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        return {f"{self.name}:{n.name}:{n.lineno}": self._count(n) for n in found}

    def classes(self) -> list[str]:
        """Names of its public classes."""
        return [n.name for n in self.tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")]

    def top_functions(self) -> list[str]:
        """Names of its functions."""
        return [n.name for n in self.tree.body if isinstance(n, ast.FunctionDef)]

    def constants(self) -> list[str]:
        """Names of module constants made of numbers alone."""
        return [name for n in self.tree.body for name in _numeric_names(n)]

    def _count(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
        return sum(node.lineno <= line <= (node.end_lineno or node.lineno) for line in self.lines)


def read_module(path: Path) -> Module:
    """Returns a file's code lines and syntax tree."""
    source = path.read_text()
    tree = ast.parse(source)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _docstring(node):
            lines.difference_update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return Module(path.relative_to(ROOT).as_posix(), frozenset(lines), tree)


def modules() -> list[Module]:
    """Returns the package's modules without generated messages and the simulator."""
    paths = sorted(p for p in ROOT.rglob("*.py") if p.relative_to(ROOT).parts[0] not in APART)
    return [read_module(path) for path in paths]


def steering(found: list[Module]) -> list[str]:
    """Returns the numeric constants that steer the map and the answers: those of their modules without NEUTRAL."""
    neutral = {name for names in NEUTRAL.values() for name in names}
    every = [f"{m.name.removesuffix('.py')}:{name}" for m in found if m.folder not in SHOWN for name in m.constants()]
    return [name for name in every if name not in neutral]


def _docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _numeric_names(node: ast.stmt) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    value = getattr(node, "value", None)
    if not targets or value is None:
        return
    kinds = {type(n.value) for n in ast.walk(value) if isinstance(n, ast.Constant)}
    if kinds & {int, float} and str not in kinds:
        yield from (n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name))


def main() -> None:
    """Prints one line a figure, and with --files one a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", action="store_true", help="list every file too")
    options = parser.parse_args()
    found = modules()
    sizes = {m.name: len(m.lines) for m in found}
    lengths = sorted(n for m in found for n in m.functions().values())
    largest = max(sizes, key=sizes.__getitem__)
    print(f"code lines              {sum(sizes.values())}")
    print(f"files                   {len(sizes)}")
    print(f"largest file            {sizes[largest]} ({largest})")
    median, p90 = statistics.median(lengths), lengths[len(lengths) * 9 // 10]
    print(f"function median/p90/max {median:.0f} / {p90} / {lengths[-1]}")
    print(f"parameters              {len(list(leaves(NodeConfig)))}")
    print(f"steering constants      {len(steering(found))} (of {sum(len(m.constants()) for m in found)})")
    for folder in sorted({m.folder for m in found}):
        own = [m for m in found if m.folder == folder]
        lines, constants = sum(len(m.lines) for m in own), sum(len(m.constants()) for m in own)
        print(f"  {folder:14} {lines:6} lines {len(own):4} files {constants:4} constants")
    if options.files:
        for name, size in sorted(sizes.items()):
            print(f"    {size:4} {name}")


if __name__ == "__main__":
    main()
