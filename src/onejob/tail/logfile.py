"""A log file that is written, rotated and truncated while it is read.

    access.log.1  |=== read ===|== still to read ==|      the server writes here until it opens its log again
    access.log    |== read later ==|~half a line~         what has no end yet waits

Where reading stopped is known by the position and by the first bytes of the file: names and inodes change hands when a
log is rotated or copied, its beginning does not.
"""

import gzip
import hashlib
import os
import re
import stat
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from onejob.tail.errors import SourceError
from onejob.tail.lines import LONGEST_LINE, Lines

_CHUNK = 256 * 2**10
_HEAD = 256
_GRACE_S = 30.0  # servers write into a renamed log until they are told of it
_ROTATED = re.compile(r"[.-]\d[\dT.:_-]*(?:\.gz)?")  # behind the name
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a file was read: `offset` bytes. `head` is a digest of its first bytes, up to 256 and the offset."""

    inode: int
    offset: int
    head: str


class _Open:
    """A file that is read from `offset` on; behind the last line that was handed out."""

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self._file = file
        self.inode = os.fstat(file.fileno()).st_ino
        self.offset = offset
        self.left_at: float | None = None  # since when the name means another file
        self._lines = Lines()
        self._ready: deque[tuple[bytes, int]] = deque()
        self._begins = _first(file, offset)  # as it was when it was read: what is there may be another log by now
        file.seek(offset)

    def lines(self, most: int) -> list[bytes]:
        """Whole lines only."""
        self._restart_if_emptied()
        while len(self._ready) < most and (chunk := self._file.read(_CHUNK)):
            self._ready.extend(self._lines.add(chunk))
            self._begins += chunk[: _HEAD - len(self._begins)]
        found: list[bytes] = []
        while self._ready and len(found) < most:
            line, size = self._ready.popleft()
            self.offset += size
            found.append(line)
        return found

    def last(self) -> list[bytes]:
        """A line without an end, of a file that nobody writes to any more."""
        self._ready.extend(self._lines.last())
        return self.lines(1)

    def mark(self) -> Mark:
        return Mark(inode=self.inode, offset=self.offset, head=_digest(self._begins[: self.offset]))

    def close(self) -> None:
        self._file.close()

    def _restart_if_emptied(self) -> None:
        """What is in a file that was cut (`copytruncate`) is read from its beginning, even if it is longer by now."""
        if isinstance(self._file, gzip.GzipFile):
            return
        descriptor = self._file.fileno()
        is_whole = os.fstat(descriptor).st_size >= self._file.tell()
        if is_whole and os.pread(descriptor, len(self._begins), 0) == self._begins:
            return
        self._file.seek(0)
        self.offset, self._lines, self._begins = 0, Lines(), b""
        self._ready.clear()


class LogFile:
    """Lines of what `path` names, and of what it named before. `marks` say how far they were read.

    With None it begins at the end, or at the beginning if `from_start`; without a mark, because there was no file yet,
    at the beginning. SourceError if it cannot be read.
    """

    def __init__(self, path: Path, marks: tuple[Mark, ...] | None = None, *, from_start: bool = False) -> None:
        self._path = path
        self._files: list[_Open] = []
        self.is_lost = False  # was it rotated out of sight before it was read to its end?
        for mark in marks or ():
            self._resume(mark, is_last=mark is (marks or ())[-1])
        if marks is None and (file := opened(path)):
            self._add(file, 0 if from_start else _end(file))

    def lines(self, most: int) -> list[bytes]:
        """Those that are there now, at most so many, the oldest first."""
        self._follow()
        found: list[bytes] = []
        for file in tuple(self._files):
            found += file.lines(most - len(found))
            if len(found) >= most:
                break
            if file.left_at is not None and time.monotonic() - file.left_at >= _GRACE_S:
                found += file.last()
                file.close()
                self._files.remove(file)
        return found

    def marks(self) -> tuple[Mark, ...]:
        """Of all files that may still be written to, the oldest first."""
        return tuple(file.mark() for file in self._files)

    def close(self) -> None:
        for file in self._files:
            file.close()

    def _resume(self, mark: Mark, *, is_last: bool) -> None:
        found = self._found(mark)
        if found is None:
            self.is_lost = self.is_lost or mark.offset > 0
            return
        place, file = found
        self._add(file, mark.offset)
        if is_last:
            self._add_those_after(place)

    def _found(self, mark: Mark) -> tuple[Path, BinaryIO] | None:
        """The marked file, under whatever name."""
        # Inodes are used again, and logs may begin alike: both together are the best there is.
        for place in sorted((self._path, *self._rotated()), key=lambda place: _inode(place) != mark.inode):
            file = opened(place)
            if file is None:
                continue
            if _is_same(file, mark):
                return place, file
            file.close()
        return None

    def _add_those_after(self, place: Path) -> None:
        """Files that came and were rotated away after the one at `place`, before anybody looked."""
        rotated = self._rotated()
        known = {file.inode for file in self._files}
        for newer in reversed(rotated[: rotated.index(place)] if place in rotated else []):
            file = opened(newer)
            if file is not None and os.fstat(file.fileno()).st_ino not in known:
                self._add(file, 0)

    def _rotated(self) -> list[Path]:
        """`access.log.1`, `access.log-20261126.gz`, the newest first."""
        name = self._path.name
        beside = [one for one in _entries(self._path.parent) if one.name.startswith(name)]
        rotated = [one for one in beside if _ROTATED.fullmatch(one.name[len(name) :]) and one.is_file()]
        return sorted(rotated, key=_changed_at, reverse=True)

    def _follow(self) -> None:
        """Does the name mean another file now? While a server is away, a log may be rotated more than once."""
        inode = _inode(self._path)
        if not inode or (self._files and self._files[-1].inode == inode):
            return
        if self._files and (found := self._found(self._files[-1].mark())) is not None:
            place, again = found
            again.close()
            self._add_those_after(place)
        if (file := opened(self._path)) is not None:
            self._add(file, 0)

    def _add(self, file: BinaryIO, offset: int) -> None:
        now = time.monotonic()
        for other in self._files:
            other.left_at = other.left_at or now
        self._files.append(_Open(file, offset))


def opened(path: Path) -> BinaryIO | None:
    """None if it is not there; SourceError if it cannot be read."""
    try:
        # A named pipe would wait for somebody who writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read ({error.strerror}): run onejob tail as a user who may (on Debian in the group adm)."
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceError(f"{path} is no file: name one, or pipe what is written there into onejob tail.")
    file = os.fdopen(descriptor, "rb", buffering=0)
    is_packed = file.read(2) == _GZIP
    file.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=file) if is_packed else file)


def _end(file: BinaryIO) -> int:
    """Behind the last whole line: one that is being written just now is new."""
    if isinstance(file, gzip.GzipFile):
        return 0
    size = os.fstat(file.fileno()).st_size
    begin = max(0, size - LONGEST_LINE)
    file.seek(begin)
    found = file.read(size - begin).rfind(b"\n")
    return begin + found + 1 if found >= 0 or not begin else size


def _is_same(file: BinaryIO, mark: Mark) -> bool:
    if not mark.offset:
        return os.fstat(file.fileno()).st_ino == mark.inode
    if not isinstance(file, gzip.GzipFile) and os.fstat(file.fileno()).st_size < mark.offset:
        return False
    try:
        return _digest(_first(file, mark.offset)) == mark.head
    except (OSError, EOFError):  # a packed file that is not whole
        return False


def _first(file: BinaryIO, offset: int) -> bytes:
    """What is before `offset`, up to as much as tells one log from another."""
    file.seek(0)
    return file.read(min(_HEAD, offset))


def _digest(begins: bytes) -> str:
    return hashlib.blake2b(begins, digest_size=16).hexdigest()


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # a folder that may be entered and not listed
        return []


def _inode(path: Path) -> int:
    """0 where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
