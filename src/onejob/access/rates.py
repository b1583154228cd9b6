"""How often somebody who is let in may ask.

Problem: a script in an endless loop, or a token in the wrong hands, keeps the databases from everybody else. Solution:
a token bucket for each user and each API token, kept as the one number that it is made of, when it is full again (the
generic cell rate algorithm, ITU-T I.371). It is about load, so each server counts what it answers itself, in memory.
Tries at passwords are another matter, counted by name and address, for all servers together: `limits`.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil

from onejob.access.errors import TooManyRequestsError


class Rates:
    """Thread-safe. `burst` requests at once, and `per_minute` in the long run."""

    def __init__(self, per_minute: int, burst: int, clock: Callable[[], datetime]) -> None:
        self._per_minute = per_minute
        self._each = timedelta(minutes=1) / per_minute
        self._whole = burst * self._each
        self._clock = clock
        self._lock = threading.Lock()
        self._full_at: dict[str, datetime] = {}
        self._swept_at: datetime | None = None

    def take(self, who: str) -> None:
        """Count a request; TooManyRequestsError for one too many, which is not counted."""
        now = self._clock()
        with self._lock:
            self._sweep(now)
            # A clock that was set back would make somebody wait as long; an empty bucket is all there is to wait for.
            full_at = min(max(self._full_at.get(who, now), now), now + self._whole)
            wait = full_at + self._each - self._whole - now
            is_too_many = wait > timedelta(0)
            self._full_at[who] = full_at if is_too_many else full_at + self._each
        if is_too_many:
            raise TooManyRequestsError(self._per_minute, ceil(wait.total_seconds()))

    def _sweep(self, now: datetime) -> None:
        """A full bucket is one that nobody took from: only who asked lately is kept."""
        if self._swept_at is None or not self._swept_at <= now < self._swept_at + self._whole:
            self._swept_at = now
            self._full_at = {who: at for who, at in self._full_at.items() if at > now}
