"""Markdown tables of the results, in the row order of the paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.quality.ceiling import ROWS as CEILINGS
from benchmarks.quality.plan import ABLATION_ROWS, NOISY, VARIANTS
from benchmarks.quality.reference import STANDS_FOR, TABLE_5, ordered
from benchmarks.quality.results import Results, Spread, cannot, count_error, mean, spread_of
from benchmarks.quality.structure import LARGE, SIZES
from benchmarks.quality.sweeps import OURS, PAPER, SWEPT

NONE = "-"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with its first column to the left and the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def cell(*values: Spread | None) -> str:
    """Figures of one cell, separated by slashes; only the first of several with its deviation."""
    if all(v is None for v in values):
        return NONE
    first, *rest = ((str(v) if i == 0 else f"{v.mean:.1f}") if v else NONE for i, v in enumerate(values))
    return " / ".join([first, *rest])


def instance_table(results: Results, condition: str, kinds: Sequence[str]) -> str:
    """Table 1: mIoU and mA50 / mA25 per kind of scene and over all; rows that cannot run say why."""
    head = ["method", *(f"{k}: mIoU / mA50 / mA25" for k in kinds), "all scenes: mIoU"]
    rows = []
    for name in ordered(results.methods(condition)):
        reason = cannot(results.select(condition), name)
        if reason:
            rows.append([label(name), *[f"cannot run: {reason}"] * len(kinds), NONE])
            continue
        cells = [cell(*(mean(results.select(condition, k), name, m) for m in ("miou", "ma50", "ma25"))) for k in kinds]
        rows.append([label(name), *cells, cell(mean(results.select(condition), name, "miou"))])
    return markdown(head, rows)


def detail_table(results: Results, condition: str) -> str:
    """What mIoU does not see, over all scenes: fragments (AP, count), held-out views, time."""
    head = ["method", "AP", "AP50", "AP25", "instances / true", "count error %", "render mIoU", "seconds"]
    entries, rows = results.select(condition), []
    for name in ordered(results.methods(condition)):
        if cannot(entries, name):
            continue
        counts = [mean(entries, name, m) for m in ("predicted", "true")]
        figures = [cell(mean(entries, name, m)) for m in ("ap", "ap50", "ap25")]
        count = f"{counts[0].mean:.1f} / {counts[1].mean:.1f}" if counts[0] and counts[1] else NONE
        more = (count_error(entries, name), mean(entries, name, "render_miou"), mean(entries, name, "seconds"))
        rows.append([label(name), *figures, count, *(cell(m) for m in more)])
    return markdown(head, rows)


def class_lists(results: Results) -> list[str]:
    """Names of the lists of classes in these results: "all", or 19, 15, 10."""
    found = (e["methods"][OURS].get("semantic", {}) for e in results.entries)
    return list(dict.fromkeys(name for lists in found for name in lists))


def main_list(results: Results) -> str:
    """The list of classes that is told where there is room for one: all names of a simulated scene, ScanNet's 19."""
    return next(iter(class_lists(results)), "all")


def semantic_table(results: Results, condition: str, kinds: Sequence[str]) -> str:
    """Tables 2 and 3: mIoU / mAcc per list of classes and kind of scene."""
    columns = [(k, c) for k in kinds for c in class_lists(results)]
    rows = []
    for name in ordered(results.methods(condition)):
        if cannot(results.select(condition), name):
            continue
        cells = [
            cell(*(mean(results.select(condition, k), name, "semantic", c, m) for m in ("miou", "macc")))
            for k, c in columns
        ]
        rows.append([label(name), *cells])
    return markdown(["method", *(f"{k}, {c} classes: mIoU / mAcc" for k, c in columns)], rows)


def ceiling_table(results: Results, kinds: Sequence[str]) -> str:
    """What truth and masks allow on a cloud, mIoU / mA50; "" where nothing was measured."""
    rows = []
    for condition in results.conditions:
        for kind in kinds:
            entries = [e for e in results.select(condition, kind) if "ceiling" in e]
            cells = [
                cell(*(spread_of(e["ceiling"][row][m] for e in entries) for m in ("miou", "ma50"))) for row in CEILINGS
            ]
            if entries:
                rows.append([f"{kind}, {condition}", *cells, cell(mean(entries, OURS, "miou"))])
    return markdown(("mIoU / mA50", *CEILINGS, "ours: mIoU"), rows) if rows else ""


