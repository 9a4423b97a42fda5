"""A map's name from the network is a place inside the directory of maps, and none that saving uses itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from ig_ros.errors import StorageError
from ig_ros.nodes.map_services import map_path


@pytest.mark.parametrize("name", ["kitchen", "floor 2/kitchen", "kitchen.v2", "a/../kitchen"])
def test_plain_names_are_places_inside(tmp_path: Path, name: str) -> None:
    assert map_path(str(tmp_path), name).is_relative_to(tmp_path.resolve())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        (" ", "empty"),
        (".", "empty"),
        ("..", "outside"),
        ("../kitchen", "outside"),
        ("/etc", "outside"),
        (".kitchen.old", "dot"),
        (".kitchen.12.abc/x", "dot"),
        ("floor/.hidden", "dot"),
    ],
)
def test_others_are_refused_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(StorageError, match=reason):
        map_path(str(tmp_path), name)
