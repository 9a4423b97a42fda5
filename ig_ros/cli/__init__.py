"""The `ig` command: one module per command, `entry` runs them."""

from ig_ros.cli.entry import main

__all__ = ["main"]
