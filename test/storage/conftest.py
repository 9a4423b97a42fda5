"""A small map, and the same on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from storage.maps import make

from ig_ros.map_io import save_map
from ig_ros.mapper import Mapper


@pytest.fixture(scope="session")
def mapper() -> Mapper:
    """A map that no test changes."""
    return make()


@pytest.fixture
def saved(mapper: Mapper, tmp_path: Path) -> Path:
    return save_map(mapper, tmp_path / "map")
