"""What both protocols do with a request once they have its bytes: check it, spool it, count it."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from onejob.ingest.counters import Counters
from onejob.ingest.errors import IntakeError
from onejob.ingest.spool import Spool
from onejob.ingest.validate import Accepted, Check

INLINE_BYTES = 256 * 1024  # checked on the event loop (2 ms); larger ones in a thread


@dataclass(frozen=True, slots=True)
class Door:
    """`max_request_bytes` counts after decompression."""

    spool: Spool
    counters: Counters
    max_request_bytes: int

    def check_and_spool(
        self, body: bytes, check: Check, *, for_good: bool = False
    ) -> tuple[Accepted, Future[bool] | None]:
        """The future is done once the request is on disk; None when there is nothing to store. Raises IntakeError.

        `for_good`: recognise the request whenever it comes again, not for a while only.
        """
        try:
            accepted = check(body)
            waiting = self._spool(accepted, for_good) if accepted.items else None
        except IntakeError as error:
            self.counters.count_refused(type(error).__name__)
            raise
        if waiting is not None:
            waiting.add_done_callback(lambda done: self._count(accepted, done))
        return accepted, waiting

    def _spool(self, accepted: Accepted, for_good: bool) -> Future[bool]:
        return self.spool.append(
            accepted.payload, accepted.items, kind=accepted.kind, tables=accepted.tables, for_good=for_good
        )

    def _count(self, accepted: Accepted, done: Future[bool]) -> None:
        if done.exception() is None:
            self.counters.count_accepted(accepted.kind, accepted.items, accepted.rejected, is_new=done.result())
        else:
            self.counters.count_refused("TryLater")