def ceiling_remark(results: Results) -> str:
    """How much room is left above mask fusion; "" without the rows."""
    fusion = mean(results.select(), "mask fusion", "miou")
    points = spread_of(e["ceiling"]["points"]["miou"] for e in results.select() if "ceiling" in e)
    if fusion is None or points is None:
        return ""
    return (
        f"Truth itself on a cloud reaches {points.mean:.1f}, mask fusion {fusion.mean:.1f}: the largest lead anybody "
        f"can have over it here is {points.mean - fusion.mean:.1f} points. In the plain fusion a mask joins what it "
        "overlaps most. The other one also trusts a mask less that lies around an object than one inside it, and "
        "joins objects that came to overlap.\n"
    )


def witness_table(results: Results) -> str:
    """Instance mIoU of ours with witnesses left out, per map."""
    entries = [e for e in results.entries if "witnesses" in e]
    names = list(dict.fromkeys(name for e in entries for name in e["witnesses"]))
    rows = [
        [f"{e['job']['scene']}, {e['job']['condition']}", *(f"{e['witnesses'][name]['miou']:.1f}" for name in names)]
        for e in entries
    ]
    means = [cell(spread_of(e["witnesses"][name]["miou"] for e in entries)) for name in names]
    return markdown(("map", *names), [*rows, ["**mean**", *means]])


def selection_table(results: Results, kinds: Sequence[str]) -> str:
    """Select and render, ours: mIoU / mAcc@0.25."""
    rows = []
    for condition in results.conditions:
        cells = []
        for kind in kinds:
            entries = [e for e in results.select(condition, kind) if "selection" in e]
            cells.append(cell(*(spread_of(e["selection"][m] for e in entries) for m in ("miou", "macc25"))))
        rows.append([condition, *cells])
    return markdown(("ours", *(f"{k}: mIoU / mAcc@0.25" for k in kinds)), rows)


def ablation_table(results: Results, condition: str = NOISY) -> str:
    """Table 4: instance and semantic mIoU of three ways to group, PSNR, per way to train."""
    head = ["representation and training", *(f"{r}: instance mIoU / AP" for r in (OURS, *ABLATION_ROWS))]
    rows = []
    for variant in VARIANTS:
        entries = results.select(condition, variant=variant)
        if entries:
            cells = [cell(mean(entries, r, "miou"), mean(entries, r, "ap")) for r in (OURS, *ABLATION_ROWS)]
            semantic = mean(entries, OURS, "semantic", main_list(results), "miou")
            rows.append([variant, *cells, cell(semantic), cell(spread_of(e["map"].get("psnr") for e in entries))])
    return markdown([*head, "ours: semantic mIoU", "PSNR dB"], rows)


def ablation_remark(results: Results) -> str:
    """What Table 4 says about the paper's joint training, from the figures themselves; "" without both rows."""
    found = {v: [mean(results.select(variant=v), r, "miou") for r in (OURS, ABLATION_ROWS[0])] for v in VARIANTS}
    if any(value is None for pair in found.values() for value in pair):
        return ""
    frozen, joint = ([s.mean for s in pair if s is not None] for pair in found.values())
    psnr = [spread_of(e["map"].get("psnr") for e in results.select(variant=v)) for v in VARIANTS]
    appearance = "" if None in psnr else f" PSNR changes by {psnr[1].mean - psnr[0].mean:+.1f} dB."  # type: ignore[union-attr]
    return (
        f"Training geometry by semantics moves the paper's own aggregation by {joint[1] - frozen[1]:+.1f} points."
        f"{appearance} Here depth has put the geometry right before the joint phase begins, so semantics have nothing "
        "to repair in it, and the masks they push it with are noisy; the paper's maps come from RGB alone, with 20 "
        f"times the steps. Our own rows differ by {abs(joint[0] - frozen[0]):.1f} points: what groups is decided "
        "by the views, the feature only helps where they are silent or err alike.\n"
    )


