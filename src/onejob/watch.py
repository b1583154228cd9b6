"""A thread that looks at something now and then, apart from the judge's: a slow look must not delay a verdict."""

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

_LEAST_LEASE_S = 60.0
_MOST_LOOKS = 30  # at once, after a time in which nobody looked: five hours
_FORGET_EVERY = timedelta(hours=1)
_JOIN_S = 10.0


class Looking(Protocol):
    """Who looks: at new errors, or at what complaints follow."""

    def look(self, now: datetime) -> bool:
        """Whether there is more to look at."""

    def forget(self, now: datetime) -> None:
        """Delete what is kept no longer."""


class Watch:
    """Call `start` and `stop` once each. Of several servers, the one that holds the lease on `what` looks."""

    def __init__(
        self, what: str, looking: Looking, leases: Leases, holder: str, clock: Callable[[], datetime], every_s: float
    ) -> None:
        self._what = what
        self._looking = looking
        self._leases = leases
        self._holder = holder
        self._clock = clock
        self._every_s = every_s
        self._forgot_at: datetime | None = None
        self._seldom = Seldom(log)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)

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
        return self._leases.acquire(self._what, self._holder, max(_LEAST_LEASE_S, 3 * self._every_s))

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self.tick()
            except ConflictError as error:
                log.info("%s", error)
            except (StoreError, StateError) as error:
                self._seldom.warning("look", "cannot look at %s now: %s", self._what, error)
            except Exception:
                log.exception("could not look at %s; it is tried again", self._what)
