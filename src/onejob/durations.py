"""How long something takes, kept as the counts that Prometheus reads.

Problem: an average hides the one insert in a hundred that takes a minute. Solution: counts by how long it took, in
steps of a factor of about two, which add up over time and over servers.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

STEPS_S = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Counted:
    """`at_most` has for each of STEPS_S how many took no longer; `count` is of all, `sum_s` is their sum."""

    at_most: tuple[int, ...]
    count: int
    sum_s: float


@dataclass(slots=True)
class Durations:
    """Thread-safe; since the start of the process."""

    _counts: list[int] = field(default_factory=lambda: [0] * (len(STEPS_S) + 1))
    _sum_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, seconds: float) -> None:
        with self._lock:
            self._counts[bisect_left(STEPS_S, seconds)] += 1
            self._sum_s += seconds

    def counted(self) -> Counted:
        with self._lock:
            counts, sum_s = list(self._counts), self._sum_s
        at_most = tuple(sum(counts[: step + 1]) for step in range(len(STEPS_S)))
        return Counted(at_most, sum(counts), sum_s)


class DurationsBy(Generic[Key]):
    """Those of several things. Thread-safe. Keys must be few, whatever strangers send: each is kept for ever."""

    def __init__(self) -> None:
        self._by: dict[Key, Durations] = {}

    def add(self, key: Key, seconds: float) -> None:
        found = self._by.get(key)
        if found is None:
            found = self._by.setdefault(key, Durations())
        found.add(seconds)

    def counted(self) -> dict[Key, Counted]:
        return {key: durations.counted() for key, durations in self._by.copy().items()}
