"""`ig weights fetch` against a server of this process: interrupted, resumed, wrong, and without network."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ig_ros import weights
from ig_ros.cli.app import app
from ig_ros.errors import DownloadError
from ig_ros.registries import ENCODERS, SEGMENTERS
from ig_ros.weights import WEIGHTS, Weights, fetch, find_weights

CONTENT = bytes(range(256)) * 12000  # 3 MB: several chunks


class Server(BaseHTTPRequestHandler):
    """Gives ranges, and breaks off after `breaks` bytes once."""

    breaks: int | None = None
    asked: list[str | None] = []  # noqa: RUF012
    ranges = True

    def do_GET(self) -> None:
        begin = self.headers.get("Range")
        type(self).asked.append(begin)
        start = int(begin.removeprefix("bytes=").rstrip("-")) if begin and self.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        stop = self.breaks if self.breaks is not None else len(CONTENT)
        type(self).breaks = None
        self.wfile.write(CONTENT[start:stop])

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def url() -> Iterator[str]:
    Server.breaks, Server.asked, Server.ranges = None, [], True
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/some.pt"
    server.shutdown()
    server.server_close()


def some(url: str, sha256: str = "", size: int = 0) -> Weights:
    return Weights("some", "segmenter sam", 3, "MIT", url, "segmentation.sam_checkpoint", size, sha256)


def test_what_broke_off_is_gone_on_with(url: str, tmp_path: Path) -> None:
    good = some(url, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    Server.breaks = 2_000_000
    seen: list[tuple[int, int]] = []
    with pytest.raises(DownloadError, match="broke off after 2000000 of 3072000 bytes: run the same command"):
        fetch(good, tmp_path, lambda had, total: seen.append((had, total)))
    path = fetch(good, tmp_path, lambda had, total: seen.append((had, total)))
    assert path.read_bytes() == CONTENT
    assert Server.asked == [None, "bytes=2000000-"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["some.pt"]
    fetch(good, tmp_path, lambda *_: None)
    assert len(Server.asked) == 2  # it is there


def test_a_server_without_ranges_begins_anew(url: str, tmp_path: Path) -> None:
    (tmp_path / "some.pt.part").write_bytes(b"old")
    Server.ranges = False
    assert fetch(some(url), tmp_path, lambda *_: None).read_bytes() == CONTENT


def test_a_download_that_was_whole_already_is_taken(url: str, tmp_path: Path) -> None:
    (tmp_path / "some.pt.part").write_bytes(CONTENT)
    assert fetch(some(url), tmp_path, lambda *_: None).read_bytes() == CONTENT


@pytest.mark.field("wrong", "weights with another checksum or size than published", "refused, the file removed")
@pytest.mark.parametrize(("sha256", "size"), [("0" * 64, 0), ("", 5)])
def test_wrong_files_are_removed(url: str, tmp_path: Path, sha256: str, size: int) -> None:
    with pytest.raises(DownloadError, match="it is not the file"):
        fetch(some(url, sha256, size), tmp_path, lambda *_: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.field("missing", "ig weights fetch without network", "one line with the URL and what to do")
def test_without_network_a_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "WEIGHTS", (some("http://127.0.0.1:9/some.pt"),))
    result = CliRunner().invoke(app, ["weights", "fetch", "some", "--out", str(tmp_path)])
    assert "no connection to http://127.0.0.1:9/some.pt" in str(result.exception)
    with pytest.raises(DownloadError, match="choose one of some"):
        find_weights("other")


def test_every_segmenter_and_encoder_is_listed() -> None:
    result = CliRunner().invoke(app, ["weights", "--json"])
    listed = json.loads(result.stdout)
    assert {w["serves"].split()[1] for w in listed} == {*SEGMENTERS, *ENCODERS} - {"fused"}  # which needs both
    shown = CliRunner().invoke(app, ["weights"]).stdout
    assert all(w.url in shown and w.parameter in shown for w in WEIGHTS)
