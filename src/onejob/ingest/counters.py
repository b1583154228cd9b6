"""What the intake did, for the status page and for whoever wonders where their spans are."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeStats:
    """`spooled_*` wait to be stored; `lag_s` is the age of the oldest of them; `refused` counts requests by reason.

    `trouble` is why nothing is taken or stored now, and what to do.
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
    dead_letters: int
    lag_s: float
    first_span_at: datetime | None
    last_span_at: datetime | None
    trouble: str


@dataclass(slots=True)
class Counters:
    """Thread-safe; since the start of the process."""

    accepted_requests: int = 0
    accepted_spans: int = 0
    rejected_spans: int = 0
    repeated_requests: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    first_at: float | None = None
    last_at: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count_accepted(self, spans: int, rejected: int, *, is_new: bool) -> None:
        now = time.time()
        with self._lock:
            self.rejected_spans += rejected
            if not is_new:
                self.repeated_requests += 1
                return
            self.accepted_requests += 1
            self.accepted_spans += spans
            self.last_at = now
            self.first_at = self.first_at or now

    def count_refused(self, reason: str) -> None:
        with self._lock:
            self.refused[reason] += 1
