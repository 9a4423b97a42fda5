"""Options that several commands take, and what they are turned into."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ig_ros.config import Config, build
from ig_ros.errors import ConfigError, StorageError

Scene = Annotated[
    str,
    typer.Argument(
        help="A recorded folder, a rosbag2 (.mcap, .db3) or a simulated scene: sim:tabletop, sim:room?seed=3"
    ),
]
SavedMap = Annotated[Path, typer.Argument(metavar="MAP", help="What `ig map --out` or the node's save_map wrote")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Any parameter, e.g. --set training.seed=3 (repeatable)")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file of parameters, plain or as for the node")]
Segmenter = Annotated[str | None, typer.Option(help="Masks for frames without any: none, geometric, sam or sam2")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON on stdout instead of a table")]


def read_config(path: Path | None, overrides: list[str] | None, extra: dict[str, Any]) -> Config:
    """Defaults, then the file, then --set, then the command's own options. Raises ConfigError."""
    import yaml

    from ig_ros.config import read_yaml

    values = read_yaml(path) if path else {}
    for item in overrides or []:
        key, equals, text = item.partition("=")
        if not equals:
            raise ConfigError(f"--set wants name=value, got {item!r}")
        values[key] = yaml.safe_load(text)
    config: Config = build(Config, {**values, **extra})
    return config


def make_folder(path: Path) -> None:
    """Create a folder for results. Raises StorageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {path}: {error.strerror or error}: choose another --out") from error


def map_home(directory: Path) -> Path:
    """The map itself: the folder, or `map` inside what `ig map --out` wrote."""
    from ig_ros.storage import MANIFEST

    return directory if (directory / MANIFEST).exists() else directory / "map"
