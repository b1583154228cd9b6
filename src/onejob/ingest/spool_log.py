"""Has the spool's write-ahead log lost transactions to damage, and what did it hold?

SQLite reads its log up to the first frame whose checksum is wrong and takes what follows for the half-written end that
a crash leaves behind. After a crash that is right: what was not on disk yet was not acknowledged. After damage it is
not, and all acknowledged requests behind one bad byte are gone without a word. The two can be told apart: a transaction
is begun when the one before it is on disk. So a second commit behind the bad frame says that it was whole once.

    header | frame frame commit | frame commit | BAD commit | frame commit      what SQLite reads: up to BAD
                                                 `- may be a crash -'`- so it was damage

Then the checksums are written anew, so that SQLite reads all of it and the bad page costs what is on it. Format and
checksum: https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PAGE_BYTES = 16384  # of the spool's file
_HEADER, _FRAME_HEAD = struct.Struct(">8I"), struct.Struct(">6I")
_FRAME_BYTES = _FRAME_HEAD.size + PAGE_BYTES
_MAGIC = 0x377F0682  # the lowest bit says that checksums are of big-endian words
_VERSION = 3_007_000
_WORDS = NDArray[np.uint32]
_Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Log:
    """`heads` has a row for each frame: page, size of the file after a commit (or 0), two salts, two checksums.

    `is_ours` says of each frame that it is of the log's present round and not left over from an earlier one.
    """

    data: bytes
    is_big: bool
    header_is_sound: bool
    heads: _WORDS
    is_ours: NDArray[np.bool_]

    @property
    def commits(self) -> list[int]:
        """Frames with which a transaction ends."""
        return [int(frame) for frame in np.flatnonzero(self.is_ours & (self.heads[:, 1] > 0))]


def is_damaged(path: Path) -> bool:
    """Whether transactions that were on disk would not be read. False where there is no log, or an empty one."""
    log = _read(path)
    if log is None:
        return False
    good = _sound_frames(log) if log.header_is_sound else 0
    return sum(frame >= good for frame in log.commits) > 1


def mend(path: Path) -> None:
    """Write the checksums anew, up to the last commit. A frame that does not say any more whose it is, is left out."""
    log = _read(path)
    if log is None or not log.commits:
        return
    frames = np.flatnonzero(log.is_ours[: log.commits[-1] + 1])
    salts = tuple(map(int, log.heads[frames[0], 2:4]))
    head = struct.pack(">6I", _MAGIC, _VERSION, PAGE_BYTES, 0, *salts)
    sums = _sums_of(head, (0, 0))
    mended = path.with_name(f"{path.name}.mended")
    with mended.open("wb") as file:
        file.write(head + struct.pack(">2I", *sums))
        for frame in frames:
            start = _HEADER.size + int(frame) * _FRAME_BYTES
            whole = log.data[start : start + _FRAME_BYTES]
            page = whole[_FRAME_HEAD.size :]
            sums = _sums_of(whole[:8] + page, sums)
            file.write(whole[:16] + struct.pack(">2I", *sums) + page)
        file.flush()
        os.fsync(file.fileno())
    mended.replace(path)


def _read(path: Path) -> _Log | None:
    data = path.read_bytes() if path.exists() else b""
    count = (len(data) - _HEADER.size) // _FRAME_BYTES
    if count <= 0:
        return None
    magic, version, page_bytes, _, *salts = _HEADER.unpack_from(data)[:6]
    is_big = magic == _MAGIC | 1
    sums = _HEADER.unpack_from(data)[6:]
    is_sound = (
        magic | 1 == _MAGIC | 1
        and (version, page_bytes) == (_VERSION, PAGE_BYTES)
        and sums == _sums_of(data[: _HEADER.size - 8], (0, 0), is_big=is_big)
    )
    frames = np.frombuffer(data, np.uint8, count * _FRAME_BYTES, _HEADER.size).reshape(count, _FRAME_BYTES)
    heads = np.ascontiguousarray(frames[:, : _FRAME_HEAD.size]).view(">u4").astype(np.uint32)
    of_round = np.array(salts, np.uint32) if is_sound else heads[0, 2:4]
    return _Log(data, is_big, is_sound, heads, (heads[:, 2:4] == of_round).all(axis=1))


def _sound_frames(log: _Log) -> int:
    """How many there are before the first that SQLite would not read."""
    sums: _Sums = _HEADER.unpack_from(log.data)[6:]
    for frame, is_ours in enumerate(log.is_ours):
        start = _HEADER.size + frame * _FRAME_BYTES
        page_at = start + _FRAME_HEAD.size
        body = log.data[start : start + 8] + log.data[page_at : page_at + PAGE_BYTES]
        sums = _sums_of(body, sums, is_big=log.is_big)
        if not is_ours or tuple(map(int, log.heads[frame, 4:])) != sums:
            return frame
    return len(log.is_ours)


def _sums_of(data: bytes, before: _Sums, *, is_big: bool = False) -> _Sums:
    """SQLite's checksum going on from one: s0 += x0 + s1; s1 += x1 + s0, for each pair of 32-bit words.

    As a matrix, for numpy: v = M v + u with M = (1 1; 1 2) and u = (x0, x0 + x1), so that after n pairs
    v = M^n v + sum of M^(n-1-i) u_i, all modulo 2^32.
    """
    words = np.frombuffer(data, ">u4" if is_big else "<u4").astype(np.uint32)
    first, both = words[0::2], words[0::2] + words[1::2]
    powers = _powers(len(first))
    (a, b), (c, d) = powers[0].tolist()
    own = [int((powers[1:, row, 0] * first + powers[1:, row, 1] * both).sum(dtype=np.uint32)) for row in (0, 1)]
    s0, s1 = before
    return (a * s0 + b * s1 + own[0]) & 0xFFFFFFFF, (c * s0 + d * s1 + own[1]) & 0xFFFFFFFF


_POWERS: dict[int, _WORDS] = {}


def _powers(count: int) -> _WORDS:
    """M^count, M^(count-1), ..., M^0. Shape (count + 1, 2, 2)."""
    if count not in _POWERS:
        a, b, d, rows = 1, 0, 1, []  # M^0; powers of a symmetric matrix are symmetric
        for _ in range(count + 1):
            rows.append(((a, b), (b, d)))
            a, b, d = (a + b) & 0xFFFFFFFF, (b + d) & 0xFFFFFFFF, (b + 2 * d) & 0xFFFFFFFF
        _POWERS[count] = np.array(rows[::-1], np.uint32)
    return _POWERS[count]
