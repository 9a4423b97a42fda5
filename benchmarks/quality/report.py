"""docs/quality.md and quality.json from the files of the jobs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.quality.plan import CONDITIONS, FULL, NOISY, RECORDED, RGB
from benchmarks.quality.reference import ABLATION_HEAD, ABLATION_TABLE, SCANNET_HEAD, SCANNET_TABLE
from benchmarks.quality.results import Results, flat
from benchmarks.quality.sweeps import SWEPT
from benchmarks.quality.tables import (
    ablation_remark,
    ablation_table,
    aggregation_table,
    ceiling_remark,
    ceiling_table,
    detail_table,
    instance_table,
    map_table,
    markdown,
    selection_table,
    semantic_table,
    structure_table,
    sweep_table,
    transfer_table,
    witness_table,
)

DEFINITIONS = """\
- **instance mIoU**: for every true instance the best IoU over all predicted ones, then the mean; **mA50 / mA25**: share
  of true instances whose best IoU exceeds 0.5 / 0.25. Fragments cost nothing here, so **AP / AP50 / AP25** (ScanNet
  protocol, class-agnostic, instances ranked by size in every row, at least 100 points) and the number of instances
  stand beside it. A truth point takes the id of the nearest point of a method's own cloud within 5 cm; unlabelled truth
  leaves before unions.
- **semantic mIoU / mAcc**: a point takes the class whose text is closest to its instance's embedding; every row's
  instances are embedded by the same association (masks matched by IoU, their label texts averaged); an instance seen in
  fewer than two keyframes stays unknown, which is wrong. Classes are the names that occur in the scene.
- **render mIoU**: as instance mIoU, over all pixels of the held-out views (every 8th frame); a pixel shows its top
  Gaussian; clouds hand their ids to Gaussians within 5 cm. **PSNR, SSIM**: of the same views, equal for all rows of a
  map.
- **as one**: a true instance whose best IoU exceeds 0.5 and of whose points no other predicted instance covers more
  than 10 %. **small / medium / large**: longest edge of the upright box below 15 cm, up to 60 cm, above.
