"""Native histograms as OTLP has them: exponential ones, or with bounds of their own (schema -53).

Prometheus numbers buckets by their upper bound, OTLP by their lower one: the same bucket is one less there
(OpenTelemetry specification, compatibility/prometheus_and_openmetrics.md, "Exponential Histograms"). Prometheus leaves
empty buckets out and may count in fractions; OTLP does neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, islice
from typing import Any

_SCHEMAS = range(-4, 9)
CUSTOM = -53
_GAUGE = 3  # a reset hint
_MOST_BUCKETS = 20_000  # from the first to the last; Prometheus limits them to some hundreds
_FARTHEST = 2**20  # number of a bucket; at the finest schema, those of floating-point numbers end at 2**18 or so
_MOST = 2**63

Spend = Callable[[int], None]


class Unfit(Exception):  # noqa: N818
    """Why a histogram cannot be kept."""


def fill(point: Any, histogram: Any, spend: Spend) -> None:
    """Counts, sum and buckets of an exponential histogram's point. `spend` is told of each bucket. Raises Unfit."""
    _refuse_gauge(histogram)
    if histogram.schema not in _SCHEMAS:
        raise Unfit(f"has the schema {histogram.schema}; it must be from {_SCHEMAS[0]} to {_SCHEMAS[-1]}, or {CUSTOM}.")
    _fill_sizes(point, histogram)
    point.scale = histogram.schema
    point.zero_count = _whole(histogram.zero_count_float or histogram.zero_count_int)
    for side, spans in (("positive", histogram.positive_spans), ("negative", histogram.negative_spans)):
        first, counts = _dense(spans, _counts(histogram, side), spend)
        if counts:
            buckets = getattr(point, side)
            buckets.offset = first - 1
            buckets.bucket_counts.extend(counts)


def fill_custom(point: Any, histogram: Any, spend: Spend) -> None:
    """The same of a histogram's point with explicit bounds. Raises Unfit."""
    _refuse_gauge(histogram)
    bounds = list(histogram.custom_values)
    if bounds != sorted(set(bounds)):
        raise Unfit("has custom values that do not rise.")
    _fill_sizes(point, histogram)
    first, counts = _dense(histogram.positive_spans, _counts(histogram, "positive"), spend)
    after = len(bounds) + 1 - first - len(counts)
    if first < 0 or after < 0:
        raise Unfit(f"counts in buckets that its {len(bounds)} custom values do not bound.")
    spend(16 * len(bounds))
    point.explicit_bounds.extend(bounds)
    point.bucket_counts.extend([*[0] * first, *counts, *[0] * after])


def _refuse_gauge(histogram: Any) -> None:
    if histogram.reset_hint == _GAUGE:
        raise Unfit("is a gauge histogram, which OTLP has no place for.")


def _fill_sizes(point: Any, histogram: Any) -> None:
    point.count = _whole(histogram.count_float or histogram.count_int)
    point.sum = histogram.sum


def _counts(histogram: Any, side: str) -> list[int]:
    deltas = getattr(histogram, f"{side}_deltas")
    if len(deltas) + len(getattr(histogram, f"{side}_counts")) > _MOST_BUCKETS:
        raise Unfit(f"has more than {_MOST_BUCKETS} buckets.")
    counts = list(accumulate(deltas)) if deltas else [_whole(count) for count in getattr(histogram, f"{side}_counts")]
    if counts and not 0 <= min(counts) <= max(counts) < _MOST:
        raise Unfit("has a bucket with a count below 0, or beyond all limits.")
    return counts


def _whole(count: float) -> int:
    if not 0 <= count < _MOST or count != int(count):
        raise Unfit(f"counts {count}, and OTLP counts in whole numbers.")
    return int(count)


def _dense(spans: Sequence[Any], counts: list[int], spend: Spend) -> tuple[int, list[int]]:
    """The number of the first bucket, and what is in each from there on."""
    if len(spans) > _MOST_BUCKETS or sum(span.length for span in spans) != len(counts):
        raise Unfit("has spans that do not fit its buckets.")
    gaps = [span.offset for span in islice(spans, 1, None)]
    size = len(counts) + sum(gaps)
    first = spans[0].offset if spans else 0
    if (gaps and min(gaps) < 0) or size > _MOST_BUCKETS or abs(first) > _FARTHEST:
        raise Unfit(f"has spans that go back, or reach over more than {_MOST_BUCKETS} buckets.")
    spend(size)
    return first, list(_with_gaps(spans, iter(counts)))


def _with_gaps(spans: Sequence[Any], counts: Iterator[int]) -> Iterator[int]:
    for number, span in enumerate(spans):
        if number:
            yield from (0 for _ in range(span.offset))
        yield from islice(counts, span.length)
