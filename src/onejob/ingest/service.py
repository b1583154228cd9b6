"""The intake as a whole: doors and a scraper, which all projects share; and of each project a spool, and the flusher
that empties it into its database.

    ports -> Doors.admit -> Door of the project -> its spool -> its flusher -> its database
                            `- rooms and turns that projects share -'
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from onejob.durations import Durations
from onejob.ingest.backfill import Backfill, Retention, Taken
from onejob.ingest.browsers import Browsers
from onejob.ingest.counters import Counters, IntakeStats, KindStats
from onejob.ingest.dead_letters import DeadLetter
from onejob.ingest.door import Door
from onejob.ingest.doors import Doors, Gate
from onejob.ingest.errors import IntakeError
from onejob.ingest.flusher import BATCHES_AT_ONCE, RESTING_BYTES, Flusher, FlushPolicy
from onejob.ingest.http_server import HttpServer
from onejob.ingest.otlp_grpc import GrpcServer
from onejob.ingest.otlp_http import OtlpHttpApp
from onejob.ingest.room import Room
from onejob.ingest.scrape.scraper import Scraper
from onejob.ingest.spool import SharedRooms, Spool, SpoolLimits
from onejob.ingest.turns import Turns
from onejob.model.project import DEFAULT_PROJECT
from onejob.model.telemetry import KINDS, Kind
from onejob.own_spans import OwnSpans

if TYPE_CHECKING:
    from onejob.config import Settings
    from onejob.store.engine import Engine

_MAX_HELD_BYTES = 256 * 2**20
_LOOK_EVERY_S = 0.05


@dataclass(slots=True)
class _Common:
    """What projects share: ports, room on disk and in memory, and turns at the engine. `failing` are targets of a
    project that are not scraped, and why.
    """

    rooms: SharedRooms
    memory: Room = field(default_factory=lambda: Room(_MAX_HELD_BYTES, takes_one_always=True))
    turns: Turns = field(default_factory=lambda: Turns(BATCHES_AT_ONCE, RESTING_BYTES))
    grpc_port: int = 0
    http_port: int = 0
    failing: Callable[[str], dict[str, str]] = lambda _project: {}
    spans: OwnSpans = field(default_factory=OwnSpans)


class ProjectIntake:
    """One project's: it opens the spool when made, and stores from `start` to `stop`; both may be called again."""

    def __init__(self, project: str, settings: Settings, engine: Engine, common: _Common) -> None:
        days = settings.dead_letters_retention_days
        limits = SpoolLimits(
            settings.spool_max_bytes,
            settings.min_free_disk_bytes,
            settings.retry_digest_s,
            None if days is None else timedelta(days=days).total_seconds(),
        )
        policy = FlushPolicy(settings.flush_interval_s, settings.flush_max_spans)
        self.project = project
        self._common = common
        self.counters = Counters()
        self._is_running = False
        self._is_stopped = False
        self._spool = Spool(settings.data_dir.resolve() / "spool" / "spool.db", limits, common.rooms)
        self._flusher = Flusher(self._spool, engine, policy, common.turns, common.spans.of_project(project))
        self.door = Door(self._spool, self.counters, common.memory.part(), settings.max_request_bytes)
        self._backfill = Backfill(self.door, _retention(settings), lambda: datetime.now(UTC))

    @property
    def grpc_port(self) -> int:
        return self._common.grpc_port

    @property
    def http_port(self) -> int:
        return self._common.http_port

    @property
    def insert_durations(self) -> Mapping[Kind, Durations]:
        """Of storing a batch in a table, tries and waits included."""
        return self._flusher.insert_durations

    def start(self) -> None:
        if not self._is_running and not self._is_stopped:
            self._is_running = True
            self._flusher.start()

    def stop(self) -> None:
        """What was acknowledged and is not stored stays in the spool. Who sends is to be told first."""
        if not self._is_stopped:
            self._is_stopped = True
            self._flusher.stop()
            self._spool.close()
            self.door.memory.close()

    def backfill(self, form: str, bodies: Sequence[bytes]) -> Taken:
        """Requests of the past, `json` or `protobuf`; see `Backfill`."""
        return self._backfill.take(form, bodies)

    def dead_letters(self) -> list[DeadLetter]:
        """Acknowledged requests that the engine refuses, the oldest first, a thousand at most."""
        return [] if self._is_stopped else self._spool.dead_letters()

    def replay_dead_letters(self, ids: Collection[int] | None = None) -> int:
        """All of them, or these, are tried once more; how many. Raises TryLater."""
        return self._spool.replay(ids)

    def delete_dead_letters(self, ids: Collection[int] | None = None) -> int:
        """All of them, or these, for good; how many. Raises TryLater."""
        return self._spool.delete_dead_letters(ids)

    def wipe(self) -> bool:
        """Leave nothing on disk of what is not in the spool any more; False if that cannot be now. Raises TryLater."""
        return self._spool.wipe()

    def settle(self, timeout_s: float) -> bool:
        """Wait until what is in the spool now is stored; False if that takes longer, or it is stopped."""
        last, until = self._spool.last_request(), time.monotonic() + timeout_s
        while not self._is_stopped and time.monotonic() < until:
            if self._spool.has_stored(last):
                return True
            time.sleep(_LOOK_EVERY_S)
        return False

    @contextlib.contextmanager
    def paused(self, timeout_s: float) -> Iterator[bool]:
        """While it is open no batch is moved into the engine, and none is there in part; False if what is under way
        takes longer than that, or was cut off."""
        is_ours = self._flusher.between_batches.acquire(timeout=timeout_s)
        try:
            yield is_ours and not self._is_stopped
        finally:
            if is_ours:
                self._flusher.between_batches.release()

    def forget_dead_letters(self, attribute: str, value: str) -> int:
        """Delete those that name it; how many."""
        return self._spool.forget_dead_letters(attribute, value)

    def stats(self) -> IntakeStats:
        counters, spool = self.counters, self._spool
        oldest = None if self._is_stopped else spool.oldest_received_at()
        traces = counters.kinds["traces"]
        return IntakeStats(
            accepted_requests=sum(counters.kinds[kind].requests for kind in KINDS),
            accepted_spans=traces.items,
            rejected_spans=traces.rejected,
            repeated_requests=counters.repeated_requests,
            refused=dict(counters.refused),
            spooled_requests=spool.requests,
            spooled_spans=spool.spans,
            spooled_bytes=spool.size_bytes,
            stored_spans=self._flusher.stored["traces"],
            logs=self._stats_of("logs"),
            metrics=self._stats_of("metrics"),
            dead_letters=spool.dead.letters,
            dead_letter_bytes=spool.dead.bytes,
            lag_s=max(0.0, time.time() - oldest) if oldest is not None else 0.0,
            first_span_at=_utc(traces.first_at),
            last_span_at=_utc(traces.last_at),
            failing_targets=self._common.failing(self.project),
            trouble=" ".join(filter(None, (spool.trouble(), self._flusher.trouble))),
        )

    def _stats_of(self, kind: Kind) -> KindStats:
        counted = self.counters.kinds[kind]
        return KindStats(
            accepted_requests=counted.requests,
            accepted=counted.items,
            rejected=counted.rejected,
            spooled=self._spool.items(kind),
            stored=self._flusher.stored[kind],
        )


