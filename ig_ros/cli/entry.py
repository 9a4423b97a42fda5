"""The entry point: every command module registers itself with the application, every expected error becomes one line.

Heavy imports happen inside the commands, after the process they depend on is prepared.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import NoReturn

import rich
from rich.markup import escape

# Importing them registers the commands.
from ig_ros.cli import bench, evaluation, export, gpu, mapping, ros, saved_maps, view, weights  # noqa: F401
from ig_ros.cli.app import Exit, app, console
from ig_ros.errors import IgError
from ig_ros.nodes.process import prepare_process

ROS = re.compile(r"rclpy|ament_index_python|ig_ros\.(msg|srv)|\w+_(msgs|srvs)")  # modules of the extra `ros`


def main() -> None:
    """Runs the command line; ends the process with one of the codes of `Exit`."""
    prepare_process()  # before torch and rclpy are imported
    rich.reconfigure(quiet=True)  # the console of libraries that print by themselves (viser), not ours
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except IgError as error:
        fail(str(error))
    except ModuleNotFoundError as error:
        if not ROS.match(error.name or ""):
            raise
        fail(f"this needs ROS 2, of which {error.name} is missing: source a ROS 2, or pip install 'ig_ros[ros]'")
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)


def fail(reason: str) -> NoReturn:
    """Ends the process with a line on stderr."""
    console.print(f"[red]ig:[/red] {escape(reason)}", highlight=False, soft_wrap=True)
    sys.exit(Exit.ERROR)
