"""Moves batches from the spool into the engine, each exactly once.

    claim -> insert under the batch's token -> delete from the spool

A crash between any two of these repeats the insert under the same token, which the engine then leaves out. While the
engine is away the batch waits. A batch the engine refuses is halved until the culprits are alone; they go to the dead
letters, the rest is stored.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from onejob.ingest.dead_letters import Refusal
from onejob.ingest.errors import IntakeError
from onejob.ingest.spool import Batch, Spool, SpooledRequest
from onejob.store.engine import Engine
from onejob.store.errors import EngineOutOfRoom, EngineUnavailable, QueryFailed

log = logging.getLogger(__name__)

MAX_BATCH_BYTES = 32 * 2**20
_LOOK_EVERY_S = 0.05
# A batch the engine keeps failing on for passing reasons (out of memory, killed) is halved like a refused one. Many
# tries, for a half's token is not the whole's: had the engine died after it stored the whole, halves would double it.
_TRIES_BEFORE_HALVING = 10
_MAX_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class FlushPolicy:
    interval_s: float
    max_spans: int


class Flusher:
    """One thread. `stored_spans` and `last_stored_at` say how far it is."""

    def __init__(self, spool: Spool, engine: Engine, policy: FlushPolicy) -> None:
        self._spool = spool
        self._engine = engine
        self._policy = policy
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.stored_spans = 0
        self.last_stored_at: float | None = None
        self.trouble = ""

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="flusher", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends after the insert at hand; what is in the spool stays there."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        for batch in self._spool.unfinished_batches():
            self._store(batch)
        while not self._stop.is_set():
            batch_or_none = self._next()
            if batch_or_none is None:
                self._stop.wait(_LOOK_EVERY_S)
            else:
                self._store(batch_or_none)

    def _next(self) -> Batch | None:
        if self._spool.spans < self._policy.max_spans:
            oldest = self._spool.oldest_received_at()
            if oldest is None or time.time() - oldest < self._policy.interval_s:
                return None
        try:
            return self._spool.claim(max_spans=self._policy.max_spans, max_bytes=MAX_BATCH_BYTES)
        except IntakeError as error:
            self._note(str(error))
            self._stop.wait(1.0)
            return None

    def _store(self, batch: Batch) -> None:
        """Returns when the batch is out of the spool, or the flusher is to stop."""
        refused: dict[int, Refusal] = {}
        if not self._insert(batch.requests, batch.token, refused):
            return
        while not self._stop.is_set():
            try:
                self._spool.finish(batch, refused)
            except IntakeError as error:
                self._note(str(error))
                self._stop.wait(1.0)
            else:
                break
        self.stored_spans += batch.spans - sum(r.spans for r in batch.requests if r.id in refused)
        self.last_stored_at = time.time()
        self.trouble = ""

    def _insert(self, requests: Sequence[SpooledRequest], token: str, refused: dict[int, Refusal]) -> bool:
        """False when the flusher is to stop before it is done."""
        if not requests:
            return True
        error = self._try_insert(b"".join(request.payload for request in requests), token)
        if error is None:
            return not self._stop.is_set() or self._was_stored
        if len(requests) == 1:
            refused[requests[0].id] = Refusal(error, token)
            log.error(
                "A request of %d spans cannot be stored and is kept as a dead letter: %s", requests[0].spans, error
            )
            return True
        middle = len(requests) // 2
        halves = ((requests[:middle], f"{token}a"), (requests[middle:], f"{token}b"))
        return all(self._insert(half, its_token, refused) for half, its_token in halves)

    def _try_insert(self, payload: bytes, token: str) -> str | None:
        """None when it is stored, or when the flusher is to stop; else what the engine has against it."""
        self._was_stored = False
        pause, problem = 0.1, ""
        tries = 0
        while tries < _TRIES_BEFORE_HALVING:
            try:
                self._engine.insert_traces(payload, token)
            except QueryFailed as error:
                return str(error)
            except EngineUnavailable as error:
                problem = str(error)
                self._note(problem)
                tries += self._engine.is_up() and not isinstance(error, EngineOutOfRoom)
            else:
                self._was_stored = True
                return None
            if self._stop.wait(pause):
                return None
            pause = min(pause * 2, _MAX_PAUSE_S)
        return problem

    def _note(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("Spans wait in the spool: %s", trouble)
            self.trouble = trouble
