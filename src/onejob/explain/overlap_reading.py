"""What the store holds on deployments that overlap: requests of all versions, what their traces went through, who calls
whom.

Busy services and services with many versions are read no more of than quiet ones: a sample, bounded as a whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from onejob.explain.reading import Window, of_window, span_bounds
from onejob.explain.tables import Bools, Floats, Ints, as_stored, listed, numbers, statement
from onejob.store.engine import Engine
from onejob.store.sql import array_of_strings

MAX_REQUESTS = 6_000  # of all versions together: with two of them, the noise of a share is 1.3 points
_PER_STRATUM = 3_000  # per version and outcome: a point
_MAX_TRACES_FOR_EDGES = 1_000
_MAX_SPANS_PER_TRACE = 2_000
_IDS_PER_QUERY = 3_000  # engines take statements of 256 KiB by default, and an id takes 36 bytes of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Requests to one service, one array element each; `trace` numbers `trace_ids`, `build` numbers `builds`."""

    trace: Ints
    trace_ids: tuple[str, ...]
    build: Ints
    builds: tuple[tuple[str, str], ...]
    start_s: Floats
    duration_s: Floats
    is_failed: Bools
    weight: Floats

    def __len__(self) -> int:
        return len(self.trace)

    def of_version(self, matches: Callable[[str, str], bool]) -> Bools:
        """Those that a version answered."""
        return np.array([matches(*one) for one in self.builds], dtype=np.bool_)[self.build]

    def take(self, kept: Bools) -> "Served":
        """These of them."""
        return replace(
            self,
            trace=self.trace[kept],
            build=self.build[kept],
            start_s=self.start_s[kept],
            duration_s=self.duration_s[kept],
            is_failed=self.is_failed[kept],
            weight=self.weight[kept],
        )

    def in_traces(self, traces: Ints) -> Bools:
        """Those of the traces with these numbers."""
        among = np.zeros(len(self.trace_ids), dtype=np.bool_)
        among[traces] = True
        return among[self.trace]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passages:
    """Which traces went through which versions, an element per trace and version.

    `trace` as in `Served`; `place` numbers `places`, which are (service, version, build).
    """

    trace: Ints
    place: Ints
    places: tuple[tuple[str, str, str], ...]

    def through(self, service: str, matches: Callable[[str, str], bool]) -> Ints:
        """Numbers of the traces that went through such a version of the service."""
        is_meant = [name == service and matches(version, build) for name, version, build in self.places]
        return self.trace[np.array(is_meant, dtype=np.bool_)[self.place]]


def read_served(engine: Engine, window: Window, operations: Sequence[str]) -> Served:
    """Requests of these operations that ended in the window, of any version; of all operations if none is named."""
    table = engine.query(
        statement("requests").substitute(operations=array_of_strings(operations)),
        of_window(window) | {"limit": _PER_STRATUM, "most": MAX_REQUESTS},
    )
    trace = as_stored(table["trace_id"])
    build, builds = _numbered(table, "version", "build")
    is_failed = numbers(table, "is_failed", np.bool_)
    return Served(
        trace=trace.codes,
        trace_ids=trace.distinct,
        build=build,
        builds=tuple((version, digest) for version, digest in builds),
        start_s=numbers(table, "start_ns", np.int64) / 1e9,
        duration_s=numbers(table, "duration_ns", np.int64) / 1e9,
        is_failed=is_failed,
        weight=_weight(numbers(table, "stratum", np.float64), 2 * build + is_failed),
    )


def read_passages(engine: Engine, window: Window, trace_ids: Sequence[str], services: Sequence[str]) -> Passages:
    """What versions of these services the traces went through."""
    if not trace_ids or not services:
        nothing = np.zeros(0, dtype=np.int64)
        return Passages(trace=nothing, place=nothing, places=())
    tables = [
        engine.query(
            statement("trace_versions").substitute(trace_ids=listed(ids), services=array_of_strings(services)),
            span_bounds(window),
        )
        for ids in (trace_ids[at : at + _IDS_PER_QUERY] for at in range(0, len(trace_ids), _IDS_PER_QUERY))
    ]
    table = pa.concat_tables(tables)
    number = {trace_id: place for place, trace_id in enumerate(trace_ids)}
    trace = as_stored(table["trace_id"])
    place, places = _numbered(table, "service", "version", "build")
    return Passages(
        trace=np.array([number[trace_id] for trace_id in trace.distinct], dtype=np.int64)[trace.codes],
        place=place,
        places=tuple((service, version, build) for service, version, build in places),
    )


def read_edges(engine: Engine, window: Window, trace_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of caller and called; of some of the traces, which are in no order."""
    if not trace_ids:
        return []
    text = statement("service_edges").substitute(trace_ids=listed(trace_ids[:_MAX_TRACES_FOR_EDGES]))
    table = engine.query(text, span_bounds(window) | {"per_trace": _MAX_SPANS_PER_TRACE})
    return list(zip(table["caller"].to_pylist(), table["called"].to_pylist(), strict=True))


def _weight(stratum: Floats, strata: Ints) -> Floats:
    """How many requests each stands for, from how many there are of its version and outcome."""
    return stratum / np.bincount(strata)[strata]


def _numbered(table: pa.Table, *names: str) -> tuple[Ints, list[tuple[str, ...]]]:
    """The combinations of strings in these columns: a number per row, and what the numbers stand for."""
    columns = [as_stored(table[name]) for name in names]
    together = np.zeros(len(table), dtype=np.int64)
    for one in columns:
        together = together * (len(one.distinct) + 1) + one.codes
    _, first, codes = np.unique(together, return_index=True, return_inverse=True)
    return codes.astype(np.int64), [tuple(one[row] for one in columns) for row in first.tolist()]
