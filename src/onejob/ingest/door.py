"""The way into one project: what all protocols do with a request once they have its bytes, check it, spool it, count
it. See `doors` for which project a request is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock

from onejob.ingest.counters import Counters
from onejob.ingest.errors import IntakeError, TryLater
from onejob.ingest.room import Part
from onejob.ingest.spool import Spool
from onejob.ingest.validate import Accepted, Check

INLINE_BYTES = 256 * 1024  # checked on the event loop (2 ms); larger ones in a thread


@dataclass(frozen=True, slots=True, eq=False)
class Door:
    """`memory` is for requests from when they come until they are answered."""

    spool: Spool
    counters: Counters
    memory: Part
    max_request_bytes: int

    def hold(self, size: int) -> None:
        """So many bytes more of a request are in memory. Raises TryLater."""
        if not self.memory.take(size):
            self.counters.count_refused(TryLater.__name__)
            raise TryLater("Too much is being sent at once.", retry_after_s=1, is_overload=True)

    def release(self, size: int) -> None:
        """They are not any more."""
        self.memory.add(-size)

    def check_and_spool(
        self, body: bytes, check: Check, *, through: str, for_good: bool = False
    ) -> tuple[Accepted, Future[bool] | None]:
        """The future is done once the request is on disk; None when there is nothing to store. Raises IntakeError.

        `through` names the protocol, or what else it came by. `for_good`: recognise the request whenever it comes
        again, not for a while only.
        """
        try:
            accepted = check(body)
            parts = [part for part in (accepted, *accepted.beside) if part.items]
            waiting = [self._spool(part, through, for_good) for part in parts]
        except IntakeError as error:
            self.counters.count_refused(type(error).__name__)
            raise
        return accepted, _when_all_are(waiting) if waiting else None

    def _spool(self, accepted: Accepted, through: str, for_good: bool) -> Future[bool]:
        waiting = self.spool.append(
            accepted.payload, accepted.items, kind=accepted.kind, tables=accepted.tables, for_good=for_good
        )
        waiting.add_done_callback(lambda done: self._count(accepted, through, done))
        return waiting

    def _count(self, accepted: Accepted, through: str, done: Future[bool]) -> None:
        if done.exception() is None:
            self.counters.count_accepted(
                accepted.kind, accepted.items, accepted.rejected, door=through, is_new=done.result()
            )
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
