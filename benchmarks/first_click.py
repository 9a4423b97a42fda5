"""The time from a clone to the first clicked object, as docs/start.md walks it: `python -m benchmarks.first_click`.

Clones this checkout (what is committed), makes `.venv` there, maps the table, serves the map and clicks its middle in a
Chromium without a screen until the page names an object. Prints the seconds of every step; status 1 when all of them
together exceed ten minutes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

from benchmarks.page_picture import HEIGHT, PATIENCE, SOFTWARE, WIDTH

ROOT = Path(__file__).resolve().parents[1]
GOAL = 600.0  # s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="clone to here and keep it; default: a folder that is removed")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="ig_first_click_"))
    try:
        total = sum(measure(name, step, folder) for name, step in STEPS.items())
    finally:
        if given.folder is None:
            shutil.rmtree(folder)
    print(f"{'all together':24} {total:6.0f} s on {os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}")
    sys.exit(total > GOAL)


def measure(name: str, step: Callable[[Path], None], folder: Path) -> float:
    """Seconds a step takes; raises CalledProcessError where it fails."""
    begin = time.monotonic()
    step(folder)
    seconds = time.monotonic() - begin
    print(f"{name:24} {seconds:6.0f} s", flush=True)
    return seconds


def clone(folder: Path) -> None:
    subprocess.run(["git", "clone", "-q", ROOT, folder / "ig_ros"], check=True)


def build(folder: Path) -> None:
    subprocess.run(["make", "build"], cwd=folder / "ig_ros", env=clean_environment(), check=True)


def map_table(folder: Path) -> None:
    command = [".venv/bin/ig", "map", "sim:tabletop", "--out", "out/map", "--seconds", "120"]
    with (folder / "map.txt").open("w") as output:
        subprocess.run(command, cwd=folder / "ig_ros", env=clean_environment(), stdout=output, check=True)


def click(folder: Path) -> None:
    command = [".venv/bin/ig", "view", "out/map", "--port", "0", "--most", "60000"]
    place, env = folder / "ig_ros", clean_environment()
    with subprocess.Popen(command, cwd=place, env=env, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said = re.search(r"http://\S+", server.stderr.readline())
        assert said is not None, "ig view names no address"
        try:
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=SOFTWARE)
                click_until_named(browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}), said[0])
                browser.close()
        finally:
            server.terminate()


def click_until_named(tab: Tab, address: str) -> None:
    """Open the page and click the middle of the map until something is selected."""
    tab.set_default_timeout(PATIENCE)
    tab.goto(address)
    tab.get_by_text(" objects").first.wait_for()
    named = tab.get_by_role("cell", name="confidence")
    for _ in range(PATIENCE // 2000):
        tab.mouse.click(WIDTH / 2, HEIGHT / 2)
        tab.wait_for_timeout(2000)
        if named.count():
            return
    raise SystemExit("no click has named an object")


def clean_environment() -> dict[str, str]:
    """Without what would make the clone's command find this checkout."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


STEPS = {
    "git clone": clone,
    "make build": build,
    "ig map": map_table,
    "ig view, first click": click,
}

if __name__ == "__main__":
    main()
