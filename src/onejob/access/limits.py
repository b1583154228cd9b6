"""How often a password may be tried: by one address for one name, by one address for all, and for one name by all.

The first stops guessing; the second trying one password on many names; the third many addresses that share the work.
Whoever has many addresses could use the third to lock somebody out, so it does not count where that name has logged in
from before: there only the first two do.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Any

from onejob.access.errors import TooManyTriesError

WINDOW_S = 900.0
OF_PASSWORDS = (10, 50, 100)  # of a name from an address, of an address, of a name
# A company is one address, and each login by the provider is kept until it comes back.
OF_PROVIDER = (300, 600, 10_000)
_MOST_KEPT = 10_000  # names and addresses; the one not tried, or proven, for longest is forgotten first

Key = tuple[str, str]


class Tries:
    """Thread-safe; of this process. `clock` counts seconds; `most` may be tried within a window."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: tuple[int, int, int] = OF_PASSWORDS) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._at: OrderedDict[Key, deque[float]] = OrderedDict()
        self._proven: OrderedDict[Key, None] = OrderedDict()
        self._told: dict[Key, float] = {}

    def take(self, name: str, address: str) -> None:
        """Count a try, before the password is looked at; TooManyTriesError if there were too many."""
        now = self._clock()
        with self._lock:
            limits = self._limits(name, address)
            wait_s, key = max((self._wait_s(key, most, now), key) for key, most in limits)
            if wait_s > 0:
                raise TooManyTriesError(int(wait_s) + 1, is_first=self._is_first(key, now))
            for key, _ in limits:
                self._at.setdefault(key, deque()).append(now)
                self._at.move_to_end(key)
            _forget_oldest(self._at)

    def forget(self, name: str, address: str) -> None:
        """The password was right: what was tried for this name from here is no guessing."""
        key = (name, _network(address))
        with self._lock:
            self._at.pop(key, None)
            self._proven[key] = None
            self._proven.move_to_end(key)
            _forget_oldest(self._proven)

    def _limits(self, name: str, address: str) -> tuple[tuple[Key, int], ...]:
        network = _network(address)
        of_both, of_address, of_name = self._most
        here: tuple[tuple[Key, int], ...] = (((name, network), of_both), (("", network), of_address))
        return here if (name, network) in self._proven else (*here, ((name, ""), of_name))

    def _is_first(self, key: Key, now: float) -> bool:
        """Whether nobody was told so yet: a flood must not become one of the audit log."""
        self._told = {known: at for known, at in self._told.items() if at > now - WINDOW_S}
        is_first = key not in self._told and len(self._told) < _MOST_KEPT
        if is_first:
            self._told[key] = now
        return is_first

    def _wait_s(self, key: Key, most: int, now: float) -> float:
        tried = self._at.get(key, deque())
        while tried and tried[0] <= now - WINDOW_S:
            tried.popleft()
        return tried[0] + WINDOW_S - now if len(tried) >= most else 0.0


def _forget_oldest(kept: OrderedDict[Key, Any]) -> None:
    while len(kept) > _MOST_KEPT:
        kept.popitem(last=False)


def _network(address: str) -> str:
    """Whoever has one IPv6 address has 2^64 of them."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return parsed.exploded[:19] if isinstance(parsed, IPv6Address) else address
