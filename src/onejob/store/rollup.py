"""What the rest of onejob asks the store: counts per bin, the versions that serve, and how much is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from onejob.model.evidence import Cell
from onejob.store.engine import Engine, Reader, Scalar
from onejob.store.sql import read_query

T = TypeVar("T")

ROLLUP = "operation_rollup"
SPANS = "otel_traces"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSeen:
    """A version that served entry traffic in the window; `environment` is '' where unnamed.

    `first_bin` and `last_bin` are Unix seconds, `bins` is how many of the bins from one to the other it served in.
    """

    service: str
    environment: str
    version: str
    build: str
    version_source: str
    first_bin: int
    last_bin: int
    bins: int
    count: int
    instances: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How much is stored; `last_span_at` is None while nothing is."""

    spans: int
    services: int
    last_span_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoint:
    """One step of a chart: requests of one version, sampled or not; `zeros` and `buckets` are of spans, as in Cell."""

    version: str
    build: str
    bin_start: int
    count: int
    errors: int
    sum_s: float
    zeros: int
    buckets: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSkew:
    """Spans of one instance whose times cannot be right; they are in no bin."""

    service: str
    environment: str
    instance: str
    spans: int
    earliest_s: float
    latest_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledService:
    """A service of whose requests only some are sent; `each_stands_for` so many, where spans say it."""

    service: str
    is_tail_sampled: bool
    each_stands_for: float


def read_cells(
    engine: Reader,
    *,
    service: str,
    environment: str,
    default_environment: str,
    since: int,
    until: int,
    relation: str = ROLLUP,
    timeout_s: float | None = None,
) -> list[Cell]:
    """Every version's requests in bins that start in [since, until), Unix seconds. `relation` has ROLLUP's columns."""
    params = scope(service, environment, default_environment, since, until)
    rows = _rows(engine, "read_cells", params, timeout_s, relation)
    return [Cell(**_as_held(row)) for row in rows]


def versions_seen(engine: Reader, *, since: int, until: int, timeout_s: float | None = None) -> list[VersionSeen]:
    """Who served entry traffic in bins that start in [since, until). `timeout_s` as in `Engine.query`."""
    return read_all(VersionSeen, engine, "versions_seen", {"since": since, "until": until}, timeout_s)


def totals(engine: Engine, *, timeout_s: float | None = None) -> Totals:
    """For the first page of an empty installation. `timeout_s` as in `Engine.query`."""
    row = _rows(engine, "totals", {}, timeout_s)[0]
    last = datetime.fromtimestamp(row["LastSpan"], UTC) if row["Spans"] else None
    return Totals(spans=row["Spans"], services=row["Services"], last_span_at=last)


def series(
    engine: Engine,
    *,
    service: str,
    environment: str,
    default_environment: str,
    operation: str | None = None,
    since: int,
    until: int,
    step_s: int,
    timeout_s: float | None = None,
) -> list[SeriesPoint]:
    """Counts per version in steps of `step_s`; all operations when `operation` is None. `timeout_s` as in
    `Engine.query`."""
    params = scope(service, environment, default_environment, since, until)
    params |= {"operation": operation or "", "step": step_s}
    return read_all(SeriesPoint, engine, "series", params, timeout_s)


def clock_skew(engine: Engine, *, since: int) -> list[ClockSkew]:
    """Instances that sent impossible times since then (Unix seconds, whole hours)."""
    return read_all(ClockSkew, engine, "clock_skew", {"since": since - since % 3600})


def sampled_services(engine: Engine, *, since: int, until: int) -> list[SampledService]:
    """Those that say so in bins that start in [since, until), Unix seconds."""
    return read_all(SampledService, engine, "sampled_services", {"since": since, "until": until})


def environment_filter(environment: str, default_environment: str) -> str:
    """What `Environment` must equal besides the name: telemetry that names none is the default environment's."""
    return "" if environment == default_environment else environment


def scope(service: str, environment: str, default_environment: str, since: int, until: int) -> dict[str, Scalar]:
    """Parameters of the queries about one service."""
    return {
        "service": service,
        "environment": environment,
        "unnamed": environment_filter(environment, default_environment),
        "since": since,
        "until": until,
    }


def read_all(
    kind: type[T],
    engine: Reader,
    query: str,
    params: Mapping[str, Scalar],
    timeout_s: float | None = None,
    relation: str = ROLLUP,
) -> list[T]:
    """A query whose columns are called like the fields of `kind`; its maps and lists become what the fields hold."""
    rows = _rows(engine, query, params, timeout_s, relation)
    return [kind(**_held(row)) for row in rows]


def _held(row: dict[str, Any]) -> dict[str, Any]:
    row.update({name: held(row[name]) for name, held in _HELD.items() if name in row})
    return row


def _as_held(row: dict[str, Any]) -> dict[str, Any]:
    """Of a cell: where each span stands for itself, there is nothing to say of sampling."""
    if row["adjusted"] == row["adjusted_sq"] == row["count"] and row["adjusted_errors"] == row["errors"]:
        row.update(adjusted=None, adjusted_errors=None, adjusted_sq=None)
    return _held(row)


_HELD: dict[str, Callable[[Any], Any]] = {"buckets": dict, "instances": tuple}


def _rows(
    engine: Reader, query: str, params: Mapping[str, Scalar], timeout_s: float | None = None, relation: str = ROLLUP
) -> list[dict[str, Any]]:
    sql = read_query(query).replace(f"FROM {ROLLUP}\n", f"FROM {relation}\n")
    rows: list[dict[str, Any]] = engine.query(sql, params, timeout_s=timeout_s).to_pylist()
    return rows
