"""The page in a real browser without a screen: loaded, asked, clicked; what is on the screenshots is what it says."""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from viewer.browser import HEIGHT, PATIENCE, WIDTH, open_tab, playwright, wait_until
from viewer.shelf import CUBES, shelf

from ig_ros.colors import id_colors
from ig_ros.config import Config
from ig_ros.errors import IgError
from ig_ros.viewer import Page, SavedSource, view
from ig_ros.viewer.panel import describe

MAP_WIDTH = 490  # px left of the panel
PHASE, OPACITY = 1, 2  # of the panel's text fields, the question's being the first


@pytest.fixture(scope="module")
def served() -> Iterator[Page]:
    page = view(SavedSource("shelf", shelf(), None, Config()), port=0)
    yield page
    page.stop()


@pytest.fixture(scope="module")
def tab(served: Page) -> Iterator[playwright.Page]:
    with open_tab(served.address) as tab:
        yield tab


def picture(tab: playwright.Page) -> np.ndarray:
    """(HEIGHT, MAP_WIDTH, 3) of what is left of the panel."""
    shot = Image.open(io.BytesIO(tab.screenshot(timeout=PATIENCE * 1000))).convert("RGB")
    return np.asarray(shot).astype(int)[:, :MAP_WIDTH]


def middle(tab: playwright.Page) -> np.ndarray:
    """(3,) mean colour where the camera looks."""
    y, x = HEIGHT // 2, WIDTH // 2
    return picture(tab)[y - 4 : y + 5, x - 4 : x + 5].mean(axis=(0, 1))


def steady(tab: playwright.Page) -> np.ndarray:
    """The picture, once it has not changed for two seconds."""
    shots = [picture(tab)]

    def same() -> bool:
        time.sleep(2.0)
        shots.append(picture(tab))
        return int(np.abs(shots[-1] - shots[-2]).max()) < 10

    wait_until(same, "a picture that stays")
    return shots[-1]


def blue(image: np.ndarray) -> int:
    """Pixels in which the book's colour is seen."""
    return int((image[..., 2] - image[..., 0] > 60).sum())


def is_red(color: np.ndarray) -> bool:
    return bool(color[0] > color[1] + 60 and color[0] > color[2] + 60)


def test_load_query_click(served: Page, tab: playwright.Page) -> None:
    tab.get_by_text("4 objects").wait_for()
    for name in ("book #1", "mug #2", "plant #3", "floor #4"):
        assert tab.get_by_role("listitem").get_by_text(name, exact=True).count() == 1
    wait_until(lambda: is_red(middle(tab)), "the red mug in the middle of the picture")
    wait_until(lambda: blue(picture(tab)) > 1000, "the blue book beside it")

    tab.locator("form input").fill("book")
    tab.keyboard.press("Enter")
    tab.get_by_role("cell", name="book #1").wait_for()
    assert tab.get_by_role("cell", name="1.00").count() == 1, "its score"
    assert served.found == {1}
    wait_until(lambda: np.ptp(middle(tab)) < 40, "the mug, which does not answer, turned pale")
    assert blue(picture(tab)) < 200, "the book glows yellow"

    tab.mouse.click(WIDTH / 2, HEIGHT / 2)
    tab.get_by_role("cell", name="0.24 x 0.24 x 0.24 m").wait_for()
    tab.get_by_role("cell", name="0.00, 0.00, 0.12 m").wait_for()
    assert served.selected == 2
    wait_until(lambda: np.ptp(middle(tab)) > 80, "the mug lights up")


def test_sliders_and_clear(served: Page, tab: playwright.Page) -> None:
    tab.get_by_role("button", name="Clear").click()
    tab.get_by_text("Click an object in the map.").wait_for()
    wait_until(lambda: (served.found, served.selected) == (frozenset(), 0), "nothing lit")
    tab.get_by_role("textbox").nth(PHASE).fill("1")
    own = id_colors(np.array(2)).astype(int)
    wait_until(lambda: np.abs(middle(tab) - own).max() < 60, "the mug in the colour of its id")


def test_opacity_lets_the_eye_through(served: Page, tab: playwright.Page) -> None:
    before = middle(tab)
    slider = tab.get_by_role("textbox").nth(OPACITY)
    slider.fill("0.05")
    wait_until(lambda: middle(tab).min() > before.min() + 60, "the background behind the mug")
    slider.fill("1")
    wait_until(lambda: np.abs(middle(tab) - before).max() < 30, "the mug as it was")


@pytest.mark.parametrize("switch", [0, 1], ids=["Boxes", "Names"])
def test_boxes_and_names_are_switched_off_and_on(served: Page, tab: playwright.Page, switch: int) -> None:
    tab.get_by_role("textbox").nth(PHASE).fill("0")  # boxes have the colours of the ids, and stand out from photographs
    photographed = np.array(CUBES[2][2])
    wait_until(lambda: np.abs(middle(tab) - photographed).max() < 60, "the mug as photographed")
    before, box = steady(tab), tab.get_by_role("checkbox").nth(switch)

    def changed() -> int:
        return int((np.abs(picture(tab) - before).max(axis=2) > 40).sum())

    box.uncheck()
    wait_until(lambda: changed() > 150, "lines or letters gone")
    steady(tab)
    gone = changed()
    box.check()
    wait_until(
        lambda: changed() < gone / 2, "lines or letters back; a name may be drawn half a pixel beside where it was"
    )


def test_what_is_not_there_is_said(served: Page, tab: playwright.Page) -> None:
    tab.locator("form input").fill("submarine")
    tab.keyboard.press("Enter")
    tab.get_by_text("nothing here fits 'submarine'").wait_for()
    assert served.found == frozenset()


def test_a_port_that_is_taken_is_refused_by_name(served: Page) -> None:
    port = int(served.address.rsplit(":", 1)[1])
    with pytest.raises(IgError, match=f"{port}.*choose another port"):
        view(SavedSource("shelf", shelf(), None, Config()), port=port)


def test_names_and_queries_never_become_markup() -> None:
    thing = dataclasses.replace(shelf().instances.objects[0], label="<img src=x> [click](http://x) **mug**\n# big")
    shown = describe(thing)
    assert "<img" not in shown
    assert "\\[click\\]" in shown
    assert "\\*\\*mug\\*\\* \\# big" in shown
