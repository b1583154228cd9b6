"""The file: an uncompressed tar of compressed pieces. It ends with `manifest.json`, which has the checksums of all
others, and with its own.

At the end, because they are taken while the pieces are sent: nothing is read twice, and what lacks it was cut off.

    hash-key
    default/spool.db                            what waits to be stored: SQLite
    default/state/TABLE/000001.json.zst         rows of the state database
    default/telemetry/TABLE/000001.native.zst   rows of the engine, in its Native format
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from onejob.backup.errors import BadBackup

FORMAT = 2
MANIFEST = "manifest.json"
SEAL = f"{MANIFEST}.sha256"  # as sha256sum writes it
_CHUNK = 2**20
_RIGHTS = 0o600


@dataclass(frozen=True, slots=True)
class Manifest:
    """`facts` are about what was backed up, `checksums` are SHA-256 by member."""

    facts: dict[str, Any]
    checksums: dict[str, str]


def written(members: Iterable[tuple[str, bytes | Path]], facts: dict[str, Any]) -> Iterator[bytes]:
    """The archive in pieces. `members` are names in it, and what is there or where it is found."""
    checksums = {}
    for name, what in members:
        digest = hashlib.sha256()
        for chunk in _whole(name, what) if isinstance(what, bytes) else _file(name, what):
            if chunk.is_content:
                digest.update(chunk.data)
            yield chunk.data
        checksums[name] = digest.hexdigest()
    told = json.dumps({"format": FORMAT, **facts, "checksums": checksums}, indent=1).encode()
    ends = (*_whole(MANIFEST, told), *_whole(SEAL, _seal(told)))
    yield b"".join(chunk.data for chunk in ends) + bytes(2 * tarfile.BLOCKSIZE)


def check(file: IO[bytes]) -> Manifest:
    """What the archive says of itself, when every byte of it is as it was written. Raises BadBackup."""
    found: dict[str, str] = {}
    ends: dict[str, bytes] = {}
    for name, content in _members(file):
        if name in (*found, *ends) or (ends and name != SEAL):
            raise BadBackup("This is no backup of onejob: it has something in it that is no part of one.")
        if name in (MANIFEST, SEAL):
            ends[name] = content.read()
        else:
            content.drain()
            found[name] = content.checksum
    return _checked(ends, found)


def contents(file: IO[bytes], manifest: Manifest) -> Iterator[tuple[str, Content]]:
    """Its members again, in their order, once it was checked. Raises BadBackup if one is another than it was then."""
    for name, content in _members(file):
        if name in (MANIFEST, SEAL):
            continue
        yield name, content
        content.drain()
        if manifest.checksums.get(name) != content.checksum:
            raise BadBackup(f"The backup was changed while it was read ({name}): restore it again.")


class Content:
    """A member as it is read: `checksum` is of what was."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    @property
    def checksum(self) -> str:
        return self._digest.hexdigest()

    def read(self) -> bytes:
        """All of it: a piece."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """All of it, a little at a time."""
        while chunk := self._next():
            self._digest.update(chunk)
            yield chunk

    def drain(self) -> None:
        """To its end, for the checksum."""
        for _ in self.chunks():
            pass

    def _next(self) -> bytes:
        with _readable():
            return self._file.read(_CHUNK)


def _members(file: IO[bytes]) -> Iterator[tuple[str, Content]]:
    file.seek(0)
    with _readable():
        archive = tarfile.open(fileobj=file, mode="r|")  # noqa: SIM115  closes nothing
    while True:
        with _readable():
            member = archive.next()
        if member is None:
            return
        content = archive.extractfile(member) if member.isreg() else None
        if content is None:
            raise BadBackup("This is no backup of onejob: it has something in it that is no file.")
        yield member.name, Content(content)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise BadBackup(f"This is no whole backup of onejob ({error}): take another one.") from error


def _checked(ends: dict[str, bytes], found: dict[str, str]) -> Manifest:
    if SEAL not in ends or MANIFEST not in ends:
        raise BadBackup("The backup is cut off: its end, with the checksums, is missing. Take another one.")
    if ends[SEAL] != _seal(ends[MANIFEST]):
        raise BadBackup(f"The backup is damaged: {MANIFEST} is not as it was backed up. Take another one.")
    told = json.loads(ends[MANIFEST])
    checksums = told.pop("checksums")
    damaged = sorted(name for name in {*checksums, *found} if checksums.get(name) != found.get(name))
    if damaged:
        raise BadBackup(f"The backup is damaged: {damaged[0]} is not as it was backed up. Take another one.")
    if told.get("format") != FORMAT:
        raise BadBackup(f"The backup's format is {told.get('format')}, this release reads {FORMAT}: use its release.")
    return Manifest(told, checksums)


@dataclass(frozen=True, slots=True)
class _Chunk:
    data: bytes
    is_content: bool = False


def _file(name: str, path: Path) -> Iterator[_Chunk]:
    size = left = path.stat().st_size
    yield _head(name, size)
    with path.open("rb") as file:
        while left and (data := file.read(min(_CHUNK, left))):
            left -= len(data)
            yield _Chunk(data, is_content=True)
    if left:
        raise BadBackup(f"{path} became shorter while it was read: make the backup again.")
    yield _padding(size)


def _whole(name: str, content: bytes) -> tuple[_Chunk, ...]:
    return _head(name, len(content)), _Chunk(content, is_content=True), _padding(len(content))


def _head(name: str, size: int) -> _Chunk:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, _RIGHTS
    return _Chunk(member.tobuf(tarfile.PAX_FORMAT))


def _padding(size: int) -> _Chunk:
    return _Chunk(bytes(-size % tarfile.BLOCKSIZE))


def _seal(told: bytes) -> bytes:
    return f"{hashlib.sha256(told).hexdigest()}  {MANIFEST}\n".encode()
