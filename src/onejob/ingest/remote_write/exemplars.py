"""Exemplars belong to series, and in OTLP to a point: the last one of their series that is no later than they are,
else its first. They may come apart from the samples of their series, but in the same request.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from onejob.ingest.otlp_metrics import EXEMPLAR_BYTES, fill_exemplar, size_of
from onejob.ingest.remote_write.series import Exemplar

_NS_PER_MS = 1_000_000


@dataclass(slots=True)
class Exemplars:
    """By series, until all series are known."""

    _points: dict[Hashable, list[Any]] = field(default_factory=dict)
    _waiting: dict[Hashable, list[Exemplar]] = field(default_factory=dict)

    def add(self, identity: Hashable, points: Sequence[Any], exemplars: Sequence[Exemplar]) -> None:
        self._points.setdefault(identity, []).extend(points)
        if exemplars:
            self._waiting.setdefault(identity, []).extend(exemplars)

    def settle(self, spend: Callable[[int], None]) -> tuple[int, int]:
        """How many were put where they belong, and for how many there is no such place. Raises TooLarge."""
        kept = lost = 0
        for identity, exemplars in self._waiting.items():
            points = sorted(self._points[identity], key=_time)
            times = [_time(point) for point in points]
            for labels, message in exemplars:
                time_ns = message.timestamp * _NS_PER_MS
                if not points or not 0 <= time_ns < 2**63:
                    lost += 1
                    continue
                spend(EXEMPLAR_BYTES + size_of(labels.items()))
                point = points[max(0, bisect_right(times, time_ns) - 1)]
                fill_exemplar(point.exemplars.add(), labels, message.value, time_ns)
                kept += 1
        return kept, lost


def _time(point: Any) -> int:
    return int(point.time_unix_nano)
