"""The whole way: a real server is sent spans and log records, and what is wrong in them is listed by itself."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from known.builders import NOW, a_failing_span, a_line, stack
from onejob.state.database import Database
from onejob.state.errors import ConflictError
from onejob.state.leases import Leases
from onejob.watch import Watch
from otlp_builders import a_log_request, a_payload
from servers import running_server
from waiting import wait_until


class Looks:
    """Looks that are counted; `more` of them find that there is more."""

    def __init__(self, more: int = 0, error: Exception | None = None) -> None:
        self.more = more
        self.error = error
        self.looks = 0
        self.forgotten = 0
        self.looked = threading.Event()

    def look(self, now: datetime) -> bool:
        self.looks += 1
        self.looked.set()
        if self.error is not None:
            raise self.error
        self.more -= 1
        return self.more >= 0

    def forget(self, now: datetime) -> None:
        self.forgotten += 1


def watch(looks: Looks, database: Database, holder: str = "a", every_s: float = 0.01) -> Watch:
    return Watch("errors", looks, Leases(database, clock=lambda: NOW), holder, lambda: NOW, every_s)


def test_it_looks_until_there_is_no_more_and_forgets_now_and_then(sqlite_database: Database) -> None:
    looks = Looks(more=3)
    watching = watch(looks, sqlite_database)
    watching.tick()
    watching.tick()
    assert (looks.looks, looks.forgotten) == (5, 1)


def test_of_two_servers_one_looks(sqlite_database: Database) -> None:
    mine, theirs = Looks(), Looks()
    watch(mine, sqlite_database, "a").tick()
    watch(theirs, sqlite_database, "b").tick()
    assert (mine.looks, theirs.looks) == (1, 0)


def test_a_look_that_fails_is_made_again(sqlite_database: Database) -> None:
    for error in (ConflictError("somebody was faster"), ZeroDivisionError()):
        looks = Looks(error=error)
        watching = watch(looks, sqlite_database)
        watching.start()
        for _ in range(2):
            assert looks.looked.wait(10)
            looks.looked.clear()
        watching.stop()
        assert looks.looks >= 2


def test_a_server_lists_what_it_is_sent(tmp_path: Path) -> None:
    at = datetime.now(UTC) - timedelta(seconds=3)
    resource = {"service.version": "2"}
    with running_server(tmp_path, errors_tick_s=0.2, watermark_s=0.1, flush_interval_s=0.1) as server:
        ports = httpx.get(f"{server.url}/api/v1/status").json()["ports"]
        to = f"http://127.0.0.1:{ports['otlp_http']}/v1"
        headers = {"content-type": "application/x-protobuf"}
        spans = a_payload(a_failing_span(at, stack()), service="checkout", resource=resource)
        lines = a_log_request(a_line(at, "payment 17 declined", 13), service="checkout", resource=resource)
        assert httpx.post(f"{to}/traces", content=spans, headers=headers).is_success
        assert httpx.post(f"{to}/logs", content=lines.SerializeToString(), headers=headers).is_success

        def titles() -> set[str]:
            items = httpx.get(f"{server.url}/api/v1/errors").json()["items"]
            return {one["title"] for one in items if one["last_day"] == 1 and one["first_version"] == "2"}

        wanted = {"KeyError in price (checkout/pricing.py)", "payment <*> declined"}
        wait_until(lambda: titles() == wanted, "errors being listed")
        assert "KeyError in price" in httpx.get(f"{server.url}/errors", headers={"accept": "text/html"}).text
