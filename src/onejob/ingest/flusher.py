"""Moves batches from the spool into the engine, each exactly once.

    claim -> insert under the batch's token -> delete from the spool

A crash between any two of these repeats the insert under the same token, which the engine then leaves out. While the
engine is away the batch waits, and others have their turns: it may be one project's tables alone that take nothing. A
batch the engine refuses is written anew, as it was understood at the door: protobuf lets senders say things in ways
that the engine does not read. What it refuses then is halved until the culprits are alone; they go to the dead letters,
the rest is stored. A batch that fills several tables is inserted into one after the other, each by itself: what one of
them refuses, the others have once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

from onejob.durations import Durations
from onejob.ingest.dead_letters import Refusal
from onejob.ingest.errors import IntakeError
from onejob.ingest.own.requests import is_own
from onejob.ingest.spool import Batch, Spool, SpooledRequest
from onejob.ingest.turns import Turn, Turns
from onejob.ingest.validate import understood
from onejob.model.telemetry import KINDS, ONE_OF, Kind
from onejob.own_spans import OwnSpan, OwnSpans
from onejob.store.engine import Engine
from onejob.store.errors import EngineOutOfRoom, EngineUnavailable, QueryFailed
from onejob.store.otlp_tables import TABLES_OF
from onejob.words import plural

log = logging.getLogger(__name__)

# Mostly there are enough items before. Lists of short texts that all have something to hide take the engine 2.7 s a MB
# (measured), and an insert that takes two minutes is taken for one that hangs.
MAX_BATCH_BYTES = 16 * 2**20
BATCHES_AT_ONCE = 4  # of all projects: each is in memory until it is stored
RESTING_BYTES = BATCHES_AT_ONCE * MAX_BATCH_BYTES  # as much again of those that wait for a database of theirs
_LOOK_EVERY_S = 0.05
_IDLE_LOOK_EVERY_S = 1.0
_GIVE_WAY_S = 0.001  # to who waits for a moment between two batches: a lock knows no queue
# A batch the engine keeps failing on for passing reasons (out of memory, killed) is halved like a refused one. Many
# tries, for a half's token is not the whole's: had the engine died after it stored the whole, halves would double it.
_TRIES_BEFORE_HALVING = 10
_MAX_PAUSE_S = 5.0
_REFUSED, _STOPPED = "refused", "stopped"  # what became of a batch, where it is not stored
# Intervals that each kind waits. A statement for one of the metrics' five tables costs the engine 50 ms, however few
# the points (measured); and nobody sends them more often than every ten seconds or so.
_PATIENCE: dict[Kind, float] = {"traces": 1.0, "logs": 1.0, "metrics": 5.0}


@dataclass(frozen=True, slots=True)
class FlushPolicy:
    """When something is stored: after the interval, or when there are so many items of its kind."""

    interval_s: float
    max_items: int


@dataclass(frozen=True, slots=True)
class _Into:
    """A table that requests of a kind go into, and the bit that says so."""

    table: str
    bit: int
    kind: Kind


Refused = defaultdict[int, list[Refusal]]


class Flusher:
    """One thread. `stored` (items by kind) and `last_stored_at` say how far it is.

    It takes its `turns` with those of other projects: a batch of each, then the next of each. `spans` are told of each
    batch, but of those that tell of onejob itself.
    """

    def __init__(
        self,
        spool: Spool,
        engine: Engine,
        policy: FlushPolicy,
        turns: Turns | None = None,
        spans: OwnSpans | None = None,
    ) -> None:
        self._spans = spans or OwnSpans()
        self._project_turns = turns or Turns(BATCHES_AT_ONCE, RESTING_BYTES)
        self._spool = spool
        self._engine = engine
        self._policy = policy
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.between_batches = threading.Lock()  # whoever holds it sees no batch half stored
        self._turns = list(KINDS)  # whose turn it is first: so that a flood of one kind keeps no other waiting
        self.stored: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self.insert_durations: dict[Kind, Durations] = {kind: Durations() for kind in KINDS}
        self.last_stored_at: float | None = None
        self.trouble = ""
        self._rest: Callable[[float], None] = lambda _pause_s: None  # how the batch at hand waits

    def start(self) -> None:
        if self._thread is None:
            self.between_batches.acquire()  # until what a former life left half stored is whole
            self._thread = threading.Thread(target=self._run, name="flusher", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends after the insert at hand; what is in the spool stays there."""
        self._stop.set()
        self._spool.came.set()  # it may be waiting for that
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            with self._project_turns.turn(self._stop) as turn:
                for batch in self._spool.unfinished_batches() if turn.is_ours else ():
                    if turn.is_ours:
                        self._store(batch, turn)
        finally:
            self.between_batches.release()
        while not self._stop.is_set():
            with self.between_batches:
                has_stored = self._store_next()
            if has_stored:
                self._stop.wait(_GIVE_WAY_S)
            elif self._spool.requests:
                self._stop.wait(_LOOK_EVERY_S)
            else:
                self._spool.came.wait(_IDLE_LOOK_EVERY_S)
                self._spool.came.clear()

    def _store_next(self) -> bool:
        """False where nothing is due."""
        kind = next(filter(self._is_due, self._turns), None)
        if kind is None:
            return False
        with self._project_turns.turn(self._stop) as turn:
            batch = self._claim(kind, turn) if turn.is_ours else None
            if batch is not None:
                self._store(batch, turn)
        return batch is not None

    def _claim(self, kind: Kind, turn: Turn) -> Batch | None:
        self._turns.remove(kind)
        self._turns.append(kind)
        try:
            return self._spool.claim(kind=kind, max_items=self._policy.max_items, max_bytes=MAX_BATCH_BYTES)
        except IntakeError as error:
            self._note(str(error))
            turn.rest(1.0, 0)
            return None

    def _is_due(self, kind: Kind) -> bool:
        if self._spool.items(kind) >= self._policy.max_items:
            return True
        oldest = self._spool.oldest_received_at(kind)
        if oldest is None:
            return False
        waited_s = time.time() - oldest  # negative where the clock was set back since: then it is not waited for
        return not 0 <= waited_s < self._policy.interval_s * _PATIENCE[kind]

    def _store(self, batch: Batch, turn: Turn) -> None:
        """Returns when the batch is out of the spool, or the flusher is to stop."""
        held = sum(len(request.payload) for request in batch.requests)
        self._rest = lambda pause_s: turn.rest(pause_s, held)
        refused: Refused = defaultdict(list)
        about = {"onejob.signal": batch.kind, "onejob.items": batch.items, "onejob.requests": len(batch.requests)}
        spans = self._spans_about(batch)
        with spans.span(f"store {batch.kind}", about) as whole:
            if not self._insert_all(batch, refused, spans, whole):
                whole.error = _STOPPED
                return
            whole.error = _REFUSED if refused else ""
            self._finish(batch, refused)
        self.stored[batch.kind] += batch.items - sum(r.items for r in batch.requests if r.id in refused)
        self.last_stored_at = time.time()
        self.trouble = ""

    def _spans_about(self, batch: Batch) -> OwnSpans:
        is_of_itself = self._spans.are_kept and all(is_own(request.payload) for request in batch.requests)
        return OwnSpans() if is_of_itself else self._spans

    def _insert_all(self, batch: Batch, refused: Refused, spans: OwnSpans, whole: OwnSpan) -> bool:
        """Into each of its tables. False when the flusher is to stop before it is done."""
        for place, table in enumerate(TABLES_OF[batch.kind]):
            into = _Into(table.name, 1 << place, batch.kind)
            requests = [request for request in batch.requests if request.tables & into.bit]
            if not requests:
                continue
            started = time.monotonic()
            with spans.span(f"insert {table.name}", within=whole) as part:
                if not self._insert(into, requests, batch.token, refused):
                    part.error = _STOPPED
                    return False
            self.insert_durations[batch.kind].add(time.monotonic() - started)
        return True

    def _finish(self, batch: Batch, refused: Refused) -> None:
        while not self._stop.is_set():
            try:
                self._spool.finish(batch, refused)
            except IntakeError as error:
                self._note(str(error))
                self._rest(1.0)
            else:
                break

    def _insert(
        self, into: _Into, requests: list[SpooledRequest], token: str, refused: Refused, *, are_plain: bool = False
    ) -> bool:
        """False when the flusher is to stop before it is done. `are_plain`: they are as protobuf itself writes them."""
        if not requests:
            return True
        error = self._try_insert(into.table, b"".join(request.payload for request in requests), token)
        if error is None:
            return not self._stop.is_set() or self._was_stored
        if not are_plain:
            plain = [replace(request, payload=understood(into.kind, request.payload)) for request in requests]
            if plain != requests:
                return self._insert(into, plain, f"{token}p", refused, are_plain=True)
        if len(requests) == 1:
            refused[requests[0].id].append(Refusal(error, token, into.bit))
            items = plural(requests[0].items, ONE_OF[into.kind])
            log.error("A request of %s cannot be stored and is kept as a dead letter: %s", items, error)
            return True
        middle = len(requests) // 2
        halves = ((requests[:middle], f"{token}a"), (requests[middle:], f"{token}b"))
        return all(self._insert(into, half, its_token, refused, are_plain=True) for half, its_token in halves)

    def _try_insert(self, table: str, payload: bytes, token: str) -> str | None:
        """None when it is stored, or when the flusher is to stop; else what the engine has against it."""
        self._was_stored = False
        pause, problem = 0.1, ""
        tries = 0
        while tries < _TRIES_BEFORE_HALVING:
            try:
                self._engine.insert(table, payload, token)
            except QueryFailed as error:
                return str(error)
            except EngineUnavailable as error:
                problem = str(error)
                self._note(problem)
                tries += self._engine.is_up() and not isinstance(error, EngineOutOfRoom)
            else:
                self._was_stored = True
                return None
            self._rest(pause)
            if self._stop.is_set():
                return None
            pause = min(pause * 2, _MAX_PAUSE_S)
        return problem

    def _note(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("Telemetry waits in the spool: %s", trouble)
            self.trouble = trouble
