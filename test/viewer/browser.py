"""A Chromium without a screen or a GPU."""

from __future__ import annotations

import importlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

# With CI set a test never steps aside: what it needs is installed there, and is missed loudly where it is not.
playwright = (importlib.import_module if os.environ.get("CI") else pytest.importorskip)("playwright.sync_api")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SOFTWARE = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
WIDTH, HEIGHT = 900, 420
PATIENCE = 60.0  # s; a software renderer on a busy core


def find_browser() -> str:
    """Where the browser is; the running test is skipped where there is none, with CI set it fails."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium here: apt-get install -y chromium")
    return found


@contextmanager
def open_tab(address: str) -> Iterator[playwright.Page]:
    """The page at an address, which must fetch nothing from other servers: a robot may have no internet."""
    own = (address, address.replace("http", "ws", 1), "data:", "blob:")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_browser(), args=SOFTWARE)
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.set_default_timeout(PATIENCE * 1000)
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(address)
        yield tab
        assert asked
        assert [url for url in asked if not url.startswith(own)] == []
        browser.close()


def wait_until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.2)
