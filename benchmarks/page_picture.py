"""The pictures of the pages in docs/, made in a Chromium without a screen from a map that `ig map` left.

`python -m benchmarks.page_picture out/map docs` writes `report.png` (the report's upper half), `page.png` (the web
page as it opens) and `view.png` (asked, and an object clicked); with `--live sim:tabletop` instead `live.png` (a map
while it grows).
"""

from __future__ import annotations

import argparse
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright
from viser.transforms import SO3

from ig_ros.cli.app import read_config
from ig_ros.cli.view import mapping, saved
from ig_ros.types import FloatArray
from ig_ros.viewer import Page, view

WIDTH, HEIGHT = 1280, 720
REPORT = (1120, 1160)  # px
PATIENCE = 200_000  # ms: without a GPU a picture of this many Gaussians takes its time
SOFTWARE = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
COLORS = 256  # of a picture's palette: a page stays below 400 kB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map", type=Path)
    parser.add_argument("folder", type=Path, help="for the pictures")
    parser.add_argument("--ask", default="something to read")
    parser.add_argument("--click", default="cereal box", help="name of an object")
    parser.add_argument("--most", type=int, default=60_000, help="Gaussians drawn")
    parser.add_argument("--settle", type=int, default=25, help="s until the browser has drawn a change")
    parser.add_argument("--live", help="a scene, mapped for --live-seconds")
    parser.add_argument("--live-seconds", type=int, default=100)
    given = parser.parse_args()
    if given.live:
        picture_live(given)
    else:
        picture_report(given)
        picture_page(given)


def picture_report(given: argparse.Namespace) -> None:
    with browsing((given.map / "report.html").absolute().as_uri(), REPORT) as tab:
        shoot(tab, given.folder / "report.png")


def picture_page(given: argparse.Namespace) -> None:
    """As it opens; then asked and clicked."""
    with saved(given.map) as (source, _):
        page = view(source, port=0, most=given.most)
        with browsing(page.address) as tab:
            tab.get_by_text(" objects").first.wait_for()
            tab.locator("[role=alert] button").click()  # that there is no GPU here
            tab.wait_for_timeout(1000 * given.settle)
            shoot(tab, given.folder / "page.png")
            tab.locator("form input").fill(given.ask)
            tab.keyboard.press("Enter")
            tab.get_by_role("columnheader", name="score").wait_for()
            tab.wait_for_timeout(1000 * given.settle)
            thing = next(o for o in source.saved.instances.objects if o.label == given.click)
            tab.mouse.click(*pixel(page, thing.T_world_box[:3, 3]))
            tab.get_by_role("cell", name="confidence").wait_for()
            tab.wait_for_timeout(1000 * given.settle)
            shoot(tab, given.folder / "view.png")
            print(f"asked {given.ask!r}, found {sorted(page.found)}, clicked {page.selected}")
        page.stop()


def picture_live(given: argparse.Namespace) -> None:
    """A map that grows, and its curves."""
    with mapping(given.live, read_config(None, None, {}), 4.0, None) as (source, feed):
        page = view(source, port=0, most=given.most)
        with browsing(page.address) as tab:
            for _ in range(4 * given.live_seconds):
                feed()
            tab.locator("[role=alert] button").click()
            tab.get_by_text("Training", exact=True).scroll_into_view_if_needed()
            tab.get_by_text("Gaussians drawn per view", exact=True).first.scroll_into_view_if_needed()
            tab.wait_for_timeout(1000 * given.settle)
            shoot(tab, given.folder / "live.png")
        page.stop()


@contextmanager
def browsing(address: str, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Iterator[Tab]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=SOFTWARE)
        tab = browser.new_page(viewport={"width": size[0], "height": size[1]})
        tab.set_default_timeout(PATIENCE)
        tab.goto(address)
        yield tab
        browser.close()


def shoot(tab: Tab, path: Path) -> None:
    """The picture with a palette of its own."""
    picture = Image.open(io.BytesIO(tab.screenshot(timeout=PATIENCE))).convert("RGB")
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1000} kB", flush=True)


def pixel(page: Page, point: FloatArray) -> tuple[float, float]:
    """Where the page's only browser shows a point (3,) m, world."""
    camera = page.cameras()[0]
    x, y, z = SO3(camera.wxyz).inverse().apply(point - camera.position)
    focal = 0.5 * HEIGHT / np.tan(camera.fov / 2)
    return WIDTH / 2 + focal * x / z, HEIGHT / 2 + focal * y / z


if __name__ == "__main__":
    main()
