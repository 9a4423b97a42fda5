"""The curves of a map that grows, as a browser draws them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from viewer.browser import PATIENCE, open_tab, playwright, wait_until
from viewer.shelf import shelf

from ig_ros.live import LiveStats
from ig_ros.types import MapSnapshot, QueryResult
from ig_ros.viewer import view

COLORS = {
    "loss": (180, 83, 9),
    "PSNR of watched pictures (dB)": (29, 78, 216),
    "Gaussians drawn per view": (21, 128, 61),
}


class Growing:
    """A training that has come as far as `version` says, with figures made up by a formula."""

    title = "growing"

    def __init__(self) -> None:
        self.version = 1
        self._snapshots = {n: shelf(n) for n in range(1, 6)}

    def snapshot(self) -> MapSnapshot:
        return self._snapshots[self.version]

    def stats(self) -> LiveStats:
        return LiveStats(steps=10 * self.version, loss=1.0 / self.version, gaussians=1000 * self.version)

    def quality(self, snapshot: MapSnapshot) -> float:
        return 15.0 + 2.0 * snapshot.version

    def query(self, text: str, max_results: int) -> QueryResult:
        raise NotImplementedError


def drawn(tab: playwright.Page, place: int, color: tuple[int, int, int]) -> tuple[int, int]:
    """How many columns and rows of pixels of a chart have its line's colour."""
    shot = tab.locator(".uplot").nth(place).screenshot(timeout=PATIENCE * 1000)
    picture = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)
    own = np.abs(picture - color).max(axis=2) < 40
    return int(own.any(0).sum()), int(own.any(1).sum())


def test_every_curve_is_drawn_and_grows() -> None:
    source = Growing()
    page = view(source, port=0)
    try:
        with open_tab(page.address) as tab:
            tab.get_by_text("step 10").wait_for()
            for version in range(2, 6):
                source.version = version
                tab.get_by_text(f"step {10 * version}").wait_for()
            for place, (title, color) in enumerate(COLORS.items()):
                tab.get_by_text(title, exact=True).first.wait_for()
                wait_until(lambda p=place, c=color: min(drawn(tab, p, c)) > 40, f"a line across the chart of {title}")
    finally:
        page.stop()
