"""The entry point: every command module registers itself with the application, every expected error becomes one line.

Heavy imports happen inside the commands, after the process they depend on is prepared.
"""

from __future__ import annotations

import logging
import sys

import rich
from rich.markup import escape

# Importing them registers the commands.
from ig_ros.cli import bench, evaluation, export, mapping, ros, saved_maps, view  # noqa: F401
from ig_ros.cli.app import Exit, app, console
from ig_ros.errors import IgError
from ig_ros.nodes.process import prepare_process


def main() -> None:
    """Run the command line; ends the process with one of the codes of `Exit`."""
    prepare_process()  # before torch and rclpy are imported
    rich.reconfigure(quiet=True)  # the console of libraries that print by themselves (viser), not ours
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except IgError as error:
        console.print(f"[red]ig:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(Exit.ERROR)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
