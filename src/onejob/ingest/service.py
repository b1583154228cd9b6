"""The intake as a whole: doors, a scraper, the spool behind them, and the flusher that empties it into the engine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from onejob.durations import Durations
from onejob.ingest.backfill import Backfill, Retention, Taken
from onejob.ingest.browsers import Browsers
from onejob.ingest.counters import Counters, IntakeStats, KindStats
from onejob.ingest.dead_letters import DeadLetter
from onejob.ingest.door import Door, Gate
from onejob.ingest.flusher import Flusher, FlushPolicy
from onejob.ingest.http_server import HttpServer
from onejob.ingest.otlp_grpc import GrpcServer
from onejob.ingest.otlp_http import OtlpHttpApp
from onejob.ingest.scrape.scraper import Scraper
from onejob.ingest.spool import Spool, SpoolLimits
from onejob.model.telemetry import KINDS, Kind

if TYPE_CHECKING:
    from onejob.config import Settings
    from onejob.store.engine import Engine

_LOOK_EVERY_S = 0.05


class Intake:
    """Opens the spool and binds the ports when made, serves from `start` to `stop`; both may be called again."""

    def __init__(self, settings: Settings, engine: Engine, gate: Gate | None = None) -> None:
        limits = SpoolLimits(settings.spool_max_bytes, settings.min_free_disk_bytes, settings.retry_digest_s)
        self._counters = Counters()
        self._is_running = False
        self._is_stopped = False
        with contextlib.ExitStack() as undo:
            self._spool = Spool(settings.data_dir.resolve() / "spool" / "spool.db", limits)
            undo.callback(self._spool.close)
            door = Door(self._spool, self._counters, settings.max_request_bytes, gate)
            self._backfill = Backfill(door, _retention(settings), lambda: datetime.now(UTC))
            self._grpc = GrpcServer(door, settings.listen_host, settings.otlp_grpc_port)
            undo.callback(self._grpc.stop)
            app = Browsers(OtlpHttpApp(door), settings.browser_origins, door.welcomes)
            self._http = HttpServer(app, settings.listen_host, settings.otlp_http_port)
            self._scraper = Scraper(settings.scrape_targets, door, settings.scrape_max_bytes)
            undo.pop_all()
        self._flusher = Flusher(self._spool, engine, FlushPolicy(settings.flush_interval_s, settings.flush_max_spans))

    @property
    def grpc_port(self) -> int:
        return self._grpc.port

    @property
    def http_port(self) -> int:
        return self._http.port

    @property
    def insert_durations(self) -> Mapping[Kind, Durations]:
        """Of storing a batch in a table, tries and waits included."""
        return self._flusher.insert_durations

    def start(self) -> None:
        if self._is_running or self._is_stopped:
            return
        self._is_running = True
        self._flusher.start()
        self._grpc.start()
        self._http.start()
        self._scraper.start()

    def stop(self) -> None:
        """Doors first, so that everything acknowledged is in the spool when it closes."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self._scraper.stop()
        self._grpc.stop()
        self._http.stop()
        self._flusher.stop()
        self._spool.close()

    def backfill(self, form: str, bodies: Sequence[bytes]) -> Taken:
        """Requests of the past, `json` or `protobuf`; see `Backfill`."""
        return self._backfill.take(form, bodies)

    def dead_letters(self) -> list[DeadLetter]:
        """Acknowledged requests that the engine refuses, the oldest first."""
        return [] if self._is_stopped else self._spool.dead_letters()

    def replay_dead_letters(self, ids: Collection[int] | None = None) -> int:
        """All of them, or these, are tried once more; how many. Raises TryLater."""
        return self._spool.replay(ids)

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
        counters, spool = self._counters, self._spool
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
            dead_letters=0 if self._is_stopped else spool.dead_letter_count(),
            lag_s=max(0.0, time.time() - oldest) if oldest is not None else 0.0,
            first_span_at=_utc(traces.first_at),
            last_span_at=_utc(traces.last_at),
            failing_targets=dict(self._scraper.failing),
            trouble=" ".join(filter(None, (spool.trouble(), self._flusher.trouble))),
        )

    def _stats_of(self, kind: Kind) -> KindStats:
        counted = self._counters.kinds[kind]
        return KindStats(
            accepted_requests=counted.requests,
            accepted=counted.items,
            rejected=counted.rejected,
            spooled=self._spool.items(kind),
            stored=self._flusher.stored[kind],
        )


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
