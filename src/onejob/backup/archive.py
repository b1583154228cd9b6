"""The file: an uncompressed tar. It ends with `manifest.json`, which has the checksums of all others, and with its own.

At the end, because they are taken while the files are sent: nothing is read twice, and what lacks it was cut off.
Parts of tables are compressed already.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from onejob.backup.errors import BadBackup

FORMAT = 1
MANIFEST = "manifest.json"
SEAL = f"{MANIFEST}.sha256"  # as sha256sum writes it
_CHUNK = 2**20
_MOST_TOLD = 2**30  # bytes of a manifest: a line for each file
_RIGHTS = 0o600


@dataclass(frozen=True, slots=True)
class Manifest:
    """`facts` are about what was backed up, `checksums` are SHA-256 by member."""

    facts: dict[str, Any]
    checksums: dict[str, str]


def written(files: Iterable[tuple[str, Path]], facts: dict[str, Any]) -> Iterator[bytes]:
    """The archive in pieces. `files` are names in it, and where each is found."""
    checksums = {}
    for name, path in files:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            size = path.stat().st_size
            yield _head(name, size)
            left = size
            while left and (chunk := file.read(min(_CHUNK, left))):
                left -= len(chunk)
                digest.update(chunk)
                yield chunk
        if left:
            raise BadBackup(f"{path} became shorter while it was read: make the backup again.")
        yield _padding(size)
        checksums[name] = digest.hexdigest()
    told = json.dumps({"format": FORMAT, **facts, "checksums": checksums}, indent=1).encode()
    yield _whole(MANIFEST, told) + _whole(SEAL, _seal(told)) + bytes(2 * tarfile.BLOCKSIZE)


def unpacked(file: IO[bytes], target: Path) -> Manifest:
    """Everything in `target`, which is empty; each file as its checksum says. Raises BadBackup."""
    found: dict[str, str] = {}
    ends: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or member.name in (*found, *ends) or (ends and member.name != SEAL):
                    raise BadBackup("This is no backup of onejob: it has something in it that is no file of one.")
                if member.name in (MANIFEST, SEAL):
                    ends[member.name] = content.read(_MOST_TOLD)
                else:
                    found[member.name] = _unpack(content, _place(target, member.name))
    except (tarfile.TarError, EOFError, FileExistsError, NotADirectoryError) as error:
        raise BadBackup(f"This is no whole backup of onejob ({error}): take another one.") from error
    return _checked(ends, found)


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


def _place(target: Path, name: str) -> Path:
    place = (target / name).resolve()
    if not place.is_relative_to(target.resolve()):
        raise BadBackup(f"The backup has a file that lies outside of it ({name}): do not trust it.")
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return place


def _unpack(content: IO[bytes], place: Path) -> str:
    digest = hashlib.sha256()
    with place.open("xb") as file:
        place.chmod(_RIGHTS)
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _head(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, _RIGHTS
    return member.tobuf(tarfile.PAX_FORMAT)


def _whole(name: str, content: bytes) -> bytes:
    return _head(name, len(content)) + content + _padding(len(content))


def _seal(told: bytes) -> bytes:
    return f"{hashlib.sha256(told).hexdigest()}  {MANIFEST}\n".encode()


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
