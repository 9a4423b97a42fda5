"""The entry point: every command module registers itself with the application, every expected error becomes one line.

Heavy imports happen inside the commands, after the environment they depend on is set.
"""

from __future__ import annotations

import logging
import os
import sys

from rich.markup import escape

# Importing them registers the commands.
from ig_ros.cli import bench, evaluation, export, mapping, ros, saved_maps, view  # noqa: F401
from ig_ros.cli.app import Exit, app, console
from ig_ros.errors import IgError


def main() -> None:
    """Run the command line; ends the process with one of the codes of `Exit`."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: spinning threads starve the other processes
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except IgError as error:
        console.print(f"[red]ig:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(Exit.ERROR)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
