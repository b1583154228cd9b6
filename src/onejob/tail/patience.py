"""Trying again what may pass, after pauses that grow to half a minute, for as long as it takes.

Nothing is given up meanwhile: what was not read yet stays in the log.
"""

import random
import threading
import time
from collections.abc import Callable

from onejob.tail.errors import StoppedError, UnavailableError

LONGEST_PAUSE_S = 30.0
_FIRST_PAUSE_S = 0.5
_STOP_WITHIN_S = 5.0  # a supervisor kills what has not ended ten seconds after it was asked to


class Patience:
    """Tries until it works. `say` is told when it does not, once, and when it does again."""

    def __init__(self, stop: threading.Event, say: Callable[[str], None]) -> None:
        self._stop = stop
        self._say = say
        self._said = ""

    def until(self, attempt: Callable[[], object]) -> None:
        """`attempt` raises UnavailableError while it is worth another try. StoppedError when we are to end."""
        pause_s, deadline = _FIRST_PAUSE_S, float("inf")
        while True:
            try:
                attempt()
                break
            except UnavailableError as error:
                wanted_s = error.after_s
                self._tell(str(error))
            if self._stop.is_set():
                deadline = min(deadline, time.monotonic() + _STOP_WITHIN_S)
            if time.monotonic() >= deadline:
                raise StoppedError
            self._wait(max(wanted_s, pause_s * random.uniform(0.8, 1.2)), deadline)  # noqa: S311  no secret
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        if self._said:
            self._say("It answers again.")
            self._said = ""

    def _tell(self, why: str) -> None:
        if why != self._said:
            self._say(f"{why} Trying again; nothing is lost.")
        self._said = why

    def _wait(self, pause_s: float, deadline: float) -> None:
        if deadline < float("inf"):
            time.sleep(max(0.0, min(pause_s, deadline - time.monotonic())))
        else:
            self._stop.wait(pause_s)
