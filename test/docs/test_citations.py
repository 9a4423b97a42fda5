"""Citations of the method lead somewhere, and no page that is not in the repository is cited."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "method.md"
CITED = re.compile(r"docs/method\.md,\s+(?:[#/*]+\s*)?sections?\s+([\w.]+)(?:\s+(?:to|and)\s+([\w.]+))?")
OLD = re.compile("METHOD" + r"(?:'s)?,?\s+(?:\d|gives|describes|table)")


def texts() -> dict[str, str]:
    """The repository's text files by path."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    found = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        data = path.read_bytes() if path.is_file() else b""
        if b"\0" not in data:
            found[name] = data.decode("utf-8", "replace")
    return found


def sections(page: str) -> set[str]:
    """Numbers of the page's headings: 4, 4a, 7.3."""
    return set(re.findall(r"^##+ (\d+(?:\.\d+|[a-e])?) ", page, re.MULTILINE))


def cited(text: str) -> set[str]:
    """Sections of the method page that a text cites."""
    return {number.rstrip(".") for pair in CITED.findall(text) for number in pair if number}


def test_citations_are_recognised() -> None:
    assert cited("as in docs/method.md, section 4b. (docs/method.md, sections 4b to 4d)") == {"4b", "4d"}
    assert cited("docs/method.md,\n    # section 7.4;") == {"7.4"}
    assert OLD.search("after METHO" + "D 7.4") and OLD.search("METHO" + "D 4 a-e")  # noqa: PT018
    assert sections("## 4 Instantiation\n### 4a Over\n### 7.10 Snapshots\n## Other\n") == {"4", "4a", "7.10"}


def test_every_cited_section_exists() -> None:
    known = sections(PAGE.read_text())
    assert {"1", "2", "3", "4", "4a", "4b", "4c", "4d", "4e", "5", "6", "7"} <= known
    wrong = {name: found - known for name, text in texts().items() if name != "test/docs/test_citations.py"
             for found in [cited(text)] if found - known}  # fmt: skip
    assert wrong == {}


def test_nothing_cites_a_page_that_is_not_here() -> None:
    assert [name for name, text in texts().items() if OLD.search(text)] == []
