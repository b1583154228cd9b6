"""The points of one series, each with the attributes of the series."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from onejob.ingest.labels import Pairs, put
from onejob.ingest.otlp_metrics import NO_RECORDED_VALUE, Family, Form, Metrics, Source, size_of
from onejob.ingest.remote_write import histograms
from onejob.ingest.remote_write.histograms import Unfit
from onejob.ingest.remote_write.series import Series

_STALE = 0x7FF0000000000002  # the bits of the NaN that ends a series (remote write 1.0, "Stale Markers")
_NS_PER_MS = 1_000_000
_LAST_MS = (2**63 - 1) // _NS_PER_MS


@dataclass(slots=True)
class Tally:
    """`sent` and `bad` count samples, histograms and exemplars; `first` is what is wrong with the first bad one."""

    samples: int = 0
    histograms: int = 0
    sent: int = 0
    bad: int = 0
    first: str = ""

    def refuse(self, count: int, why: str) -> None:
        self.bad += count
        self.first = self.first or why


@dataclass(slots=True)
class Points:
    """Adds those of `series` to `metrics`; counts them, and those that cannot be kept."""

    metrics: Metrics
    tally: Tally
    source: Source
    name: str
    series: Series
    attributes: Pairs

    def samples(self, form: Form, is_monotonic: bool) -> Iterator[Any]:
        """Raises TooLarge."""
        if not self.series.samples:
            return
        points = self._room(form, len(self.series.samples), is_monotonic)
        for sample in self.series.samples:
            if not 0 < sample.timestamp <= _LAST_MS:
                self._refuse("sample", f"has the time {sample.timestamp} ms, which is none.")
                continue
            point = self._added(points, sample)
            self.tally.samples += 1
            if is_stale(sample.value):
                point.flags = NO_RECORDED_VALUE
            else:
                point.as_double = sample.value
            yield point

    def histograms(self) -> Iterator[Any]:
        """Raises TooLarge."""
        for histogram in self.series.histograms:
            is_custom = histogram.schema == histograms.CUSTOM
            points = self._room("histogram" if is_custom else "exponential_histogram", 1)
            if not 0 < histogram.timestamp <= _LAST_MS:
                self._refuse("histogram", f"has the time {histogram.timestamp} ms, which is none.")
                continue
            point = self._added(points, histogram)
            try:
                self._fill(point, histogram, is_custom)
            except Unfit as problem:
                del points[-1]
                self._refuse("histogram", str(problem))
            else:
                self.tally.histograms += 1
                yield point

    def _fill(self, point: Any, histogram: Any, is_custom: bool) -> None:
        if is_stale(histogram.sum):
            point.flags = NO_RECORDED_VALUE
        elif is_custom:
            histograms.fill_custom(point, histogram, self.metrics.spend)
        else:
            histograms.fill(point, histogram, self.metrics.spend)

    def _refuse(self, what: str, why: str) -> None:
        self.tally.refuse(1, f"A {what} of {self.name[:100]!r} {why}")

    def _room(self, form: Form, count: int, is_monotonic: bool = False) -> Any:
        self.metrics.spend(count * size_of(self.attributes), count)
        family = Family(self.name, form, is_monotonic, self.series.description, self.series.unit)
        return self.metrics.points(self.source, family)

    def _added(self, points: Any, item: Any) -> Any:
        point = points.add()
        point.time_unix_nano = item.timestamp * _NS_PER_MS
        start = item.start_timestamp or self.series.start_ms
        if 0 < start <= _LAST_MS:
            point.start_time_unix_nano = start * _NS_PER_MS
        put(point.attributes, self.attributes)
        return point


def is_stale(value: float) -> bool:
    return value != value and struct.unpack("<Q", struct.pack("<d", value))[0] == _STALE  # noqa: PLR0124  NaN
