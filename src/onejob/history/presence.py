"""When each version of one service in one environment answered, in memory, bin by bin.

A replay asks the same question as the live detection, "who served in this window?", some ten thousand times. Asked of
the store each time it would take hours; a month of one service's bins fits into a few megabytes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onejob.store.past import VersionBins
from onejob.store.rollup import VersionSeen

Ints = NDArray[np.int64]
IsMine = Callable[[str, str], bool]  # (version, build)


@dataclass(frozen=True, slots=True)
class Presence:
    """The versions of `service` in one environment, and their bins of `width_s`."""

    service: str
    width_s: int
    rows: tuple[VersionBins, ...]

    def seen(self, since: int, until: int) -> list[VersionSeen]:
        """Who served in bins that start in [since, until): what `versions_seen` answers, but for the instances."""
        found = []
        for row in self.rows:
            low, high = np.searchsorted(row.bins, (since, until))
            if low < high:
                found.append(self._seen(row, int(low), int(high)))
        return sorted(found, key=lambda seen: (seen.environment, seen.first_bin, seen.version, seen.build))

    def _seen(self, row: VersionBins, low: int, high: int) -> VersionSeen:
        return VersionSeen(
            service=self.service,
            environment=row.environment,
            version=row.version,
            build=row.build,
            version_source=row.version_source,
            first_bin=int(row.bins[low]),
            last_bin=int(row.bins[high - 1]),
            bins=high - low,
            count=int(row.counts[low:high].sum()),
            instances=(),
        )

    def beginnings(self, gap_s: float) -> Ints:
        """Bins, rising, in which a version answered that had not for `gap_s` before, or never."""
        found = [row.bins[np.insert(np.diff(row.bins) >= gap_s, 0, True)] for row in self.rows if len(row.bins)]
        return _unique(found)

    def ends(self, gap_s: float) -> Ints:
        """Bins, rising, after which a version did not answer for `gap_s`, or never again."""
        found = [row.bins[np.append(np.diff(row.bins) >= gap_s, True)] for row in self.rows if len(row.bins)]
        return _unique(found)

    def bins(self, is_mine: IsMine, since: int, until: int) -> Ints:
        """Bins in [since, until), rising, in which one of those versions answered."""
        return _unique([self._within(row, since, until)[0] for row in self._mine(is_mine)])

    def requests(self, is_mine: IsMine, since: int, until: int) -> int:
        """How many requests those versions answered in bins of [since, until)."""
        return sum(int(self._within(row, since, until)[1].sum()) for row in self._mine(is_mine))

    def _mine(self, is_mine: IsMine) -> Iterable[VersionBins]:
        return (row for row in self.rows if is_mine(row.version, row.build))

    def _within(self, row: VersionBins, since: int, until: int) -> tuple[Ints, Ints]:
        low, high = np.searchsorted(row.bins, (since, until))
        return row.bins[low:high], row.counts[low:high]


def by_environment(
    service: str, rows: Sequence[VersionBins], default_environment: str, width_s: int
) -> dict[str, Presence]:
    """A service's rows apart; those that name no environment are the default one's."""
    apart: dict[str, list[VersionBins]] = {}
    for row in rows:
        apart.setdefault(row.environment or default_environment, []).append(row)
    return {environment: Presence(service, width_s, tuple(mine)) for environment, mine in apart.items()}


def _unique(arrays: list[Ints]) -> Ints:
    return np.unique(np.concatenate(arrays)) if arrays else np.zeros(0, dtype=np.int64)
