"""Parameter `viewer`: the node serves its map on a web page while it is configured."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from nodes.running import running

from ig_ros.errors import IgError

pytest.importorskip("viser", reason="viser is not installed: pip install viser")


def test_a_node_serves_its_map_until_it_ends(context: object) -> None:
    with running(context, viewer=True, viewer_port=0) as made:
        address = made.node.page.address
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.status == 200
            assert b"<html" in answer.read()
        taken = int(address.rsplit(":", 1)[1])
        with (
            pytest.raises(IgError, match=f"{taken}.*choose another port"),
            running(context, viewer=True, viewer_port=taken),
        ):
            pass
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=2)


def test_without_the_parameter_nothing_is_served(context: object) -> None:
    with running(context) as made:
        assert made.node.page is None
