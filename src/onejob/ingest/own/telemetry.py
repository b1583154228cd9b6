"""Hands over what onejob says of itself: spans every few seconds, the page of metrics every minute.

In a thread of its own, which alone waits for the disk. What cannot be kept is dropped, as the server has more important
things to keep: spans are counted then (`onejob_own_spans_dropped_total`), and a page is another one by the next time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from onejob.ingest.door import Door
from onejob.ingest.errors import IntakeError
from onejob.ingest.own.requests import request_of
from onejob.ingest.scrape.fetch import Fetched
from onejob.ingest.scrape.scraper import accepted
from onejob.ingest.validate import PROTOBUF_CHECKS, Check
from onejob.model.scrape import ScrapeTarget
from onejob.own_spans import Buffer
from onejob.seldom import Seldom

log = logging.getLogger(__name__)

DOOR = "own"
_SPANS_EVERY_S = 5.0  # as OpenTelemetry's SDKs have it (OTEL_BSP_SCHEDULE_DELAY)
_DISK_S = 30.0  # longest wait for it
_MOST_PAGE_BYTES = 8 * 2**20  # as OTLP: never reached
_JOIN_S = 10.0


class SelfTelemetry:
    """Call `start` and `stop` once each. `page` makes the text that `GET /metrics` answers; `door_of` knows the
    projects that are there; `target` says who onejob is, and which project its telemetry is kept in.
    """

    def __init__(
        self, target: ScrapeTarget, buffer: Buffer, page: Callable[[], bytes], door_of: Callable[[str], Door | None]
    ) -> None:
        self._target = target
        self._buffer = buffer
        self._page = page
        self._door_of = door_of
        self._seldom = Seldom(log)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="own-telemetry", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What is there is handed over before."""
        self._stopping.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        page_due = time.monotonic()
        while not self._stopping.wait(_SPANS_EVERY_S):
            self._attempt(self._tell_spans)
            if time.monotonic() >= page_due and self._door_of(self._target.project) is not None:
                page_due = time.monotonic() + self._target.interval_s
                self._attempt(self._tell_page)
        self._attempt(self._tell_spans)

    def _attempt(self, tell: Callable[[], object]) -> None:
        try:
            tell()
        except Exception as error:  # whatever it is, nobody else notices
            self._say(f"{type(error).__name__}: {error}")

    def _tell_spans(self) -> None:
        spans, is_kept = self._buffer.take(), False
        try:
            is_kept = not spans or self._keep(request_of(spans, self._target), PROTOBUF_CHECKS["traces"])
        finally:
            self._buffer.drop(0 if is_kept else len(spans))

    def _tell_page(self) -> bool:
        at_ns, began = time.time_ns(), time.monotonic()
        fetched = Fetched(self._page().decode(), "text/plain")
        took_s = time.monotonic() - began
        return self._keep(b"", lambda _: accepted(self._target, fetched, _MOST_PAGE_BYTES, at_ns, took_s))

    def _keep(self, body: bytes, check: Check) -> bool:
        """Returns once it is on the disk; False where it is lost."""
        door = self._door_of(self._target.project)
        if door is None:
            self._say(f"its project {self._target.project} is not there")
            return False
        try:
            _, waiting = door.check_and_spool(body, check, through=DOOR)
            if waiting is not None:
                waiting.result(_DISK_S)
        except (IntakeError, TimeoutError) as error:
            self._say(str(error) or "the disk is too slow")
            return False
        return True

    def _say(self, why: str) -> None:
        self._seldom.warning("own", "What onejob says of itself is not kept: %s", why)
