"""Histograms and summaries, whose samples are told apart by `le` and `quantile` on a page, as one point each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from onejob.ingest.scrape.times import nanoseconds

_APART = ("le", "quantile")
_MOST = 2**63

Key = tuple[tuple[str, str], ...]


class Unfit(Exception):  # noqa: N818
    """The samples are no histogram or summary."""


@dataclass(slots=True)
class Group:
    """`parts` are the values by `le` or `quantile`."""

    labels: Mapping[str, str]
    timestamp: Any = None
    start_ns: int = 0
    parts: list[tuple[float, float]] = field(default_factory=list)
    count: float | None = None
    sum: float | None = None
    exemplars: list[Any] = field(default_factory=list)


def key_of(labels: Mapping[str, str]) -> Key:
    return tuple(sorted(pair for pair in labels.items() if pair[0] not in _APART))


def starts(family: Any) -> dict[Key, int]:
    """When each began to count, where the page says so."""
    return {
        key_of(sample.labels): nanoseconds(sample.value, 0)
        for sample in family.samples
        if sample.name == f"{family.name}_created"
    }


def groups(family: Any) -> Iterator[Group]:
    """A group for each set of the other labels, and for each time where a page has several."""
    began = starts(family)
    found: dict[tuple[Key, Any], Group] = {}
    for sample in family.samples:
        suffix = sample.name.removeprefix(family.name)
        if sample.value is None or suffix == "_created":
            continue
        key = key_of(sample.labels)
        group = found.setdefault((key, str(sample.timestamp)), Group(dict(key), sample.timestamp, began.get(key, 0)))
        if suffix == "_count":
            group.count = sample.value
        elif suffix == "_sum":
            group.sum = sample.value
        else:
            group.parts.append((_number(sample.labels), sample.value))
            group.exemplars.append(sample.exemplar)
    yield from found.values()


def fill_histogram(point: Any, group: Group) -> None:
    """Prometheus counts up to each bound, OTLP between them. Raises Unfit."""
    parts = sorted(group.parts)
    bounds = [bound for bound, _ in parts if bound != math.inf]
    if len(set(bounds)) < len(bounds) or any(map(math.isnan, bounds)):
        raise Unfit
    point.count = _whole(group.count)
    if group.sum is not None:
        point.sum = group.sum
    if parts:
        upto = [0, *(_whole(value) for bound, value in parts if bound != math.inf), point.count]
        counts = [after - before for before, after in pairwise(upto)]
        if min(counts) < 0:
            raise Unfit
        point.explicit_bounds.extend(bounds)
        point.bucket_counts.extend(counts)


def fill_summary(point: Any, group: Group) -> None:
    """Raises Unfit."""
    if any(not 0 <= quantile <= 1 for quantile, _ in group.parts):
        raise Unfit
    point.count = _whole(group.count)
    point.sum = group.sum or 0.0
    for quantile, value in sorted(group.parts):
        point.quantile_values.add(quantile=quantile, value=value)


def _number(labels: Mapping[str, str]) -> float:
    """NaN where it is none."""
    try:
        return float(next(labels[name] for name in _APART if name in labels))
    except (StopIteration, ValueError):
        return math.nan


def _whole(count: float | None) -> int:
    if count is None or not 0 <= count < _MOST or count != int(count):
        raise Unfit
    return int(count)
