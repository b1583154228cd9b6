"""What a replay asks of the store: the same counts as the live judge, of any time, for one service at once.

Answers come from the rollup, or from a subquery that computes its rows out of spans (`spans_relation`). Either way the
engine adds up, and what arrives here is small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from onejob.model.evidence import Cell
from onejob.store.engine import Reader, Scalar
from onejob.store.request_metrics import rollup_of_metrics
from onejob.store.rollup import ROLLUP, SPANS, read_all, read_cells, scope
from onejob.store.spans_relation import named, rollup_of, spans_of
from onejob.store.sql import read_query

Ints = NDArray[np.int64]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionBins:
    """Bins (Unix seconds, rising) in which a version answered, and requests in each; `environment` '' where unnamed."""

    environment: str
    version: str
    build: str
    version_source: str
    bins: Ints
    counts: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationTotal:
    """What a version did in one operation; `sum_s` adds up durations."""

    operation: str
    version: str
    build: str
    count: int
    errors: int
    sum_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSeen:
    """An instance, and in how many bins from its first to its last it answered."""

    version: str
    build: str
    instance: str
    first_bin: int
    last_bin: int
    bins: int
    count: int


@dataclass(frozen=True, slots=True)
class Past:
    """Counts of the past. `table` is the spans to compute them from; empty for onejob's own rollup.

    `has_events`: do the spans come with their events and ids, as ours and the collector's do? `metrics_bin_s`: count
    requests by the service's own histograms instead, in bins so wide.
    """

    engine: Reader
    default_environment: str
    bin_width_s: int
    table: str = ""
    timeout_s: float | None = None
    has_events: bool = True
    metrics_bin_s: int | None = None

    @property
    def spans(self) -> str:
        """What to select spans from, with onejob's columns."""
        return spans_of(self.table) if self.table else SPANS

    @property
    def relation(self) -> str:
        """What to select from."""
        if self.metrics_bin_s is not None:
            return rollup_of_metrics(self.metrics_bin_s)
        return rollup_of(self.table, self.bin_width_s) if self.table else ROLLUP

    def services(self, since: int, until: int) -> list[str]:
        """Who answered anything in [since, until), Unix seconds."""
        column, source = ("Timestamp", named(self.table)) if self.table else ("Bin", ROLLUP)
        sql = (
            f"SELECT DISTINCT ServiceName FROM {source} WHERE {column} >= toDateTime({{since:Int64}}, 'UTC') "  # noqa: S608
            f"AND {column} < toDateTime({{until:Int64}}, 'UTC') ORDER BY ServiceName"
        )
        answer = self.engine.query(sql, {"since": since, "until": until}, timeout_s=self.timeout_s)
        return [name for name in answer.column("ServiceName").to_pylist() if name]

    def presence(self, service: str, since: int, until: int) -> list[VersionBins]:
        """When each version of the service answered."""
        params: dict[str, Scalar] = {"service": service, "since": since, "until": until}
        table = self.engine.query(self._sql("presence"), params, timeout_s=self.timeout_s)
        names = ("Environment", "Version", "Build", "VersionSource")
        keys = zip(*(table.column(name).to_pylist() for name in names), strict=True)
        arrays = [[_ints(row.values) for row in table.column(name)] for name in ("Bins", "Counts")]
        return [
            VersionBins(environment=e, version=v, build=b, version_source=s, bins=bins, counts=counts)
            for (e, v, b, s), bins, counts in zip(keys, *arrays, strict=True)
        ]

    def cells(self, service: str, environment: str, since: int, until: int) -> list[Cell]:
        """As the live judge reads them."""
        return read_cells(
            self.engine,
            service=service,
            environment=environment,
            default_environment=self.default_environment,
            since=since,
            until=until,
            relation=self.relation,
            timeout_s=self.timeout_s,
        )

    def totals(self, service: str, environment: str, since: int, until: int) -> list[OperationTotal]:
        """Sums over all bins of [since, until)."""
        return self._all(OperationTotal, "operation_totals", service, environment, since, until)

    def instances(self, service: str, environment: str, since: int, until: int) -> list[InstanceSeen]:
        """Who answered in [since, until)."""
        return self._all(InstanceSeen, "instances", service, environment, since, until)

    def _all(self, kind: type[T], query: str, service: str, environment: str, since: int, until: int) -> list[T]:
        params = scope(service, environment, self.default_environment, since, until)
        return read_all(kind, self.engine, query, params, self.timeout_s, self.relation)

    def _sql(self, query: str) -> str:
        return read_query(query).replace(f"FROM {ROLLUP}\n", f"FROM {self.relation}\n")


def _ints(values: Any) -> Ints:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.int64)
