"""docs/soak.md: the figures of a soak as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.soak.judging import failures

INTRODUCTION = """# Soak

One node maps a simulated tabletop for minutes while every fault of a robot happens to it, one after the other, over
real DDS; a second one maps the same scene undisturbed. Processes are killed with `kill -9`: a saver at random moments,
and the node itself while it trains and saves a map with words and with tiles on disk. What is
demanded stands in `benchmarks/soak/judging.py`; anything missed is exit status 1.

*Needs 15 minutes of two cores:*

```bash
make soak
```

It writes this page and `out/soak.json`.
"""


def page(figures: dict[str, Any]) -> str:
    """The whole page, in Markdown."""
    missed = failures(figures)
    verdict = "Missed: " + "; ".join(missed) + "." if missed else "Nothing was missed."
    when = f"{figures['date']}, commit `{figures['commit']}`, {figures['seconds'] / 60:.0f} minutes. {verdict}"
    parts = [INTRODUCTION, when, table(("", "undisturbed", "disturbed"), _rows(figures)), "## Faults"]
    faults = [(name, trouble or "survived") for name, trouble in figures["faults"].items()]
    parts += [table(("fault", "outcome"), faults), "## Kills", table(("killed", "kills", "survived"), _kills(figures))]
    refused = figures["frames"]["disturbed"]["refused"]
    parts += ["## Images refused, by cause", table(("cause", "images"), [(c, str(n)) for c, n in refused.items()])]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)


def _rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    both = ("undisturbed", "disturbed")

    def each(name: str, values: Sequence[str]) -> tuple[str, str, str]:
        return name, values[0], values[1]

    frames = [figures["frames"][b] for b in both]
    shares = [(figures[f"rss_growth{end}"], figures[f"ids_kept_share{end}"]) for end in ("_undisturbed", "")]
    return [
        each("images sent", [str(f["sent"]) for f in frames]),
        each("given to the mapper", [str(f["in"]) for f in frames]),
        each("used as keyframes", [str(f["used"]) for f in frames]),
        each("refused for a cause", [str(sum(f["refused"].values())) for f in frames]),
        each("lost: no time, or gone on the way", [str(f["lost"]) for f in frames]),
        each("RSS at start, middle and end, MB", [", ".join(f"{m:.0f}" for m in figures["rss_mb"][b]) for b in both]),
        each("RSS growth", [f"{growth:+.1%}" for growth, _ in shares]),
        each("ids kept", [f"{ids:.0%}" for _, ids in shares]),
        each("instance mIoU, %", [f"{figures['miou'][b]:.1f}" for b in both]),
        ("mIoU, difference", "-", f"{figures['miou_delta']:+.1f}"),
        ("faults injected", "-", str(figures["faults_injected"])),
        ("faults survived", "-", f"{figures['faults_survived_share']:.0%}"),
        ("kills survived", "-", f"{figures['kills_survived']} of {figures['kills']['kills']}"),
        each("callback delay, p99, ms", [f"{figures['callback_p99_ms'][b]:.1f}" for b in both]),
    ]


def _kills(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    kinds = figures["kills"]["kinds"]
    return [(name, str(kind["kills"]), str(kind["survived"])) for name, kind in kinds.items()]
