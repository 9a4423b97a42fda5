"""The report: one file that needs nothing else, and says what the run says."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import orbit, small_config

from ig_ros.config import Config, chosen, to_dict
from ig_ros.evaluation.held_out import HeldOutView, render_held_out
from ig_ros.evaluation.offline import Budget, map_dataset, score
from ig_ros.mapper import Mapper
from ig_ros.report import History, Report, write_report
from ig_ros.report.page import error_map
from ig_ros.report.thumbnails import EDGE, cut, cut_thumbnails
from ig_ros.types import Frame

STEPS = 30


class Recording(list[Frame]):
    name, truth = "two <cards>", None


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapper, History, list[HeldOutView], str]:
    """A small map with its history and its page."""
    frames = Recording(orbit(8))
    mapper = Mapper(small_config())
    history = History(mapper, [frames[7]])
    map_dataset(mapper, frames, range(7), Budget(steps=STEPS), history.note)  # type: ignore[arg-type]
    frozen = mapper.freeze()
    snapshot = mapper.instantiate(frozen)
    views = [render_held_out(mapper, frozen, snapshot, frames[7])]
    figures = score(mapper, frames, snapshot, {7: views[0]})  # type: ignore[arg-type]
    figures |= {"seconds": {"mapping": 3.0, "saving": 1.0}, "steps_per_second": 10.0, "interrupted": False}
    report = Report(frames.name, "ig map x", figures, history)
    path = write_report(tmp_path_factory.mktemp("report"), report, mapper, views)
    return mapper, history, views, path.read_text()


class Links(HTMLParser):
    """Everything a browser would fetch, and whether the elements close in order."""

    VOID = ("meta", "img", "br", "link", "input", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.links += [v or "" for n, v in attributes if n in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, _: str, attributes: list[tuple[str, str | None]]) -> None:
        self.links += [v or "" for n, v in attributes if n in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


Run = tuple[Mapper, History, list[HeldOutView], str]


def test_the_page_asks_nothing_of_anybody(run: Run) -> None:
    links = Links()
    links.feed(run[3])
    assert links.open == []
    assert links.scripts == 0
    assert links.links
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in links.links)
    assert "url(http" not in run[3]


def test_what_the_user_wrote_is_text_not_markup(run: Run) -> None:
    assert "two &lt;cards&gt;" in run[3]
    assert "two <cards>" not in run[3]


def test_every_object_is_listed_with_its_picture(run: Run) -> None:
    mapper, _, _, text = run
    assert mapper.latest is not None
    table = text[text.index('<table id="objects">') :]
    table = table[: table.index("</table>")]
    things = mapper.latest.instances.objects
    assert len(things) >= 2
    assert table.count("<tr>") == len(things) + 1
    assert table.count("<img") == len(things)
    assert all(thing.label in table for thing in things)


def test_the_curves_and_the_views_are_there(run: Run) -> None:
    _, history, views, text = run
    assert text.count("<svg") == 3
    assert f"{views[0].psnr:.1f} dB" in text
    pictures = re.findall(r'base64,([^"]+)" alt="frame 7"', text)
    assert len(pictures) == 4
    photograph = cv2.imdecode(np.frombuffer(base64.b64decode(pictures[0]), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(photograph.astype(int) - views[0].target).mean() < 6  # JPEG
    assert history.moments[0].step < history.moments[-1].step == STEPS


def test_the_history_watches_the_whole_run(run: Run) -> None:
    mapper, history, views, _ = run
    steps = [m.step for m in history.moments]
    assert steps == sorted(set(steps))
    assert history.moments[-1].anchors == len(mapper.scaffold.anchors)
    probes = history.probes
    assert probes[0].step <= 2
    assert probes[-1].step >= STEPS - 2
    assert probes[-1].psnr == pytest.approx(views[0].psnr, abs=0.3)
    assert probes[-1].psnr > probes[0].psnr
    assert mapper.latest is not None
    assert probes[-1].gaussians == pytest.approx(len(mapper.latest.xyz), rel=0.05)


def test_thumbnails_show_the_object(run: Run) -> None:
    mapper = run[0]
    assert mapper.latest is not None
    pictures = cut_thumbnails(mapper.latest, mapper.keyframes.items)
    by_name = {o.label: pictures[o.id] for o in mapper.latest.instances.objects if o.label}
    middle = slice(EDGE // 3, 2 * EDGE // 3)
    red, blue = (by_name[n][middle, middle].reshape(-1, 3).mean(0) for n in ("red card", "blue card"))
    assert red[0] > 2 * red[2]
    assert blue[2] > 2 * blue[0]


def test_a_thumbnail_is_centred_and_stays_in_the_picture() -> None:
    rgb = np.full((60, 80, 3), 200, np.uint8)
    own = np.zeros((60, 80), bool)
    own[20:30, 50:60] = True
    bright = (cut(rgb, own) > 190).all(axis=2)
    rows, cols = np.nonzero(bright)
    assert abs(rows.mean() - (EDGE - 1) / 2) < 1.5
    assert abs(cols.mean() - (EDGE - 1) / 2) < 1.5
    assert 0.3 < bright.mean() < 0.6
    whole = cut(rgb, np.ones((60, 80), bool))  # larger than the margin allows: all of the picture, once
    assert (whole > 190).all(axis=2).mean() == pytest.approx(60 / 80, abs=0.03)


def test_the_error_map_is_black_where_nothing_is_wrong() -> None:
    target = np.full((4, 4, 3), 100, np.uint8)
    rendered = target.copy()
    rendered[0, 0] += 100
    rendered[1, 1] += 20
    picture = error_map(HeldOutView(0, target, rendered, np.zeros((4, 4), np.uint16), 0.0, 0.0)).sum(axis=2)
    assert picture[3, 3] < 10
    assert picture[3, 3] < picture[1, 1] < picture[0, 0]


def test_only_parameters_that_were_changed_are_shown() -> None:
    assert chosen(to_dict(Config())) == {}
    given = to_dict(Config.from_dict({"training.seed": 9, "threads": 3}))
    assert chosen(given) == {"training.seed": 9, "threads": 3}


def test_a_run_that_never_trained_still_has_a_page(tmp_path: Path) -> None:
    mapper = Mapper(small_config())
    snapshot = mapper.instantiate()
    figures = score(mapper, Recording(), snapshot, {}) | {"seconds": {}, "steps_per_second": 0, "interrupted": True}  # type: ignore[arg-type]
    text = write_report(tmp_path, Report("x", "ig map x", figures, History(mapper, [])), mapper, []).read_text()
    assert "Not one training step" in text
    assert "Stopped by Ctrl-C" in text
    assert "No objects" in text


def test_a_map_that_trained_elsewhere_has_a_page_without_curves(run: Run, tmp_path: Path) -> None:
    mapper, _, views, _ = run
    figures = {"instances": 2, "keyframes": 7, "frames": 8, "steps": STEPS, "steps_per_second": 10.0}
    text = write_report(tmp_path, Report("elsewhere", "ig demo", figures), mapper, views).read_text()
    assert "<svg" not in text
    assert "Training" not in text
    assert "Views the map never saw" in text
    assert '<table id="objects">' in text
