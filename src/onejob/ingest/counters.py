"""What the intake did, for the status page and for whoever wonders where their telemetry is."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from onejob.durations import DurationsBy
from onejob.model.telemetry import KINDS, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class KindStats:
    """Of one kind: requests and what is in them. `spooled` wait to be stored."""

    accepted_requests: int
    accepted: int
    rejected: int
    spooled: int
    stored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeStats:
    """Requests of all kinds, and spans; `logs` and `metrics` count log records and data points.

    `spooled_*` wait to be stored; `lag_s` is the age of the oldest of them; `refused` counts requests by reason.
    `dead_letters` are acknowledged requests that the engine refuses; they and what waits share the spool's room.
    `failing_targets` are those that are not scraped, and why; `trouble` is why nothing is taken or stored now, and what
    to do.
    """

    accepted_requests: int
    accepted_spans: int
    rejected_spans: int
    repeated_requests: int
    refused: dict[str, int]
    spooled_requests: int
    spooled_spans: int
    spooled_bytes: int
    stored_spans: int
    logs: KindStats
    metrics: KindStats
    dead_letters: int
    dead_letter_bytes: int
    lag_s: float
    first_span_at: datetime | None
    last_span_at: datetime | None
    failing_targets: dict[str, str]
    trouble: str


@dataclass(slots=True)
class OfKind:
    """As in KindStats; when the first and the last came."""

    requests: int = 0
    items: int = 0
    rejected: int = 0
    first_at: float | None = None
    last_at: float | None = None


@dataclass(slots=True)
class Counters:
    """Thread-safe; since the start of the process. `acknowledgements` are by the door that a request came through: from
    when all of it was here until the disk had it and its sender could be told. `items` are by door and kind.
    """

    kinds: dict[Kind, OfKind] = field(default_factory=lambda: {kind: OfKind() for kind in KINDS})
    repeated_requests: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    items: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    acknowledgements: DurationsBy[str] = field(default_factory=DurationsBy)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count_accepted(self, kind: Kind, items: int, rejected: int, *, door: str, is_new: bool) -> None:
        now, of_kind = time.time(), self.kinds[kind]
        with self._lock:
            of_kind.rejected += rejected
            if not is_new:
                self.repeated_requests += 1
                return
            of_kind.requests += 1
            of_kind.items += items
            self.items[door, kind] += items
            of_kind.last_at = now
            of_kind.first_at = of_kind.first_at or now

    def count_refused(self, reason: str) -> None:
        with self._lock:
            self.refused[reason] += 1
