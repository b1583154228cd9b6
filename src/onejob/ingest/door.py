"""What both protocols do with a request once they have its bytes: check it, spool it, count it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from onejob.ingest.counters import Counters
from onejob.ingest.errors import IntakeError, Unauthenticated
from onejob.ingest.spool import Spool
from onejob.ingest.validate import Accepted, Check

REFUSAL = (
    "This server takes telemetry with an ingest token only: make one with `onejob token create --ingest`, and send it "
    "as the header `authorization: Bearer onejob_ingest_...`."
)
INLINE_BYTES = 256 * 1024  # checked on the event loop (2 ms); larger ones in a thread


class Gate(Protocol):
    """Knows the tokens that may send telemetry."""

    def admits(self, authorization: str, origin: str | None) -> bool:
        """Whether this header may, from a page of that origin if there is one."""

    def welcomes(self, origin: str) -> bool:
        """Whether pages of that origin may at all, with the right token."""


@dataclass(frozen=True, slots=True)
class Door:
    """`max_request_bytes` counts after decompression. Without a `gate` everybody may send."""

    spool: Spool
    counters: Counters
    max_request_bytes: int
    gate: Gate | None = None

    def admit(self, authorization: str, origin: str | None = None) -> None:
        """Before anything of a request is read. Raises Unauthenticated."""
        if self.gate is not None and not self.gate.admits(authorization, origin):
            self.counters.count_refused(Unauthenticated.__name__)
            raise Unauthenticated(REFUSAL)

    def welcomes(self, origin: str) -> bool:
        """Whether pages of that origin may read what they are answered."""
        return self.gate is not None and self.gate.welcomes(origin)

    def check_and_spool(
        self, body: bytes, check: Check, *, for_good: bool = False
    ) -> tuple[Accepted, Future[bool] | None]:
        """The future is done once the request is on disk; None when there is nothing to store. Raises IntakeError.

        `for_good`: recognise the request whenever it comes again, not for a while only.
        """
        try:
            accepted = check(body)
            parts = [part for part in (accepted, *accepted.beside) if part.items]
            waiting = [self._spool(part, for_good) for part in parts]
        except IntakeError as error:
            self.counters.count_refused(type(error).__name__)
            raise
        return accepted, _when_all_are(waiting) if waiting else None

    def _spool(self, accepted: Accepted, for_good: bool) -> Future[bool]:
        waiting = self.spool.append(
            accepted.payload, accepted.items, kind=accepted.kind, tables=accepted.tables, for_good=for_good
        )
        waiting.add_done_callback(lambda done: self._count(accepted, done))
        return waiting

    def _count(self, accepted: Accepted, done: Future[bool]) -> None:
        if done.exception() is None:
            self.counters.count_accepted(accepted.kind, accepted.items, accepted.rejected, is_new=done.result())
        else:
            self.counters.count_refused("TryLater")


def _when_all_are(waiting: Sequence[Future[bool]]) -> Future[bool]:
    """Done when all are, and fails if one does."""
    if len(waiting) == 1:
        return waiting[0]
    whole: Future[bool] = Future()
    whole.set_running_or_notify_cancel()  # a client that goes away cancels nothing
    lock, left = Lock(), len(waiting)

    def count(_done: Future[bool]) -> None:
        nonlocal left
        with lock:
            left -= 1
            if left:
                return
        error = next(filter(None, (one.exception() for one in waiting)), None)
        if error is not None:
            whole.set_exception(error)
        else:
            whole.set_result(any(one.result() for one in waiting))

    for one in waiting:
        one.add_done_callback(count)
    return whole
