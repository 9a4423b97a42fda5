"""docs/troubleshooting.md has a row for every cause that diagnostics count, and for no other."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
FOLDERS = ("", "nodes", "scaffold", "segmentation", "language")  # of ig_ros, where a node's frames and calls go
TREES = [ast.parse(path.read_text()) for folder in FOLDERS for path in (ROOT / "ig_ros" / folder).glob("*.py")]
COUNTERS = ("_dropped", "dropped")  # dictionaries of causes
ENDINGS = {"_demand": "_too_large"}  # functions that are given the beginning of a cause
KEY = re.compile(r"[a-z_*]+")


def constants() -> dict[str, set[str]]:
    """Module constants that are a cause, or a cause with its message; some modules share a name."""
    found: dict[str, set[str]] = {}
    for node in (node for tree in TREES for node in tree.body if isinstance(node, ast.Assign)):
        value = node.value.elts[0] if isinstance(node.value, ast.Tuple) and node.value.elts else node.value
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and KEY.fullmatch(value.value):
            for target in node.targets:
                found.setdefault(ast.unparse(target), set()).add(value.value)
    return found


def takers() -> dict[str, int]:
    """Functions and classes that are given a cause (or, `full`, a cause with its message), and at which place."""
    found = {"problems.add": 0}
    for node in (node for tree in TREES for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef) and node.name not in ("__init__", "add"):
            names, name = [a.arg for a in node.args.args if a.arg != "self"], node.name
        elif isinstance(node, ast.ClassDef):
            name, makers = node.name, [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
            names = [f.target.id for f in node.body if isinstance(f, ast.AnnAssign) and isinstance(f.target, ast.Name)]
            names = [a.arg for a in makers[0].args.args[1:]] if makers else names
        else:
            continue
        for wanted in {"cause", "full"} & set(names):
            found[name] = names.index(wanted)
    return found


def texts(node: ast.expr | None) -> Iterator[str]:
    """The causes that an expression can be; * stands for what a format fills in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from (*texts(node.body), *texts(node.orelse))
    elif isinstance(node, ast.Name) and node.id in CONSTANTS:
        yield from CONSTANTS[node.id]


CONSTANTS, PLACES = constants(), takers()


def given(call: ast.Call) -> Iterator[str]:
    """The causes in a call."""
    name = ast.unparse(call.func)
    name = "problems.add" if name.endswith("problems.add") else name.rpartition(".")[2]
    keywords = {k.arg: k.value for k in call.keywords}
    if name in PLACES:
        at = call.args[PLACES[name]] if len(call.args) > PLACES[name] else keywords.get("cause")
        yield from (text + ENDINGS.get(name, "") for text in texts(at))
    if "dropped" in keywords:  # dropped=dict(... Counter(masks_encoder=...))
        inner = [n for n in ast.walk(keywords["dropped"]) if isinstance(n, ast.Call)]
        yield from (str(k.arg) for n in inner for k in n.keywords)


@functools.cache
def causes() -> set[str]:
    """Every cause in the sources."""
    found: set[str] = set()
    for node in (node for tree in TREES for node in ast.walk(tree)):
        if isinstance(node, ast.Call):
            found |= set(given(node))
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value).rpartition(".")[2] in COUNTERS:
            found |= set(texts(node.slice))
        elif isinstance(node, ast.ClassDef) and "causes" in (ast.get_docstring(node) or "") and node.bases:
            found |= {text for line in node.body if isinstance(line, ast.Assign) for text in texts(line.value)}
    return found - {"", "keyframe"}


def told() -> set[str]:
    """The counters of the page."""
    rows = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return {cause for row in rows for cause in re.findall(r"`(\w+)`", row[2])}


def test_the_sources_are_read_rightly() -> None:
    assert causes() >= {
        "no_pose", "pose_gap", "depth_units", "blurred", "inbox_full", "masks_encoder", "of_the_old_map",
        "decoder_full", "mask_too_large", "mapper_stopped", "*_refused", "*_failed", "internal", "image_size",
    }  # fmt: skip
    assert all(KEY.fullmatch(cause) for cause in causes())


def test_every_cause_has_a_row() -> None:
    assert {cause for cause in causes() if not any(fnmatch(counter, cause) for counter in told())} == set()


def test_every_row_is_of_a_cause() -> None:
    assert {counter for counter in told() if not any(fnmatch(counter, cause) for cause in causes())} == set()


def test_every_row_has_a_symptom_a_cause_and_a_remedy() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert len(rows) > 50
    for row in rows:
        assert len([cell for cell in row.strip("|").split("|") if cell.strip()]) == 4, row
