"""How often a password may be tried: by one address for one name, by one address for all, and for one name by all.

The first stops guessing; the second trying one password on many names; the third many addresses that share the work.
Whoever has many addresses could use the third to lock somebody out, so it does not count where that name has logged in
from before: there only the first two do. Servers that share a state database count together.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from math import ceil

from onejob.access.errors import TooManyTriesError
from onejob.state.tries import Tried, TryCounts

OF_PASSWORDS = (10, 50, 100)  # of a name from an address, of an address, of a name
# Three of a million codes are right at a time. Who knows the password, and has many addresses, can try 960 a day: one
# of them is right with 0.3 %.
OF_CODES = (5, 50, 10)
# A company is one address, and each login by the provider is kept until it comes back.
OF_PROVIDER = (300, 600, 10_000)
_CLEAN_EVERY = timedelta(minutes=1)


class Tries:
    """Thread-safe. `what` is tried; `most` may be within a window."""

    def __init__(
        self,
        counts: TryCounts,
        clock: Callable[[], datetime],
        what: str = "password",
        most: tuple[int, int, int] = OF_PASSWORDS,
    ) -> None:
        self._counts = counts
        self._clock = clock
        self._what = what
        self._most = most
        self._cleaned_at: datetime | None = None

    def take(self, name: str, address: str) -> None:
        """Count a try, before what is tried is looked at; TooManyTriesError if there were too many."""
        now = self._clock()
        here, _, of_name = keys = self._keys(name, _network(address))
        found = self._counts.find(keys, now)
        limits = dict(zip(keys, self._most, strict=True))
        if here in found and found[here].is_proven:
            del limits[of_name]
        # Asked before it is written, so that a flood of what is refused keeps nobody else from writing.
        full = _full(found, limits)
        if full or not self._counts.add(limits, now):
            raise self._too_many(full or _full(self._counts.find(limits, now), limits), now)
        if self._cleaned_at is None or now >= self._cleaned_at + _CLEAN_EVERY:
            self._cleaned_at = now
            self._counts.clean(now)

    def forget(self, name: str, address: str) -> None:
        """It was right: what was tried for this name from here is no guessing."""
        self._counts.prove(self._key(name, _network(address)), self._clock())

    def _too_many(self, full: Mapping[str, datetime], now: datetime) -> TooManyTriesError:
        if not full:  # it was another server's last try, and its window ended a moment ago
            return TooManyTriesError(1, is_first=False)
        last = max(full, key=lambda key: full[key])
        return TooManyTriesError(ceil((full[last] - now).total_seconds()), is_first=self._counts.tell(last))

    def _keys(self, name: str, network: str) -> tuple[str, str, str]:
        return self._key(name, network), self._key("", network), self._key(name, "")

    def _key(self, name: str, network: str) -> str:
        """A name that is typed may be a password, so hardly anything is kept of it: two of 16 million may meet."""
        return f"{self._what} {hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:6]} {network}"


def _full(found: Mapping[str, Tried], limits: Mapping[str, int]) -> Mapping[str, datetime]:
    """What had its most, and until when."""
    return {key: found[key].until for key, most in limits.items() if key in found and found[key].count >= most}


def _network(address: str) -> str:
    """Whoever has one IPv6 address has 2^64 of them."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return parsed.exploded[:19] if isinstance(parsed, IPv6Address) else address
