"""Lines in, requests of OTLP out: a batch at a time, the next one when the last one is acknowledged.

    Source -> Reader -> Routes, Deployed -> export_request -> [StateFile] -> Shipper -> [StateFile]

So no more than a batch is ever in memory, and what is not sent stays in the log.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from onejob import words
from onejob.tail.deployed import Deployed
from onejob.tail.entry import Entry
from onejob.tail.errors import FormatError, StoppedError
from onejob.tail.layout import Reader
from onejob.tail.routes import Routes
from onejob.tail.shipper import Shipper
from onejob.tail.sources import Source
from onejob.tail.spans import Request, export_request
from onejob.tail.state import State, StateFile
from onejob.tail.tally import Tally

_MOST_LINES = 2000
_MOST_BYTES = 2**20
_LINGER_S = 1.0  # how long a batch may grow; a judged bin is complete after twelve seconds
_ENOUGH = 100  # lines after which a format in which none of them is must be another one
_SAY_EVERY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What holds for all lines; `version` and `instance` for those that do not tell theirs."""

    service: str
    environment: str = ""
    version: str = ""
    instance: str = ""

    @property
    def resource(self) -> dict[str, str]:
        return {"service.name": self.service, "deployment.environment.name": self.environment}


class Tail:
    """Reads until the source is done or `stop` is set. `deployed` tells versions where the line and `given` do not."""

    def __init__(
        self,
        *,
        given: Given,
        source: Source,
        reader: Reader,
        routes: Routes,
        shipper: Shipper,
        state: StateFile,
        deployed: Deployed | None,
        stop: threading.Event,
        say: Callable[[str], None],
    ) -> None:
        self._given = given
        self._source = source
        self._reader = reader
        self._routes = routes
        self._shipper = shipper
        self._state = state
        self._deployed = deployed
        self._stop = stop
        self._say = say
        self.tally = Tally()
        self._said_at = time.monotonic()
        self._said_unreadable = 0
        self._has_said_no_duration = False

    def run(self, known: State) -> None:
        """`known` is the state to go on from. FormatError if no line is in the format; what others raise besides."""
        try:
            if known.pending:
                self._shipper.send(known.pending)
            self._keep()  # from now on a restart goes on here
            while not self._source.is_done:
                self._pass(self._collected())
                self._report(is_last=False)
        except StoppedError:
            self._say("Ended before everything was sent; the next start goes on there.")
        self._report(is_last=True)

    def _collected(self) -> list[bytes]:
        lines: list[bytes] = []
        size, begun = 0, time.monotonic()
        while len(lines) < _MOST_LINES and size < _MOST_BYTES:
            left_s = begun + _LINGER_S - time.monotonic()
            found = self._source.lines(_MOST_LINES - len(lines), max(0.0, left_s))
            lines += found
            size += sum(map(len, found))
            if left_s <= 0 or self._source.is_done:
                break
        return lines

    def _pass(self, lines: list[bytes]) -> None:
        if not lines:
            return
        entries = self._entries(lines)
        if self.tally.is_fruitless:  # they are read again when the format is the right one
            self._give_up_if_hopeless()
            return
        body = export_request(self._requests(entries), self._given.resource)
        if body:
            self._keep(body)
            self._shipper.send(body)
        self._keep()

    def _give_up_if_hopeless(self) -> None:
        is_all = self._source.is_done and not self._stop.is_set()
        if is_all or self.tally.unreadable >= _ENOUGH:
            raise FormatError(
                f"None of the first {words.plural(self.tally.unreadable, 'line')} is in this format: say which it is "
                f"with --format and --log-format. The first: {self.tally.example}"
            )

    def _entries(self, lines: list[bytes]) -> list[Entry]:
        entries = []
        for line in lines:
            text = line.lstrip(b"\0").rstrip(b"\r").decode("utf-8", "replace")
            if not text.strip():
                continue
            found = self._reader.read(text)
            self.tally.count(text, found)
            if isinstance(found, Entry):
                entries.append(found)
        return entries

    def _requests(self, entries: list[Entry]) -> list[Request]:
        self._know_versions(entries)
        return [
            Request(
                entry=entry,
                route=self._routes.route(entry.path, entry.status),
                version=entry.version or self._version(entry),
                instance=entry.instance or self._given.instance,
            )
            for entry in entries
        ]

    def _know_versions(self, entries: list[Entry]) -> None:
        unsaid = [entry.ended_ns for entry in entries if not entry.version]
        if self._deployed is None or not unsaid:
            return
        try:
            self._deployed.know(max(unsaid))
        except StoppedError:
            if self._source.can_repeat:
                raise

    def _version(self, entry: Entry) -> str:
        if self._given.version or self._deployed is None:
            return self._given.version
        return self._deployed.version(entry.ended_ns)

    def _keep(self, pending: bytes = b"") -> None:
        named = tuple(sorted(self._routes.named))
        self._state.save(State(marks=self._source.marks(), named=named, pending=pending))

    def _report(self, *, is_last: bool) -> None:
        if self.tally.requests and not self._reader.has_duration and not self._has_said_no_duration:
            self._has_said_no_duration = True
            self._say(
                "This log does not tell how long requests took, so nothing can be said of latency: log it, see "
                "docs/how-to-access-logs.md."
            )
        new = self.tally.unreadable - self._said_unreadable
        is_time = self._said_unreadable == 0 or time.monotonic() - self._said_at >= _SAY_EVERY_S
        if new and (is_last or is_time):
            example = f" The first: {self.tally.example}" if self._said_unreadable == 0 else ""
            self._say(f"{self.tally.unreadable:,} of {self.tally.lines:,} lines could not be read.{example}")
            self._said_at, self._said_unreadable = time.monotonic(), self.tally.unreadable