def aggregation_table(results: Results, kinds: Sequence[str]) -> str:
    """Table 5: ways to aggregate the same trained features."""
    rows = []
    for name in TABLE_5:
        cells = [cell(*(mean(results.select(NOISY, k), name, m) for m in ("miou", "ap"))) for k in kinds]
        every = [mean(results.select(), name, *m) for m in (("miou",), ("semantic", main_list(results), "miou"))]
        rows.append([label(name), *cells, *(cell(v) for v in every)])
    return markdown(["aggregation", *(f"{k}: mIoU / AP" for k in kinds), "all: mIoU", "all: semantic mIoU"], rows)


def sweep_table(results: Results, parameter: str) -> str:
    """One of Tables 8-13: instance mIoU of every scene for each value of a parameter, ours and the paper's."""
    values = [f"{v:g}" for v in SWEPT[parameter]]
    keys = [str(v) for v in SWEPT[parameter]]
    rows: list[list[str]] = []
    entries = [e for e in results.select() if "sweeps" in e]
    for row in (OURS, PAPER):
        of_value: list[list[float]] = [[] for _ in keys]
        for e in entries:
            found = [e["sweeps"][row][parameter][k]["miou"] for k in keys]
            rows.append([f"{row}: {e['job']['scene']}", *(f"{v:.1f}" for v in found), f"{_sd(found):.1f}"])
            for column, v in zip(of_value, found, strict=True):
                column.append(v)
        means = [spread_of(column) for column in of_value]
        rows.append([f"**{row}: mean**", *(cell(m) for m in means), f"{_sd([m.mean for m in means if m]):.1f}"])
    return markdown([f"{parameter} =", *values, "sd over values"], rows)


def structure_table(results: Results, kinds: Sequence[str]) -> str:
    """Share of large things that came out as one, and IoU by size, of ours."""
    rows = []
    for kind in kinds:
        for condition in results.conditions:
            entries = results.select(condition, kind)
            if entries:
                one = [spread_of(100.0 * v for e in entries for v in e["structure"].get(name, [])) for name in LARGE]
                size = [spread_of(v for e in entries for v in e["sizes"][s]) for s in SIZES]
                rows.append([f"{kind}, {condition}", *(f"{v.mean:.0f} % of {v.count}" if v else NONE for v in one),
                             *(f"{v.mean:.1f} ({v.count})" if v else NONE for v in size)])  # fmt: skip
    head = [f"{n} as one" for n in LARGE] + [f"IoU {s}" for s in SIZES]
    return markdown(["ours", *head], rows)


def transfer_table(results: Results, kinds: Sequence[str]) -> str:
    """Ways to put our labels onto a cloud that is not the map's: mIoU / coverage per kind, seconds."""
    entries = [e for e in results.select() if "transfer" in e]
    rows = []
    for way in dict.fromkeys(name for e in entries for name in e["transfer"]):
        of_kind = [[e["transfer"][way] for e in entries if e["job"]["kind"] == k] for k in kinds]
        cells = [cell(*(spread_of(f[m] for f in found) for m in ("miou", "coverage"))) for found in of_kind]
        rows.append([way, *cells, cell(spread_of(e["transfer"][way]["seconds"] for e in entries))])
    return markdown(["transfer of ours", *(f"{k}: mIoU / coverage %" for k in kinds), "seconds"], rows)


def map_table(results: Results) -> str:
    """How large each map is, how it looks in held-out views, and how long its job took."""
    rows = []
    for e in results.entries:
        job, m, t = e["job"], e["map"], e["seconds"]
        name = " ".join(w for w in (job["scene"], job["condition"], job["variant"]) if w)
        look = [f"{m[k]:.2f}" if k in m else NONE for k in ("psnr", "ssim")]
        sizes = [str(m[k]) for k in ("keyframes", "steps", "anchors", "gaussians")]
        rows.append([name, *sizes, *look, *(f"{t[k]:.0f}" for k in ("mapping", "rows", "rest"))])
    parts = ["s mapping", "s rows", "s sweeps, picture"]
    return markdown(["map", "keyframes", "steps", "anchors", "Gaussians", "PSNR dB", "SSIM", *parts], rows)


def label(name: str) -> str:
    """A row's name with whom it stands for."""
    meaning = STANDS_FOR.get(name, "")
    return f"**{name}**" if name == OURS else f"{name} ({meaning})" if meaning else name


def _sd(values: Sequence[float]) -> float:
    found = spread_of(values)
    return found.sd if found else 0.0
