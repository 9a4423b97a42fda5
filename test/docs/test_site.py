"""The documentation builds without a warning, and its generated page is current."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "start.html").is_file()


def test_the_interfaces_page_is_current() -> None:
    command = [sys.executable, "scripts/interfaces_page.py"]
    page = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert page == (ROOT / "docs" / "interfaces.md").read_text(), (
        "python scripts/interfaces_page.py > docs/interfaces.md"
    )
    for definition in [*ROOT.glob("msg/*.msg"), *ROOT.glob("srv/*.srv")]:
        names = re.findall(r"^[\w/\[\]<=]+\s+(\w+)\s*(?:#|$)", definition.read_text(), re.MULTILINE)
        assert names
        assert f"### {definition.stem}" in page
        assert all(f"| `{name}` |" in page for name in names), definition.name


def test_parameters_named_in_the_pages_exist() -> None:
    known = set(re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs" / "interfaces.md").read_text(), re.MULTILINE))
    groups = {name.split(".")[0] for name in known if "." in name}
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        text = page.read_text()
        named = set(re.findall(r"`(\w+\.\w+)`", text)) | set(re.findall(r"--set (\w+\.\w+)=", text))
        files = {name for name in named if name.endswith((".py", ".json", ".md", ".txt"))}
        wrong = {name for name in named - files if name.split(".")[0] in groups} - known
        assert not wrong, f"{page.name} names parameters that do not exist: {sorted(wrong)}"


def test_every_page_is_in_the_navigation_and_every_picture_exists() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    assert yaml.safe_load(text)["theme"]["name"] == "material"
    for page in ROOT.glob("docs/*.md"):
        assert page.name in text, f"{page.name} is in no menu: add it to nav in mkdocs.yml"
