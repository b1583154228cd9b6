"""When rollouts are looked at: each in a thread, one look at a time, and who asks waits only so long.

Problem: a look at a router that hangs takes seconds, and a tick or a command that waits for it holds up whoever else
has something to say. Solution: whoever asks for a look gets a future. Per rollout at most one is under way
and one waits, which is everybody's who asks meanwhile: a hundred clicks at a dead router cost two threads.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

from onejob.act.attendant import Watch
from onejob.act.rollout import ENDED
from onejob.model.rollout import Rollout
from onejob.seldom import Seldom
from onejob.state.errors import StateUnavailableError

log = logging.getLogger(__name__)
seldom = Seldom(log)

# Made when needed, two for each router that hangs: sixteen of these are waited for before one that works has to queue.
_MOST_AT_ONCE = 32


class Looks:
    """Thread-safe. `look` is given a rollout's id and its watch, which nobody else uses meanwhile."""

    def __init__(self, look: Callable[[str, Watch, datetime], Rollout]) -> None:
        self._look = look
        self._watches: dict[str, Watch] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="rollout")

    def soon(self, rollout_id: str, now: datetime) -> Future[Rollout]:
        """A look that has not begun: the one that waits already, else a new one."""
        with self._lock:
            watch = self._watches.setdefault(rollout_id, Watch())
            if watch.waiting is None:
                watch.waiting = self._threads.submit(self._look_and_log, rollout_id, watch, now)
            return watch.waiting

    def close(self) -> None:
        """Wait for looks under way and let go of the routers."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for rollout_id, watch in list(self._watches.items()):
            self._forget(rollout_id, watch)

    def _look_and_log(self, rollout_id: str, watch: Watch, now: datetime) -> Rollout:
        with watch.lock:
            with self._lock:
                watch.waiting = None
            try:
                rollout = self._look(rollout_id, watch, now)
            except StateUnavailableError as error:
                seldom.warning(rollout_id, "cannot look at rollout %s now: %s", rollout_id, error)
                raise
            except Exception:
                log.exception("could not look at rollout %s; it is looked at again at the next tick", rollout_id)
                raise
            if rollout.state in ENDED:
                self._forget(rollout_id, watch)
            return rollout

    def _forget(self, rollout_id: str, watch: Watch) -> None:
        """Close the connection of a rollout that nobody looks at any more."""
        with self._lock:
            self._watches.pop(rollout_id, None)
        if watch.driver is not None:
            watch.driver.close()