class Intake(ProjectIntake):
    """That of the project `default`, with the ports, which are bound when it is made, and with the other projects."""

    def __init__(
        self, settings: Settings, engine: Engine, gate: Gate | None = None, spans: OwnSpans | None = None
    ) -> None:
        common = _Common(SharedRooms.of(settings.spool_max_bytes), spans=spans or OwnSpans())
        super().__init__(DEFAULT_PROJECT, settings, engine, common)
        self._lock = threading.Lock()
        self._others: dict[str, ProjectIntake] = {}
        self._doors = doors = Doors(
            settings.max_request_bytes,
            self.counters,
            gate,
            needs_token=settings.require_ingest_tokens,
            origins=settings.browser_origins,
        )
        doors.open(DEFAULT_PROJECT, self.door)
        with contextlib.ExitStack() as undo:
            undo.callback(super().stop)
            self._grpc = GrpcServer(doors, settings.listen_host, settings.otlp_grpc_port)
            undo.callback(self._grpc.stop)
            app = Browsers(OtlpHttpApp(doors), doors.welcomes)
            self._http = HttpServer(app, settings.listen_host, settings.otlp_http_port)
            self._scraper = Scraper(settings.scrape_targets, doors.of, settings.scrape_max_bytes)
            undo.pop_all()
        common.grpc_port, common.http_port, common.failing = self._grpc.port, self._http.port, self._scraper.failing

    def start(self) -> None:
        with self._lock:
            if self._is_running or self._is_stopped:
                return
            super().start()
            for other in self._others.values():
                other.start()
        self._grpc.start()
        self._http.start()
        self._scraper.start()

    def stop(self) -> None:
        """Doors first, so that everything acknowledged is in a spool when that closes."""
        with self._lock:
            if self._is_stopped:
                return
            self._scraper.stop()
            self._grpc.stop()
            self._http.stop()
            for other in self._others.values():
                other.stop()
            super().stop()

    def open(self, project: str, settings: Settings, engine: Engine) -> ProjectIntake:
        """Take telemetry for one more project, as its settings say, into its database. Raises IntakeError."""
        with self._lock:
            if project in self._others or project == self.project or self._is_stopped:
                raise IntakeError(f"The project {project} is open already, or the server is stopping.")
            opened = ProjectIntake(project, settings, engine, self._common)
            self._others[project] = opened
            self._doors.open(project, opened.door)
            if self._is_running:
                opened.start()
        return opened

    def door_of(self, project: str) -> Door | None:
        """For what this server says of itself; None while the project is not there."""
        return self._doors.of(project)

    def close(self, project: str) -> None:
        """Take no more for it; clients are told to come back. What is acknowledged stays in its spool. Idempotent."""
        with self._lock:
            self._doors.close(project)
            closed = self._others.pop(project, None)
        if closed is not None:
            closed.stop()


def _retention(settings: Settings) -> Retention:
    kept = (
        settings.traces_retention_days,
        settings.rollup_retention_days,
        settings.logs_retention_days,
        settings.metrics_retention_days,
    )
    traces, counts, logs, metrics = (timedelta(days=days) for days in kept)
    return Retention(traces=traces, counts=max(traces, counts), logs=logs, metrics=metrics)


def _utc(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
