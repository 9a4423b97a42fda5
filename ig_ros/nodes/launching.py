"""What the launch files share. They import it inside a ROS installation; it needs nothing of `launch` itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def config_parts(named: Any, share: Path) -> list[Any]:
    """Parts of the Python expression (see PythonExpression) for the file that `config:=` means.

    A word is a file of ours: `zed`; what has a dot or a slash is a path. `named` is the substitution of the argument.
    """
    folder = f"{share / 'config'}/"
    return ["'", named, "' if '/' in '", named, "' or '.' in '", named, f"' else '{folder}' + '", named, "' + '.yaml'"]
