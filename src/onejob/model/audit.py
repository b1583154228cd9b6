"""The audit log: who did what to what, when and from where, as a chain that shows whether it was changed afterwards.

Problem: whoever can write to the database can rewrite the past. Solution: each entry carries the hash of the one
before, so that an entry that is changed, taken out or moved breaks the chain at that place. Entries cut off at the end
break nothing; they are missed when the last hash (the head) was written down elsewhere.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """`actor` did `action` to `object` at `at`, from the address `source`. `seq` counts from 1."""

    seq: int
    at: datetime
    actor: str
    action: str
    object: str
    source: str
    detail: str
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: printed as `12:9f86d0...`, to be kept where the database's writers cannot reach."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


START = Head(0, hashlib.sha256(b"onejob audit log, version 1").hexdigest())


class BrokenChainError(Exception):
    """The log was changed; the message says where."""


def digest(
    *, seq: int, at: datetime, actor: str, action: str, object: str, source: str, detail: str, previous: str
) -> str:
    """The hash of an entry: of all of it, and so of everything before it."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    text = json.dumps([seq, moment, actor, action, object, source, detail, previous], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def follow(entries: Iterable[AuditEntry], known: Head | None = None) -> Head:
    """The head of a whole log, from its first entry on; BrokenChainError where it was tampered with.

    `known` is a head that was written down: the log must have had it, and must still be at least as long.
    """
    head = START
    for entry in entries:
        _check(entry, head)
        head = Head(entry.seq, entry.hash)
        if known is not None and head.seq == known.seq and head != known:
            raise BrokenChainError(
                f"entry {known.seq} is not the one whose hash was written down: the log was rewritten"
            )
    if known is not None and head.seq < known.seq:
        raise BrokenChainError(f"it ends with entry {head.seq}, but had {known.seq}: its end was cut off")
    return head


def read_head(text: str) -> Head:
    """Inverse of `str(head)`; ValueError for anything else."""
    seq, _, value = text.strip().partition(":")
    if not (seq.isascii() and seq.isdecimal() and len(value) == 64 and set(value) <= set("0123456789abcdef")):
        raise ValueError("a head looks like 12:9f86d0..., a number and 64 hexadecimal digits")
    return Head(int(seq), value)


def _check(entry: AuditEntry, before: Head) -> None:
    if entry.seq != before.seq + 1:
        raise BrokenChainError(f"after entry {before.seq} comes {entry.seq}: entries were taken out or moved")
    if entry.previous != before.hash:
        raise BrokenChainError(f"entry {entry.seq} does not continue the one before it")
    expected = digest(
        seq=entry.seq,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        object=entry.object,
        source=entry.source,
        detail=entry.detail,
        previous=entry.previous,
    )
    if entry.hash != expected:
        raise BrokenChainError(f"entry {entry.seq} was changed after it was written")
