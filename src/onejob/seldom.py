"""Warnings that do not fill the log.

Problem: what is tried every second and fails for an hour, because a disk is full, would be said 3,600 times. Solution:
once a minute at most about the same thing; that it goes on is seen in `onejob status`.
"""

import logging
import threading
import time
from collections.abc import Callable

_EVERY_S = 60.0


class Seldom:
    """Thread-safe. `clock` counts seconds."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._said_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def warning(self, about: str, message: str, *values: object) -> None:
        """As `Logger.warning`, unless something was said about the same within the last minute."""
        now = self._clock()
        with self._lock:
            self._said_at = {known: at for known, at in self._said_at.items() if now - at < _EVERY_S}
            if about in self._said_at:
                return
            self._said_at[about] = now
        self._log.warning(message, *values)
