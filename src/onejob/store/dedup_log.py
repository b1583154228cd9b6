"""Makes an insert that was cut off be done again, rather than be taken for done.

A table of the engine notes the token of every block in `deduplication_logs/`, and only then gives the block's part its
name. Killed in between, it would at its next life find the token, and leave the block out when it is sent again: spans
that were acknowledged would be gone. So before the engine opens its directory, tokens without their part are forgotten.

A record is `OPERATION TAB PART TAB BLOCK_ID`, operation 1 for a part that came; parts are directories of the table,
`PARTITION_MIN_MAX_LEVEL`, where a merged one covers the blocks from MIN to MAX. Parts that expired are forgotten too:
their batches are long finished.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path

_CAME = "1"
_PART = re.compile(r"(?P<partition>[^_]+)_(?P<first>\d+)_(?P<last>\d+)_\d+(_\d+)?")
_RECORD_FIELDS = 3
_Blocks = dict[str, list[tuple[int, int]]]


def forget_unfinished_blocks(path: str) -> int:
    """In the data directory of an engine that does not run; how many blocks."""
    return sum(_clean(log) for log in Path(path).glob("store/*/*/deduplication_logs/deduplication_log_*.txt"))


def _clean(log: Path) -> int:
    records = log.read_text().splitlines(keepends=True)
    blocks = _blocks(log.parent.parent)
    kept = [record for record in records if _is_kept(record, blocks)]
    if len(kept) < len(records):
        _replace(log, "".join(kept))
    return len(records) - len(kept)


def _blocks(table: Path) -> _Blocks:
    """First and last block of every part, by partition."""
    blocks: _Blocks = defaultdict(list)
    for name in os.listdir(table):
        if part := _PART.fullmatch(name):
            blocks[part["partition"]].append((int(part["first"]), int(part["last"])))
    return blocks


def _is_kept(record: str, blocks: _Blocks) -> bool:
    """False also for a record that a crash left incomplete: the engine would read none of those after it."""
    fields = record.split("\t")
    part = _PART.fullmatch(fields[1]) if len(fields) == _RECORD_FIELDS and record.endswith("\n") else None
    if part is None:
        return False
    if fields[0] != _CAME:
        return True
    block = int(part["first"])
    return any(first <= block <= last for first, last in blocks.get(part["partition"], ()))


def _replace(log: Path, text: str) -> None:
    """On disk or not at all. Not written beside it: the engine takes every file there for a log."""
    new = log.parent.parent / "tmp_deduplication_log"
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(log)
