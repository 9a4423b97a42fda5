"""Directories and files that appear whole or not at all: written beside, put on the disk, and renamed into place."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def atomic_directory(target: Path, mark: str) -> Iterator[Path]:
    """An empty directory to write to, which takes the place of `target` in the end; not where anything is raised.

    `mark` is a file that every whole directory of this kind has. Raises OSError.
    """
    recover(target, mark)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.{os.getpid()}.", dir=target.parent))
    try:
        yield scratch
        for path in [*scratch.rglob("*"), scratch]:  # a name may survive a power failure that its content does not
            _sync(path)
        _replace(target, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """A name with the same ending to write to, which becomes the file `target` in the end; not if anything is raised.

    Raises OSError.
    """
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    scratch = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        yield scratch
        _sync(scratch)
        os.replace(scratch, target)
        _sync(target.parent)
    finally:
        scratch.unlink(missing_ok=True)


def recover(target: Path, mark: str) -> None:
    """Put right what a process left that was killed while it wrote: its scratch goes, an older directory comes back.

    Raises OSError.
    """
    saving = False
    for scratch in target.parent.glob(f".{glob.escape(target.name)}.*.*"):
        owner = scratch.name.removeprefix(f".{target.name}.").split(".")[0]
        if owner.isdigit() and psutil.pid_exists(int(owner)):
            saving = saving or int(owner) != os.getpid()
        elif owner.isdigit():
            shutil.rmtree(scratch, ignore_errors=True)
    if not saving and not target.exists() and (_old(target) / mark).exists():
        os.rename(_old(target), target)  # killed between the two renames


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(target: Path, scratch: Path) -> None:
    """Puts scratch in target's place; the old one steps aside meanwhile, where `recover` finds it."""
    old = _old(target)
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.rename(target, old)
    os.rename(scratch, target)
    _sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)
