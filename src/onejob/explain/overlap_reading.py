"""What the store holds on deployments that overlap: requests of all versions, what their traces went through, who calls
whom."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from onejob.explain.reading import Window, span_bounds
from onejob.explain.tables import Bools, Floats, Ints, column, listed, numbers, statement, to_ns
from onejob.store.engine import Engine
from onejob.store.sql import array_of_strings

MAX_REQUESTS = 3_000  # per version and outcome: the noise of a share is a point at most
_MAX_TRACES_FOR_EDGES = 1_000
_MAX_SPANS_PER_TRACE = 2_000


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

    def in_traces(self, trace_ids: Set[str]) -> Bools:
        """Those of these traces."""
        return np.array([one in trace_ids for one in self.trace_ids], dtype=np.bool_)[self.trace]


@dataclass(frozen=True, slots=True)
class Passage:
    """A trace went through this version of this service."""

    trace_id: str
    service: str
    version: str
    build: str


def read_served(engine: Engine, window: Window, operations: Sequence[str]) -> Served:
    """Requests of these operations that ended in the window, of any version; of all operations if none is named."""
    table = engine.query(
        statement("requests").substitute(operations=array_of_strings(operations)),
        {
            "service": window.service,
            "environment": window.environment,
            "default_environment": window.default_environment,
            "since_ns": to_ns(window.since),
            "until_ns": to_ns(window.until),
            "limit": MAX_REQUESTS,
        },
    )
    trace = column(table["trace_id"])
    pairs = list(zip(table["version"].to_pylist(), table["build"].to_pylist(), strict=True))
    builds = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
    return Served(
        trace=trace.codes,
        trace_ids=trace.distinct,
        build=np.array([builds[pair] for pair in pairs], dtype=np.int64),
        builds=tuple(builds),
        start_s=numbers(table, "start_ns", np.int64) / 1e9,
        duration_s=numbers(table, "duration_ns", np.int64) / 1e9,
        is_failed=numbers(table, "is_failed", np.bool_),
        weight=numbers(table, "weight", np.float64),
    )


def read_passages(engine: Engine, window: Window, trace_ids: Sequence[str], services: Sequence[str]) -> list[Passage]:
    """What versions of these services the traces went through."""
    if not trace_ids or not services:
        return []
    text = statement("trace_versions").substitute(trace_ids=listed(trace_ids), services=array_of_strings(services))
    return [Passage(**row) for row in engine.query(text, span_bounds(window)).to_pylist()]


def read_edges(engine: Engine, window: Window, trace_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of caller and called; of some of the traces, which are in no order."""
    if not trace_ids:
        return []
    text = statement("service_edges").substitute(trace_ids=listed(trace_ids[:_MAX_TRACES_FOR_EDGES]))
    table = engine.query(text, span_bounds(window) | {"per_trace": _MAX_SPANS_PER_TRACE})
    return list(zip(table["caller"].to_pylist(), table["called"].to_pylist(), strict=True))
