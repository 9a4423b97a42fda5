"""What all commands share: the Typer application, consoles, exit codes, options and Ctrl-C."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer
from rich.console import Console

from ig_ros.config import Config, build
from ig_ros.errors import ConfigError, StorageError
from ig_ros.registries import SEGMENTERS


class Exit(IntEnum):
    """How a command ends; scripts may rely on it."""

    OK = 0
    NO = 1  # it ran, and the answer is no: nothing found, a goal missed
    ERROR = 2  # a mistake in what was asked or read; one line on stderr says which
    INTERRUPTED = 130  # Ctrl-C; what was there has been saved


EPILOG = (
    "Exit codes: 0 done; 1 it ran and the answer is no (nothing found, a goal missed); 2 a mistake, named in one line; "
    "130 interrupted by Ctrl-C."
)

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=EPILOG,
)


def show_version(wanted: bool) -> None:
    """Prints the version and ends the command."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ig_ros {version('ig_ros')}")
        raise typer.Exit(Exit.OK)


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Online open-vocabulary 3D instance mapping."""


ROOM = 200 << 20  # bytes free that a map of a room with its pictures may take
console = Console(stderr=True)  # progress and complaints; results go to stdout


def examples(*lines: str) -> str:
    """The end of a command's help: lines a reader can type."""
    return "\n\n".join(["[bold]Examples[/bold]", *lines])


def print_json(value: Any) -> None:
    """One line of JSON on stdout, for scripts."""
    typer.echo(json.dumps(value))


class StopSign:
    """A context in which the first Ctrl-C only raises a flag; the second one ends the command at once."""

    def __init__(self) -> None:
        self.raised = False
        self._before: Any = signal.SIG_DFL

    def __call__(self) -> bool:
        """Whether the user wants to stop."""
        return self.raised

    def __enter__(self) -> StopSign:
        self._before = signal.signal(signal.SIGINT, lambda *_: self._stop())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _stop(self) -> None:
        if self.raised:
            raise KeyboardInterrupt
        self.raised = True
        console.print("[yellow]stopping: what is there will be saved (Ctrl-C again to lose it)[/yellow]")


SceneArgument = Annotated[
    str,
    typer.Argument(
        help="A recorded folder, a bag (.mcap, .db3, .bag) or a simulated scene: sim:tabletop, sim:room?seed=3"
    ),
]
SavedMap = Annotated[Path, typer.Argument(metavar="MAP", help="What `ig map --out` or the node's save_map wrote")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Any parameter, e.g. --set training.seed=3 (repeatable)")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file of parameters, plain or as for the node")]
Segmenter = Annotated[str | None, typer.Option(help=f"Masks for frames without any: none, {', '.join(SEGMENTERS)}")]
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
    """Create a folder for results and try to write there. Raises StorageError, also where hardly any room is left."""
    try:
        if path.exists() and not path.is_dir():
            raise StorageError(f"cannot write to {path}: it is a file: choose another --out")
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"room")
        free = shutil.disk_usage(path).free
    except OSError as error:
        raise StorageError(f"cannot write to {path}: {error.strerror or error}: choose another --out") from error
    if free < ROOM:
        text = f"{free >> 20} MiB are free there, a map needs some {ROOM >> 20}: make room or choose another --out"
        raise StorageError(f"cannot write to {path}: {text}")


def map_home(directory: Path) -> Path:
    """The map itself: the folder, or `map` inside what `ig map --out` wrote."""
    from ig_ros.map_io import MANIFEST

    if not directory.exists():
        raise StorageError(f"no such folder: {directory}")
    inner = directory / "map"
    return inner if not (directory / MANIFEST).exists() and (inner / MANIFEST).exists() else directory
