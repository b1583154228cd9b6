"""How often a password may be tried: by one address for one name, by one address for all, and for one name by all.

The first stops guessing; the second trying one password on many names; the third many addresses that share the work. It
is far above the first, so that nobody locks somebody else out by being wrong in their name a few times.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from onejob.access.errors import TooManyTriesError

WINDOW_S = 900.0
_OF_BOTH, _OF_ADDRESS, _OF_NAME = 10, 50, 100
_MOST_KEPT = 10_000  # names and addresses; the one not tried for longest is forgotten first

Key = tuple[str, str]


class Tries:
    """Thread-safe; of this process. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._at: OrderedDict[Key, deque[float]] = OrderedDict()

    def take(self, name: str, address: str) -> None:
        """Count a try, before the password is looked at; TooManyTriesError if there were too many."""
        now = self._clock()
        with self._lock:
            wait_s = max(self._wait_s(key, most, now) for key, most in _limits(name, address))
            if wait_s > 0:
                raise TooManyTriesError(int(wait_s) + 1)
            for key, _ in _limits(name, address):
                self._at.setdefault(key, deque()).append(now)
                self._at.move_to_end(key)
            while len(self._at) > _MOST_KEPT:
                self._at.popitem(last=False)

    def forget(self, name: str, address: str) -> None:
        """The password was right: what was tried for this name from here is no guessing."""
        with self._lock:
            self._at.pop((name, _network(address)), None)

    def _wait_s(self, key: Key, most: int, now: float) -> float:
        tried = self._at.get(key, deque())
        while tried and tried[0] <= now - WINDOW_S:
            tried.popleft()
        return tried[0] + WINDOW_S - now if len(tried) >= most else 0.0


def _limits(name: str, address: str) -> tuple[tuple[Key, int], ...]:
    network = _network(address)
    return ((name, network), _OF_BOTH), (("", network), _OF_ADDRESS), ((name, ""), _OF_NAME)


def _network(address: str) -> str:
    """Whoever has one IPv6 address has 2^64 of them."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return parsed.exploded[:19] if isinstance(parsed, IPv6Address) else address
