"""`ig bench`: the benchmarks of the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, TextIO

import typer

from ig_ros.cli.app import AsJson, Exit, app, examples, print_json
from ig_ros.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]  # of the checkout, where this package is not installed elsewhere


class Benchmark(str, Enum):
    """What can be measured; each is a package below benchmarks/."""

    BENCH = "bench"
    QUALITY = "quality"
    LANGUAGE = "language"
    SOAK = "soak"


EXAMPLES = examples(
    "ig bench bench --quick",
    "ig bench quality --resume",
    "Arguments after the name go to the benchmark. Its exit code is handed on: 1 = a goal was missed.",
)


@app.command("bench", epilog=EXAMPLES, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench_command(
    context: typer.Context,
    name: Annotated[
        Benchmark, typer.Argument(help="bench: speed; quality: the papers' tables; language: words; soak: faults")
    ] = Benchmark.BENCH,
    as_json: AsJson = False,
) -> None:
    """Run one of the benchmarks of a checkout of the repository: speed, quality, language or faults.

    With --json what the benchmark prints goes to stderr, and its figures (out/NAME.json) to stdout at the end.
    """
    if not (ROOT / "benchmarks" / name.value / "__main__.py").is_file():
        raise ConfigError(f"there is no benchmarks/{name.value} in {ROOT}: benchmarks run from a checkout only")
    command = [sys.executable, "-m", f"benchmarks.{name.value}", *context.args]
    if not as_json:
        raise typer.Exit(run(command))
    result = ROOT / "out" / f"{name.value}.json"
    before = result.stat().st_mtime_ns if result.is_file() else 0
    code = run(command, sys.stderr)
    if result.is_file() and result.stat().st_mtime_ns != before:
        print_json(json.loads(result.read_text()))
    elif code == Exit.OK:
        raise ConfigError(f"{name.value} left no {result}: run it without --json to see what it says")
    raise typer.Exit(code)


def run(command: list[str], output: TextIO | None = None) -> int:
    """The benchmark's exit code. Ctrl-C reaches it as well: it is given the time to keep what it has."""
    with subprocess.Popen(command, cwd=ROOT, stdout=output) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            code = process.wait()
    return Exit.INTERRUPTED if code < 0 else code
