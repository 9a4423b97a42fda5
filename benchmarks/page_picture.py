"""The picture of the web page in the docs: a map is served, asked and clicked in a Chromium without a screen.

`python -m benchmarks.page_picture out/map docs/view.png --ask "something to read" --click "cereal box"`
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright
from viser.transforms import SO3

from ig_ros.cli.view import saved
from ig_ros.types import FloatArray
from ig_ros.viewer import Page, view

WIDTH, HEIGHT = 1280, 720
PATIENCE = 200_000  # ms: without a GPU a picture of this many Gaussians takes its time
SOFTWARE = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--ask", default="something to read")
    parser.add_argument("--click", default="cereal box", help="name of an object")
    parser.add_argument("--most", type=int, default=60_000)
    parser.add_argument("--settle", type=int, default=25, help="s until the browser has drawn a change")
    given = parser.parse_args()
    with saved(given.map) as (source, _), sync_playwright() as driver:
        page = view(source, port=0, most=given.most)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=SOFTWARE)
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.set_default_timeout(PATIENCE)
        tab.goto(page.address)
        tab.get_by_text(" objects").first.wait_for()
        tab.locator("[role=alert] button").click()  # that there is no GPU here
        tab.locator("form input").fill(given.ask)
        tab.keyboard.press("Enter")
        tab.get_by_role("columnheader", name="score").wait_for()
        tab.wait_for_timeout(1000 * given.settle)
        thing = next(o for o in source.saved.instances.objects if o.label == given.click)
        tab.mouse.click(*pixel(page, thing.T_world_box[:3, 3]))
        tab.get_by_role("cell", name="confidence").wait_for()
        tab.wait_for_timeout(1000 * given.settle)
        tab.screenshot(path=given.picture, timeout=PATIENCE)
        print(f"{given.picture}: asked {given.ask!r}, found {sorted(page.found)}, clicked {page.selected}")
        browser.close()
        page.stop()


def pixel(page: Page, point: FloatArray) -> tuple[float, float]:
    """Where the page's only browser shows a point (3,) m, world."""
    camera = page.cameras()[0]
    x, y, z = SO3(camera.wxyz).inverse().apply(point - camera.position)
    focal = 0.5 * HEIGHT / np.tan(camera.fov / 2)
    return WIDTH / 2 + focal * x / z, HEIGHT / 2 + focal * y / z


if __name__ == "__main__":
    main()
