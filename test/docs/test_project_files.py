"""Files a newcomer looks for: one version everywhere, a short README, a CI that runs what a developer runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert ElementTree.parse(ROOT / "package.xml").getroot().findtext("version") == version
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version


def test_the_readme_is_short_and_shows_what_it_is() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) < 900
    for part in ("](docs/demo.png)", "make demo", "make test", "ig query", "## Frames and units"):
        assert part in text


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_what_a_page_outside_the_site_links_to_is_there(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
    missing = [link for link in links if not link.startswith("http") and not (ROOT / link).is_file()]
    assert missing == []


def test_a_public_host_runs_the_same_checks_as_everybody() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    for template in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*_*.yml"):
        form = yaml.safe_load(template.read_text())
        assert form["name"]
        assert any(field.get("validations", {}).get("required") for field in form["body"]) or len(form["body"]) < 3
