"""Runs what real robots send, row by row, and prints a table: input -> result. Status 1 on any miss.

    python -m benchmarks.field [pytest options]

A row is a test with `@pytest.mark.field(section, input, wanted)`; it generates its input, runs the real node over DDS
or `ig map`, and judges. Tests that carry the same three words are one row, which holds when all of them pass.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import pytest

# Sections of the table, in its order.
SECTIONS = {
    "wrong": "No wrong answer without a word",
    "device": "Devices",
    "ros": "A complete ROS 2",
    "broken": "One bad file does not end everything",
    "format": "Formats",
}


@dataclass
class Row:
    """One kind of input and what became of its tests."""

    section: str
    sent: str
    wanted: str
    outcomes: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)  # why tests were skipped

    @property
    def result(self) -> str:
        """MISS if any test failed or none came to its end, else ok; skipped with the reason where none ran."""
        if "failed" in self.outcomes or not self.outcomes:
            return "MISS"
        return "ok" if "passed" in self.outcomes else f"skipped: {self.reasons[0]}"


class Recorder:
    """A pytest plugin that keeps the outcome of every row."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], Row] = {}
        self._of: dict[str, Row] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Finds the row of every test. Raises UsageError for a section that there is not."""
        for item in items:
            mark = item.get_closest_marker("field")
            if mark is None:
                continue
            section, sent, wanted = mark.args
            if section not in SECTIONS:
                raise pytest.UsageError(f"{item.nodeid}: no section '{section}', there are {', '.join(SECTIONS)}")
            self._of[item.nodeid] = self.rows.setdefault((section, sent, wanted), Row(section, sent, wanted))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes what became of a test; a fault in its setup or its end counts as one of its own."""
        if report.nodeid in self._of and (report.when == "call" or not report.passed):
            row = self._of[report.nodeid]
            row.outcomes.append(report.outcome)
            if report.skipped and isinstance(report.longrepr, tuple):
                row.reasons.append(report.longrepr[2])


def table(rows: list[Row]) -> str:
    """Returns the rows as a Markdown table by section."""
    lines: list[str] = []
    for section, title in SECTIONS.items():
        own = [row for row in rows if row.section == section]
        if own:
            lines += ["", f"## {title}", "", "| input | wanted | result |", "|---|---|---|"]
            lines += [f"| {row.sent} | {row.wanted} | {row.result} |" for row in own]
    held = sum(row.result == "ok" for row in rows)
    missed = sum(row.result == "MISS" for row in rows)
    skipped = len(rows) - held - missed
    return "\n".join([*lines, "", f"{len(rows)} rows: {held} hold, {missed} missed, {skipped} skipped"])


def main() -> None:
    """Runs the rows."""
    recorder = Recorder()
    status = pytest.main(["-m", "field", "-q", *sys.argv[1:]], plugins=[recorder])
    print(table(list(recorder.rows.values())))
    missed = any(row.result != "ok" for row in recorder.rows.values())
    sys.exit(int(status) or int(missed) or int(not recorder.rows))


if __name__ == "__main__":
    main()
