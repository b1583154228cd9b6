"""Acknowledge only what is on disk, and lose none of it; yet one disk write per request would be slow.

So: a file in SQLite's WAL mode, written by one thread, which takes everything that waits, commits it at once
(`synchronous=FULL`: on disk when COMMIT returns) and only then lets the waiting requests be acknowledged. A digest of
each request is kept for a while: a client that missed our acknowledgement and sends again is acknowledged again, and
nothing is stored twice.

    gRPC, HTTP --append--> [writer thread] --commit--> requests --claim--> batch --stored--> deleted
                                 ^                                               --refused-> dead_letters
                                 +------------------------------replay-----------------------------+

A batch is a range of requests of one kind, written down before it is tried, so that after a crash the same bytes go to
the engine under the same token.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from onejob.ingest import dead_letters, refusals
from onejob.ingest.dead_letters import DeadLetter, Extent, Refusals, Replayable
from onejob.ingest.errors import TryLater
from onejob.ingest.room import Part, Room
from onejob.ingest.spool_file import digest_of, open_reader, open_spool
from onejob.ingest.spool_progress import SpoolProgress
from onejob.model.telemetry import KINDS, Kind
from onejob.sqlite_log import truncate_log
from onejob.words import plural

log = logging.getLogger(__name__)

MAX_WAITING_BYTES = 128 * 2**20
_MAX_COMMIT_BYTES = 32 * 2**20
_MOST_COPIED_BYTES = 64 * 2**20  # in memory, while intake waits: a second at most
_WIPES, _WIPE_AGAIN_S = 5, 0.5
_PURGE_EVERY_S = 10.0
_SAY_AGAIN_S = 60.0  # how often the log says that requests are refused


@dataclass(frozen=True, slots=True)
class SpooledRequest:
    """`items` are spans, log records or data points; `tables` has a bit for each table of the kind that they go to."""

    id: int
    items: int
    payload: bytes
    tables: int = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """A range of requests of one kind that goes to the engine as one; `token` is the same after every restart."""

    id: int
    token: str
    kind: Kind
    requests: tuple[SpooledRequest, ...]

    @property
    def items(self) -> int:
        return sum(request.items for request in self.requests)


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """`dead_letters_s`: how long dead letters are kept; None is until they are stored or deleted."""

    max_bytes: int
    min_free_disk_bytes: int
    retry_digest_s: float
    dead_letters_s: float | None = None


@dataclass(frozen=True, slots=True)
class SharedRooms:
    """What the spools of all projects have together: on disk, and in memory until it is there."""

    disk: Room
    waiting: Room

    @classmethod
    def of(cls, spool_max_bytes: int) -> SharedRooms:
        return cls(Room(spool_max_bytes), Room(MAX_WAITING_BYTES, takes_one_always=True))


@dataclass(slots=True)
class _Work:
    """Something for the writer thread: `run` inside its transaction, then `done` is told."""

    run: Callable[[sqlite3.Connection], Any]
    kind: Kind
    size: int
    items: int
    done: Future[Any]


@dataclass(slots=True)
class _Kept:
    """What waits of one kind."""

    requests: int = 0
    items: int = 0
    bytes: int = 0


class Spool:
    """Thread-safe. `close` waits for what was begun. `came` is set when there is something new; who waits clears it."""

    def __init__(self, path: Path, limits: SpoolLimits, rooms: SharedRooms | None = None) -> None:
        rooms = rooms or SharedRooms.of(limits.max_bytes)
        self._limits = limits
        self._dir = path.parent
        self._progress = SpoolProgress(path.parent)
        self._writer = open_spool(path, self._progress)
        self._reader = open_reader(path)
        # Ages of digests are told by no clock that can be set, or a jump of it would forget all of them at once: it
        # goes on from where it was in the last life.
        self._digests_at = self._writer.execute("SELECT ifnull(max(seen_at), 0) FROM digests").fetchone()[0]
        self._opened_at = time.monotonic()
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # the counters below
        self._kept: dict[Kind, _Kept] = {kind: _Kept() for kind in KINDS}
        for kind, *sums in self._writer.execute(
            "SELECT kind, count(*), sum(spans), sum(size) FROM requests GROUP BY kind"
        ):
            self._kept[kind] = _Kept(*sums)
        self.came = threading.Event()
        self._disk: Part = rooms.disk.part(limits.max_bytes)
        self.dead = Extent()
        self._count_dead(dead_letters.total(self._writer))
        self._disk.add(self.size_bytes)
        self._waiting: Part = rooms.waiting.part()
        self._claimed: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self._claimed.update(self._writer.execute("SELECT kind, max(last_request) FROM batches GROUP BY kind"))
        self._free_disk = refusals.FreeDisk(path.parent, limits.min_free_disk_bytes)
        self._unwritten = ""  # why the last commit failed, if it did
        self._to_wipe: list[Future[bool]] = []
        self._said_at = -_SAY_AGAIN_S
        self._purged_at = self._expired_at = -math.inf
        self._closed = False
        self._thread = threading.Thread(target=self._write_forever, name="spool-writer", daemon=True)
        self._thread.start()

    # --- what comes in -------------------------------------------------------------------------------------------

    def append(
        self, payload: bytes, items: int, *, kind: Kind = "traces", tables: int = 1, for_good: bool = False
    ) -> Future[bool]:
        """Done once the request is on disk; True if it is new, False if it was here already. Raises TryLater.

        It is recognised for `retry_digest_s`; when it comes `for_good`, so are its repetitions that do, ever after.
        """
        try:
            self._take_room(len(payload))
        except TryLater as refusal:
            self._say(refusal)
            raise
        digest, seen_at = digest_of(payload, kind), self._digest_time()

        def run(connection: sqlite3.Connection) -> bool:
            remember = "INSERT OR IGNORE INTO imported VALUES (?)"
            is_known = for_good and connection.execute(remember, (digest,)).rowcount == 0
            if connection.execute("INSERT OR IGNORE INTO digests VALUES (?, ?)", (digest, seen_at)).rowcount == 0:
                return False
            if is_known:
                return False
            connection.execute(
                "INSERT INTO requests (received_at, spans, size, payload, kind, tables, digest) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (time.time(), items, len(payload), payload, kind, tables, digest),
            )
            return True

        return self._submit(run, kind, len(payload), items)

    def replay(self, ids: Collection[int] | None = None) -> int:
        """Dead letters, all or these, wait to be stored again; how many. Each is moved in one transaction. Raises
        TryLater.
        """
        self._refuse_if_closed()
        return sum(map(self._replay, dead_letters.replayable(self._reader, ids, _MAX_COMMIT_BYTES)))

    def _replay(self, letters: Collection[Replayable]) -> int:
        begun: list[Future[Extent | None]] = []
        for letter in letters:
            self._disk.add(letter.size)
            self._waiting.add(letter.size)
            revive = partial(dead_letters.revive, letter_id=letter.id)
            begun.append(self._submit(revive, letter.kind, letter.size, letter.items))
        moved = [extent for one in begun if one.exception() is None and (extent := one.result()) is not None]
        self._count_dead(-sum(moved, Extent()))
        for one in begun:
            one.result()
        return len(moved)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise refusals.stopping()

    def _take_room(self, size: int) -> None:
        """Raises TryLater, and takes none."""
        self._free_disk.refuse_if_full(size)
        if not self._waiting.take(size):
            raise refusals.too_much()
        if not self._disk.take(size):
            self._waiting.add(-size)
            raise self._is_full()

    def _refuse_if_full(self) -> None:
        self._free_disk.refuse_if_full(0)
        if not self._waiting.fits(0):
            raise refusals.too_much()
        if not self._disk.fits(0):
            raise self._is_full()

    def _is_full(self) -> TryLater:
        if self.dead.bytes > self.size_bytes:
            return refusals.full_of_dead_letters(self.dead)
        return refusals.spool_is_full()

    def _say(self, refusal: TryLater) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._said_at < _SAY_AGAIN_S:
                return
            self._said_at = now
        log.warning("Telemetry is refused, and clients are told to send it again: %s", refusal)

    # --- what goes out -------------------------------------------------------------------------------------------

    def unfinished_batches(self) -> list[Batch]:
        """Batches a former life began: they come first, under the tokens they had."""
        sql = "SELECT id, kind, first_request, last_request, token FROM batches ORDER BY id"
        return [self._read_batch(*row) for row in self._reader.execute(sql).fetchall()]

    def claim(self, *, kind: Kind = "traces", max_items: int, max_bytes: int) -> Batch | None:
        """The next requests of the kind as a batch, written down; None when none waits."""
        items = size = 0
        first = last = None
        sql = "SELECT id, spans, size, token FROM requests WHERE kind = ? AND id > ? ORDER BY id"
        for request_id, its_items, its_size, its_token in self._reader.execute(sql, (kind, self._claimed[kind])):
            if first is not None and (its_token or items + its_items > max_items or size + its_size > max_bytes):
                break
            first = request_id if first is None else first
            last, items, size = request_id, items + its_items, size + its_size
            if its_token:  # a batch of its own
                break
        if first is None or last is None:
            return None
        insert = "INSERT INTO batches (kind, first_request, last_request, token) VALUES (?, ?, ?, ?)"
        token = uuid.uuid4().hex
        batch_id = self._submit(lambda c: c.execute(insert, (kind, first, last, token)).lastrowid).result()
        self._claimed[kind] = last
        self._progress.begin(kind, first, last, token)
        return self._read_batch(batch_id, kind, first, last, token)

    def finish(self, batch: Batch, refused: Refusals) -> None:
        """The batch is stored, but for what is in `refused`, by request, which is kept apart."""

        def run(connection: sqlite3.Connection) -> Extent:
            kept = dead_letters.keep(connection, batch.kind, batch.requests, refused)
            place = (batch.kind, batch.requests[0].id, batch.requests[-1].id)
            connection.execute("DELETE FROM requests WHERE kind = ? AND id BETWEEN ? AND ?", place)
            connection.execute("DELETE FROM batches WHERE id = ?", (batch.id,))
            return kept

        if not batch.requests:
            self._submit(lambda c: c.execute("DELETE FROM batches WHERE id = ?", (batch.id,))).result()
            return
        self._count_dead(self._submit(run).result())
        self._progress.end(batch.kind, batch.requests[-1].id)
        size = sum(len(request.payload) for request in batch.requests)
        self._disk.add(-size)
        with self._lock:
            kept = self._kept[batch.kind]
            kept.requests -= len(batch.requests)
            kept.items -= batch.items
            kept.bytes -= size

    def _read_batch(self, batch_id: int, kind: Kind, first: int, last: int, token: str) -> Batch:
        sql = "SELECT id, spans, payload, tables, token FROM requests WHERE kind = ? AND id BETWEEN ? AND ? ORDER BY id"
        rows = self._reader.execute(sql, (kind, first, last)).fetchall()
        its_own = rows[0][-1] if len(rows) == 1 else None
        requests = tuple(SpooledRequest(*row[:-1]) for row in rows)
        return Batch(batch_id, its_own or token, kind, requests)

    # --- how full it is ------------------------------------------------------------------------------------------

    @property
    def requests(self) -> int:
        """Waiting to be stored."""
        return sum(kept.requests for kept in self._kept.values())

    @property
    def spans(self) -> int:
        return self.items("traces")

    def items(self, kind: Kind) -> int:
        """Spans, log records or data points."""
        return self._kept[kind].items

    @property
    def size_bytes(self) -> int:
        return sum(kept.bytes for kept in self._kept.values())

    def trouble(self) -> str:
        """Why nothing would be taken now, and what to do; empty if it would."""
        try:
            self._refuse_if_full()
        except TryLater as refusal:
            return str(refusal)
        return self._unwritten

    def oldest_received_at(self, kind: Kind | None = None) -> float | None:
        """When what waits longest came: of one kind, or of all."""
        times = [self._oldest_of(one) for one in KINDS if kind in (None, one)]
        return min((time for time in times if time is not None), default=None)

    def _oldest_of(self, kind: Kind) -> float | None:
        with self._lock:
            if self._kept[kind].requests == 0:
                return None
        sql = "SELECT received_at FROM requests WHERE kind = ? ORDER BY id LIMIT 1"
        row = self._reader.execute(sql, (kind,)).fetchone()
        return float(row[0]) if row else None

    def last_request(self) -> int:
        """The number of what came last of all that waits; 0 where nothing does."""
        return int(self._reader.execute("SELECT ifnull(max(id), 0) FROM requests").fetchone()[0])

    def has_stored(self, up_to: int) -> bool:
        """Whether nothing waits any more that had such a number or a smaller one."""
        return self._reader.execute("SELECT 1 FROM requests WHERE id <= ? LIMIT 1", (up_to,)).fetchone() is None

    def dead_letters(self) -> list[DeadLetter]:
        """The oldest first, a thousand at most; `dead` says how many there are."""
        return dead_letters.listed(self._reader)

    def delete_dead_letters(self, ids: Collection[int] | None = None) -> int:
        """For good: all, or those of these that are here; how many. Raises TryLater."""
        self._refuse_if_closed()
        deleted = 0
        for page in dead_letters.replayable(self._reader, ids, _MAX_COMMIT_BYTES):  # so that intake waits for no more
            delete = partial(dead_letters.delete, ids=[letter.id for letter in page])
            gone: Extent = self._submit(delete).result()
            self._count_dead(-gone)
            deleted += gone.letters
        return deleted

    def forget_dead_letters(self, attribute: str, value: str) -> int:
        """Delete those that name it; how many. Raises TryLater."""
        self._refuse_if_closed()
        naming = dead_letters.naming(self._reader, attribute, value)
        return self.delete_dead_letters(naming) if naming else 0

    def wipe(self) -> bool:
        """Leave nothing in its files of what was deleted. False where more waits than can be copied without keeping
        intake waiting, the disk is full, or a backup reads it. Raises TryLater.
        """
        for _ in range(_WIPES):
            wiped: Future[bool] = Future()
            with self._lock:
                self._to_wipe.append(wiped)
            self._submit(lambda _: None)
            if wiped.result():
                return True
            time.sleep(_WIPE_AGAIN_S)  # here, and not in the writer's thread, which must not wait for readers
        return False

    def _count_dead(self, more: Extent) -> None:
        self._disk.add(more.bytes)
        with self._lock:
            self.dead += more

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._work.put(None)  # behind all that was begun
        self._thread.join()
        self._disk.close()
        self._waiting.close()
        self._reader.close()
        self._writer.close()

    # --- the writer thread ---------------------------------------------------------------------------------------

    def _submit(
        self, run: Callable[[sqlite3.Connection], Any], kind: Kind = "traces", size: int = 0, items: int = 0
    ) -> Future[Any]:
        work = _Work(run, kind, size, items, Future())
        work.done.set_running_or_notify_cancel()  # whoever waits may give up; the work is done all the same
        with self._lock:
            if not self._closed:
                self._work.put(work)
                return work.done
        self._give_room(work, is_kept=False)
        raise refusals.stopping()

    def _write_forever(self) -> None:
        is_open = True
        look_s = None if self._limits.dead_letters_s is None else _PURGE_EVERY_S
        while is_open:
            try:
                first = self._work.get(timeout=look_s)
            except queue.Empty:
                self._commit([])
                continue
            group, is_open = self._gather(first)
            if group:
                self._commit(group)
            self._wipe_if_asked()

    def _wipe_if_asked(self) -> None:
        with self._lock:
            asked, self._to_wipe = self._to_wipe, []
        if not asked:
            return
        is_wiped = False
        try:
            if self.size_bytes + self.dead.bytes <= _MOST_COPIED_BYTES:
                self._writer.execute("VACUUM")
                is_wiped = truncate_log(self._writer)
        except Exception as error:  # as in `_commit`
            log.warning("The spool could not be wiped: %s", error)
        for one in asked:
            one.set_result(is_wiped)

    def _gather(self, first: _Work | None) -> tuple[list[_Work], bool]:
        """Everything that waits now, up to a size; and whether there will be more."""
        group: list[_Work] = []
        work, size = first, 0
        while work is not None:
            group.append(work)
            size += work.size
            if size >= _MAX_COMMIT_BYTES:
                return group, True
            try:
                work = self._work.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _commit(self, group: list[_Work]) -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            results = [work.run(self._writer) for work in group]
            self._purge_digests()
            expired = self._expire_dead_letters()
            self._writer.execute("COMMIT")
        except Exception as error:  # whatever it is, this thread must live: without it nothing is taken any more
            self._give_up(group, error)
            return
        self._unwritten = ""
        self._tell_expired(expired)
        self._count(group, results)
        for work, result in zip(group, results, strict=True):
            work.done.set_result(result)

    def _count(self, group: list[_Work], results: list[Any]) -> None:
        with self._lock:
            for work, result in zip(group, results, strict=True):
                self._give_room(work, is_kept=bool(result))
                if work.size and result:
                    kept = self._kept[work.kind]
                    kept.bytes += work.size
                    kept.items += work.items
                    kept.requests += 1
                    self.came.set()

    def _give_room(self, work: _Work, *, is_kept: bool) -> None:
        if work.size:
            self._waiting.add(-work.size)
            if not is_kept:
                self._disk.add(-work.size)

    def _give_up(self, group: list[_Work], error: Exception) -> None:
        """Nothing of the group is acknowledged; the clients keep it and send it again."""
        log.error("The spool could not be written: %s", error)
        if self._writer.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
        for work in group:
            self._give_room(work, is_kept=False)
        reason = refusals.not_writable(self._dir, error)
        self._unwritten = str(reason)
        for work in group:
            work.done.set_exception(reason)

    def _purge_digests(self) -> None:
        now = self._digest_time()
        if now - self._purged_at > _PURGE_EVERY_S:
            self._purged_at = now
            self._writer.execute("DELETE FROM digests WHERE seen_at < ?", (now - self._limits.retry_digest_s,))

    def _expire_dead_letters(self) -> Extent:
        now, kept_s = time.monotonic(), self._limits.dead_letters_s
        if kept_s is None or now - self._expired_at < _PURGE_EVERY_S:
            return Extent()
        self._expired_at = now
        return dead_letters.expire(self._writer, time.time() - kept_s)

    def _tell_expired(self, expired: Extent) -> None:
        if expired.letters:
            self._count_dead(-expired)
            log.warning(
                "%s deleted, as ONEJOB_DEAD_LETTERS_RETENTION_DAYS says: acknowledged, and never stored.",
                plural(expired.letters, "dead letter was", "dead letters were"),
            )

    def _digest_time(self) -> float:
        return float(self._digests_at + time.monotonic() - self._opened_at)