- **± sd** is over scenes; **seconds** is wall time of grouping on one thread with another job beside it;
  rows that need depth get their cloud of it for nothing.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What the document says about how its figures came about."""

    command: str
    minutes: float
    workers: int
    notes: tuple[str, ...] = ()


def write_report(document: Path, folder: Path, results: Results, run: Run) -> None:
    """Write the document, the pictures beside it and quality.json above the folder of the jobs."""
    document.parent.mkdir(parents=True, exist_ok=True)
    (folder.parent / f"{folder.name}.json").write_text(json.dumps(flat(results), indent=1))
    pictures = []
    for picture in sorted((folder / "pictures").glob("*.png")):
        if any(e["job"]["picture"] and e["job"]["scene"] == picture.stem for e in results.entries):
            pictures.append(f"{document.stem}_{picture.name}")
            shutil.copyfile(picture, document.with_name(pictures[-1]))
    document.write_text("\n".join(compose(results, run, pictures)))


def compose(results: Results, run: Run, pictures: Sequence[str]) -> Iterator[str]:
    """The document, part by part."""
    yield from introduction(results, run)
    if not results.entries:
        return
    kinds = results.kinds
    yield from ceiling(results, kinds)
    words = RECORDED if "scannet" in kinds else CONDITIONS
    for condition in results.conditions:
        yield f"## Table 1: class-agnostic instances; {words[condition]}\n"
        yield instance_table(results, condition, kinds)
        yield detail_table(results, condition)
    for condition in results.conditions:
        yield f"## Tables 2 and 3: open-vocabulary semantics; {words[condition]}\n"
        yield semantic_table(results, condition, kinds)
    yield from ablations(results, kinds)
    yield "## Large things, small things\n"
    yield structure_table(results, kinds)
    if any("selection" in e for e in results.entries):
        yield "## Select and render (paper 4.3)\n"
        yield (
            "Every name of a thing that a held-out view shows is asked of the map as a text, and the objects that fit "
            "are drawn into the view: mIoU and mAcc@0.25 over all pairs of view and text.\n"
        )
        yield selection_table(results, kinds)
    if any("transfer" in e for e in results.entries):
        yield "## Labels on a cloud that is not the map's (appendix A.3)\n"
        yield transfer_table(results, kinds)
    if pictures:
        yield "## Pictures\n"
        yield "Held-out views; a predicted instance has the colour of the true one it shares most with.\n"
        yield from (f"![{name}]({name})\n" for name in pictures)
    yield "## Maps\n"
    yield map_table(results)
    yield from theirs()


def introduction(results: Results, run: Run) -> Iterator[str]:
    """What was run, what is missing, what the words mean."""
    yield "# Quality\n"
    scenes = len({e["job"]["scene"] for e in results.entries})
    cpu = sum(e["seconds"].get("cpu", 0.0) for e in results.entries) / 60
    took = f"{run.minutes:.0f} minutes on {run.workers} cores" if run.minutes >= 1 else "figures of an earlier run"
    took += f"; {cpu:.0f} minutes of CPU time"
    yield f"Written by `{run.command}` ({took}): {len(results.entries)} maps of {scenes} scenes. Figures are percent.\n"
    lines = [*run.notes, *(f"failed: {key}: {error}" for key, error in results.failed.items())]
    if results.absent:
        lines.append(f"not run: {', '.join(results.absent)}")
    if len(results.codes) > 1:
        lines.append(f"these figures come from {len(results.codes)} versions of the code")
    if lines:
        yield "\n".join(f"- {line}" for line in lines) + "\n"
    yield DEFINITIONS


def ceiling(results: Results, kinds: Sequence[str]) -> Iterator[str]:
    """How high these scenes and masks let anybody come."""
    table = ceiling_table(results, kinds)
    if not table:
        return
    yield "## Ceiling\n"
    yield (
        "On a cloud of measured depth, without training: *points*: every point has the id of the truth beside it, so "
        "what no camera saw and what lies on a border is lost; *masks*: the grouping is the true one and every point "
        "takes the vote of its masks, so what the segmenter got wrong too often is lost. A method that labels the "
        "cloud by these masks exceeds the second only by what it knows beyond them.\n"
    )
    yield table
    yield ceiling_remark(results)


def ablations(results: Results, kinds: Sequence[str]) -> Iterator[str]:
    """Tables 4, 5 and 8-13."""
    yield "## Table 4: representation and training\n"
    table = ablation_table(results)
    yield table if table.count("\n") > 2 else "Not part of this run.\n"
    yield ablation_remark(results)
    if results.select(RGB, variant=FULL):
        yield "The same without depth, RGB and poses only, where geometry is still to be repaired:\n"
        yield ablation_table(results, RGB)
    if any("witnesses" in e for e in results.entries):
        yield "### The witnesses of an edge\n"
        yield "Our instantiation of the same map with some of what judges an edge left out, instance mIoU.\n"
        yield witness_table(results)
    yield "## Table 5: aggregation of the same trained map\n"
    yield aggregation_table(results, kinds)
    yield "## Tables 8-13: hyperparameters, instance mIoU per scene\n"
    yield "S sub-objects; voxel in metres; gamma in units of its default. Nothing is trained again.\n"
    if any("sweeps" in e for e in results.select(NOISY)):
        yield from (sweep_table(results, parameter) for parameter in SWEPT)


def theirs() -> Iterator[str]:
    """The papers' own figures."""
    yield "## The papers' figures: ScanNet, other data and hardware, not comparable with the above\n"
    yield markdown(SCANNET_HEAD, SCANNET_TABLE)
    yield markdown(ABLATION_HEAD, ABLATION_TABLE)
