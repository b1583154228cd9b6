"""The thread that looks at telemetry for errors, apart from the judge's: a slow look must not delay a verdict."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from onejob.seldom import Seldom
from onejob.state.errors import ConflictError, StateError
from onejob.state.leases import Leases
from onejob.store.errors import StoreError

log = logging.getLogger(__name__)

_LEASE = "errors"
_LEAST_LEASE_S = 60.0
_MOST_LOOKS = 30  # at once, after a time in which nobody looked: five hours
_FORGET_EVERY = timedelta(hours=1)
_JOIN_S = 10.0


class Looking(Protocol):
    """`ErrorLook`, as far as it is asked here."""

    def look(self, now: datetime) -> bool: ...

    def forget(self, now: datetime) -> None: ...


class ErrorWatch:
    """Call `start` and `stop` once each. Of several servers, the one that holds the lease looks."""

    def __init__(
        self, looking: Looking, leases: Leases, holder: str, clock: Callable[[], datetime], every_s: float
    ) -> None:
        self._looking = looking
        self._leases = leases
        self._holder = holder
        self._clock = clock
        self._every_s = every_s
        self._forgot_at: datetime | None = None
        self._seldom = Seldom(log)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="errors", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look under way."""
        self._stopping.set()
        self._thread.join(_JOIN_S)

    def tick(self) -> None:
        """Look until there is nothing left to look at, or others are to have their turn."""
        for _ in range(_MOST_LOOKS):
            if self._stopping.is_set() or not self._is_ours() or not self._looking.look(self._clock()):
                break
        now = self._clock()
        if self._forgot_at is None or now - self._forgot_at > _FORGET_EVERY:
            self._looking.forget(now)
            self._forgot_at = now

    def _is_ours(self) -> bool:
        return self._leases.acquire(_LEASE, self._holder, max(_LEAST_LEASE_S, 3 * self._every_s))

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self.tick()
            except ConflictError as error:
                log.info("%s", error)
            except (StoreError, StateError) as error:
                self._seldom.warning("look", "cannot look for errors now: %s", error)
            except Exception:
                log.exception("could not look for errors; it is tried again")
