"""The data directory that a backup is restored into: ours alone, marked until it is whole, and empty before.

A mark says how far it is. `begun`: what is there is a part, and whoever restores again begins anew. `whole`: all is
there, and only the marks are still to be taken off.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onejob.backup.errors import TargetInUse
from onejob.store.lock import LOCK_FILE, lock_data_dir
from onejob.store.restoring import MARK_FILE

_BEGUN, _WHOLE = "begun\n", "whole\n"
# A lock that nobody holds, a mark that was not finished, and what a file system has at its top.
_NOBODYS = frozenset({LOCK_FILE, f"{MARK_FILE}.new", "lost+found"})


class Mark:
    """The file that says how far it is."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / MARK_FILE

    def is_there(self) -> bool:
        return self._path.exists()

    def is_whole(self) -> bool:
        return self.is_there() and self._path.read_text() == _WHOLE

    def begun(self) -> None:
        self._write(_BEGUN)

    def whole(self) -> None:
        """Everything is on disk before this says so."""
        os.sync()
        self._write(_WHOLE)

    def take_off(self) -> None:
        self._path.unlink()
        _sync(self._path.parent)

    def _write(self, text: str) -> None:
        new = self._path.with_name(f"{MARK_FILE}.new")
        with new.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        _sync(self._path.parent)


@contextmanager
def taken(data_dir: Path) -> Iterator[Mark]:
    """It has nothing in it, unless it is whole; empty again if what is done in it raises. Raises TargetInUse."""
    mark = Mark(data_dir)
    if data_dir.exists() and not mark.is_there() and _things_in(data_dir):
        raise TargetInUse(f"{data_dir} is not empty: name a folder that is, or move away what is in it.")
    lock = lock_data_dir(data_dir)
    try:
        if not mark.is_whole():
            mark.begun()
            _empty(data_dir)
        yield mark
        mark.take_off()
    except BaseException:
        if not mark.is_whole():
            _empty(data_dir)
            mark.take_off()
        raise
    finally:
        lock.release()


def _things_in(data_dir: Path) -> list[Path]:
    if not data_dir.is_dir():
        raise TargetInUse(f"{data_dir} is no folder: name one.")
    return [path for path in sorted(data_dir.iterdir()) if path.name not in _NOBODYS]


def _empty(data_dir: Path) -> None:
    for path in _things_in(data_dir):
        if path.name == MARK_FILE:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
