"""Directories and files that appear whole or not at all: written beside, put on the disk, and renamed into place."""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's renameat2


@contextmanager
def atomic_directory(target: Path, mark: str) -> Iterator[Path]:
    """An empty directory to write to, which takes the place of `target` in the end; not where anything is raised.

    `mark` is a file that every whole directory of this kind has. Raises OSError.
    """
    recover(target, mark)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.{os.getpid()}.", dir=target.parent))
    try:
        yield scratch
        _settle(scratch)
        _swap(scratch, target)
        _sync(target.parent)
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


def _settle(scratch: Path) -> None:
    """Have all of a directory on the disk: a name may survive a power failure that its content does not."""
    for path in [*scratch.rglob("*"), scratch]:
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swap(scratch: Path, target: Path) -> None:
    """Put scratch in target's place, at one blow: whoever is killed leaves the old one or the new one there."""
    if not target.exists():
        os.rename(scratch, target)
    elif _exchange(scratch, target):
        shutil.rmtree(scratch)
    else:  # a file system that cannot exchange: the old one steps aside, where `recover` finds it
        old = _old(target)
        shutil.rmtree(old, ignore_errors=True)
        os.rename(target, old)
        os.rename(scratch, target)
        shutil.rmtree(old)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two directories by Linux's renameat2; False where the kernel or the file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    done: int = rename(AT_FDCWD, os.fsencode(a.absolute()), AT_FDCWD, os.fsencode(b.absolute()), RENAME_EXCHANGE)
    return done == 0
