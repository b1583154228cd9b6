"""Fetches each target's page at its interval, and keeps it as anything that is sent: checked, spooled, counted.

One thread with an event loop for all of them, in which every target has a task of its own; one more thread reads the
pages, as that takes Python a while. A target that does not answer, or answers nonsense, is `up 0`; the others do not
notice. What the spool cannot take is lost, as the page is another one by the time it could.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import httpx

from onejob.ingest.door import Door
from onejob.ingest.errors import BadRequest, IntakeError
from onejob.ingest.otlp_metrics import Metrics
from onejob.ingest.scrape.fetch import Fetched, fetch
from onejob.ingest.scrape.pages import Page, read, resource_with
from onejob.ingest.validate import Accepted
from onejob.model.scrape import ScrapeTarget

log = logging.getLogger(__name__)

_MOST_OF_ONES_OWN = 2**20  # bytes of what is said of a target that is down: never reached


class Scraper:
    """`door_of` knows the projects that are there."""

    def __init__(self, targets: Sequence[ScrapeTarget], door_of: Callable[[str], Door | None], max_bytes: int) -> None:
        self._targets = targets
        self._door_of = door_of
        self._max_bytes = max_bytes
        self._loop = asyncio.new_event_loop()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="scrape-read")
        self._thread = threading.Thread(target=self._run, name="scrape", daemon=True)
        self._failing: dict[str, str] = {}

    def start(self) -> None:
        if self._targets:
            self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop_all)
            self._thread.join()
        elif not self._loop.is_closed():
            self._loop.close()
        self._reader.shutdown()

    def failing(self, project: str) -> dict[str, str]:
        """Why, by the name of the target."""
        found = dict(self._failing)
        return {one.name: found[one.name] for one in self._targets if one.project == project and one.name in found}

    def _stop_all(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _run(self) -> None:
        # Names are looked up in threads: one for each, as a name server that is silent holds its one for long.
        self._loop.set_default_executor(ThreadPoolExecutor(len(self._targets), thread_name_prefix="scrape-names"))
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._watch_all())
        self._loop.close()

    async def _watch_all(self) -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(trust_env=False, limits=limits) as client:
            count = len(self._targets)
            await asyncio.gather(
                *(self._watch(client, target, place / count) for place, target in enumerate(self._targets))
            )

    async def _watch(self, client: httpx.AsyncClient, target: ScrapeTarget, phase: float) -> None:
        """`phase` spreads those of one interval over it, so that not all come at once."""
        due = self._loop.time() + phase * target.interval_s
        while True:
            await asyncio.sleep(due - self._loop.time())
            try:
                await self._scrape(client, target)
            except IntakeError as error:
                self._note(target, f"what it said could not be kept: {error}")
            except Exception:  # whatever it is, the other targets and the next time must not suffer
                log.exception("Scraping %s failed.", target.name)
            missed = max(0.0, self._loop.time() - due) // target.interval_s
            due += target.interval_s * (missed + 1)

    async def _scrape(self, client: httpx.AsyncClient, target: ScrapeTarget) -> None:
        at_ns, began = time.time_ns(), time.monotonic()
        door = self._door_of(target.project)
        if door is None:
            self._note(target, f"its project {target.project} is not there")
            return
        try:
            fetched = await fetch(client, target, self._max_bytes)
            took_s = time.monotonic() - began
            await self._keep(door, target, fetched, at_ns, took_s)
        except BadRequest as error:
            self._note(target, str(error))
            await self._keep(door, target, None, at_ns, time.monotonic() - began)
        else:
            self._note(target, "")

    async def _keep(self, door: Door, target: ScrapeTarget, fetched: Fetched | None, at_ns: int, took_s: float) -> None:
        def check(_body: bytes) -> Accepted:
            return accepted(target, fetched, door.max_request_bytes, at_ns, took_s)

        def work() -> Future[bool] | None:
            return door.check_and_spool(b"", check, through="scrape")[1]

        waiting = await self._loop.run_in_executor(self._reader, work)
        if waiting is not None:
            await asyncio.wrap_future(waiting)

    def _note(self, target: ScrapeTarget, problem: str) -> None:
        if problem == self._failing.get(target.name, ""):
            return
        if problem:
            self._failing[target.name] = problem
            log.warning("The target %s is not scraped: %s.", target.name, problem)
        else:
            del self._failing[target.name]
            log.info("The target %s is scraped again.", target.name)


def accepted(target: ScrapeTarget, fetched: Fetched | None, limit: int, at_ns: int, took_s: float) -> Accepted:
    """A page, or that there is none, and how fetching it went. Raises BadRequest."""
    metrics = Metrics(limit if fetched else _MOST_OF_ONES_OWN)
    if fetched:
        page = read(target, fetched.text, fetched.media, metrics, at_ns)
    else:
        page = Page(metrics, resource_with(target, {}), at_ns)
    page.add_number("up", float(fetched is not None))
    page.add_number("scrape_duration_seconds", took_s, "seconds")
    page.add_number("scrape_samples_scraped", page.samples)
    items, tables = metrics.tables()
    return Accepted("metrics", metrics.request.SerializeToString(), items, tables=tables)
