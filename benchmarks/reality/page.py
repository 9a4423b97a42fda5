"""docs/reality.md: the figures in words, and the tables on the console."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2

from benchmarks.language.page import table
from benchmarks.quality.pool import DONE
from benchmarks.reality.perturbations import PERTURBATIONS
from benchmarks.reality.rows import COLUMNS, FUSION, KITCHEN, OFF, PERTURBED, TABLETOPS, Row, path_of

Entries = Mapping[str, dict[str, Any]]
HEAD = """# Real scenes

Written by `make reality`. A simulator hides what robots have: depth beside its colour, holes, poses that drift. Here
are figures of a real kitchen, of real tabletops, and of a simulated scene whose frames are made as bad on purpose.
"""
KITCHEN_TEXT = """## Kitchen

100 Kinect frames of 7-Scenes' "redkitchen", every eighth held out, {steps} steps, images 320 px wide, geometric
segmenter. The recording's depth is not registered to its colour; "registered" uses a colour camera fitted to it by
hand. Held-out frames are drawn at their recorded poses after one rigid motion, the one that lays the recorded poses of
the keyframes on those that the map uses, in all rows alike; no pose is fitted to a held-out picture. "gain fitted":
every render gets the gain and offset per channel that suit its photograph best, in all rows alike: the recording's
exposure changes.
"""
PERTURBED_TEXT = """## Perturbed frames

`sim:tabletop`, frames 640 px wide, {steps} steps, masks with independent errors. benchmarks/reality/perturbations.py
does this to the frames of any dataset; seeds and amounts were fixed before anything was measured. 3D mIoU of the
instances in per cent. **Alignment:** where poses are perturbed the map stands elsewhere than the truth; one rigid
motion without scale, fitted between the true poses of the keyframes and those that the map uses, moves the truth (and
the held-out cameras) into the map before anything is compared. What is left of the poses' errors after it is in the
last column. PSNR is that of clean held-out pictures. "mask fusion" groups the same keyframes' masks on their measured
depth and trains nothing.
"""


def load(rows: Sequence[Row], out: Path) -> dict[str, dict[str, Any]]:
    """Returns the entries of the rows that were run."""
    return {r.key: json.loads(path_of(r, out).read_text()) for r in rows if path_of(r, out).is_file()}


def write_page(entries: Entries, docs: Path, out: Path, quick: bool) -> None:
    """Writes page, pictures and out/reality.json, and prints the tables."""
    parts = [HEAD + ("\nQUICK: these figures mean nothing.\n" if quick else "")]
    for part, section in ((KITCHEN, kitchen), (TABLETOPS, tabletops), (PERTURBED, perturbed)):
        found = {k: e for k, e in entries.items() if e["row"]["part"] == part}
        if found:
            text = section(found, docs, out)
            print(text)
            parts.append(text)
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "reality.md").write_text("\n\n".join(p.strip() for p in parts) + "\n")
    out.with_suffix(".json").write_text(json.dumps(entries, indent=1))


def kitchen(entries: Entries, docs: Path, out: Path) -> str:
    """Returns the section of the kitchen."""
    lines, pictures = [], []
    for key, e in entries.items():
        name = e["row"]["name"]
        if e["status"] != DONE:
            lines.append((name, e["error"], "", "", "", "", ""))
            continue
        tables = len(set(e["table"]))
        apart = [thing for thing, own in e["apart"].items() if own]
        joined = [thing for thing, own in e["apart"].items() if not own]
        lines.append(
            (name, f"{e['psnr']:.2f}", f"{e['ssim']:.3f}", f"{e['psnr_fitted']:.2f}",
             f"{len(apart)} of {len(e['apart'])}", ", ".join(joined) or "-",
             "yes" if tables == 1 else f"{tables} objects")
        )  # fmt: skip
        pictures.append(f"{name}: photograph, render, objects\n\n![{name}]({copied(key, docs, out)})")
    heads = ("row", "PSNR, dB", "SSIM", "gain fitted", "things apart", "not apart", "one table")
    steps = next(iter(entries.values()))["row"]["steps"]
    return "\n\n".join([KITCHEN_TEXT.format(steps=steps).strip(), table(heads, lines), *pictures])


def tabletops(entries: Entries, docs: Path, out: Path) -> str:  # noqa: ARG001 - like the other sections
    """Returns the section of the tabletops."""
    (entry,) = entries.values()
    if entry["status"] != DONE:
        return f"## Tabletops\n\n{entry['error']}"
    groups = entry["groups"]
    heads = ("group", *next(iter(groups.values())))
    lines = [(name, *(f"{v:g}" for v in row.values())) for name, row in groups.items()]
    text = "## Tabletops\n\nThe geometric segmenter on 45 labelled real pictures; F and F@.75 in per cent, "
    text += "ms while other rows ran beside it.\n\n"
    return text + table(heads, lines)


def perturbed(entries: Entries, docs: Path, out: Path) -> str:
    """Returns the section of the perturbed frames."""
    lines, pictures = [], []
    columns = [*COLUMNS]
    for name in PERTURBATIONS:
        row = {e["row"]["column"]: (k, e) for k, e in entries.items() if e["row"]["name"] == name}
        done = {column: e for column, (_, e) in row.items() if e["status"] == DONE}
        if not row:
            continue
        ious = [f"{done[c]['methods']['map']['miou']:.1f}" if c in done else "failed" for c in columns]
        fusion = done.get(OFF, {}).get("methods", {}).get(FUSION, {}).get("miou")
        psnrs = [f"{done[c]['psnr']:.2f}" if c in done else "-" for c in columns]
        poses = [
            f"{done[c]['pose_error_cm']:.1f} cm, {done[c]['pose_error_deg']:.1f} deg" for c in columns if c in done
        ]
        lines.append((name, *ious, "-" if fusion is None else f"{fusion:.1f}", *psnrs, poses[0] if poses else "-"))
    for name in ("clean", "all at once"):
        key = next((k for k, e in entries.items() if e["row"]["name"] == name and e["status"] == DONE), None)
        if key is not None:
            pictures.append(f"{name}: photograph, render, objects\n\n![{name}]({copied(key, docs, out)})")
    heads = ("frames", *columns, FUSION, *(f"PSNR, {c}" for c in columns), "poses")
    steps = next(iter(entries.values()))["row"]["steps"]
    return "\n\n".join([PERTURBED_TEXT.format(steps=steps).strip(), table(heads, lines), *pictures])


def copied(key: str, docs: Path, out: Path) -> str:
    """Copies a row's picture beside the page, under 150 kB; returns its name there."""
    picture = cv2.imread(str(out / "pictures" / f"{key}.jpg"))
    name, quality = f"reality_{key}.jpg", 85
    docs.mkdir(parents=True, exist_ok=True)
    while True:
        cv2.imwrite(str(docs / name), picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if (docs / name).stat().st_size <= 150_000 or quality <= 30:
            return name
        quality -= 10
