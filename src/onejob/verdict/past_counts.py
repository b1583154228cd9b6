"""A service's past as counts per step, read from the store; `past` makes expectations of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from onejob.stats import histogram
from onejob.stats.expectation import DAY_S
from onejob.store.engine import Reader, Scalar
from onejob.store.rollup import ROLLUP, environment_filter

Floats = NDArray[np.float64]

_RECENT_S = DAY_S  # what thresholds of durations are taken from
_TIMEOUT_S = 60.0  # two weeks of a large service are tens of millions of rows
_OPERATIONS, _SERIES = (
    resources.files("onejob.verdict").joinpath(f"queries/past_{name}.sql").read_text()
    for name in ("operations", "series")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Of what, and when: steps of [since, until), Unix seconds. `relation` has ROLLUP's columns."""

    environment: str
    default_environment: str
    since: int
    until: int
    step: int
    relation: str = ROLLUP

    @property
    def steps(self) -> int:
        """How many."""
        return (self.until - self.since) // self.step


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCounts:
    """Per name ('' for all other operations) columns of shape (steps,): requests, failed, slower than p50, than p95.

    Where spans are sampled those are spans. `behind` (steps,) are the requests of all operations that they stand for,
    `heft` is how many one does.
    """

    columns: Mapping[str, Floats]
    behind: Floats
    heft: float
    edges: Mapping[str, tuple[int, int]]  # bucket indices of p50 and p95
    versions: tuple[str, ...]  # of the last day
    first: int  # the first step with a request

    @property
    def requests(self) -> Floats:
        """Of all operations."""
        result: Floats = np.sum([column[0] for column in self.columns.values()], axis=0)
        return result


def read_counts(engine: Reader, service: str, where: Where, most: int) -> PastCounts:
    """Of the service's busiest operations, `most` at most, and of the others together. Raises StoreError."""
    scope: dict[str, Scalar] = {
        "service": service,
        "environment": where.environment,
        "unnamed": environment_filter(where.environment, where.default_environment),
        "until": where.until,
    }
    of_operations, of_series = (
        sql.replace(f"FROM {ROLLUP}\n", f"FROM {where.relation}\n") for sql in (_OPERATIONS, _SERIES)
    )
    recent = scope | {"since": where.until - _RECENT_S, "most": most}
    operations = engine.query(of_operations, recent, timeout_s=_TIMEOUT_S).to_pylist()
    edges = {str(row["Operation"]): _edges(row) for row in operations}
    asked: dict[str, Scalar] = {
        "since": where.since,
        "step": where.step,
        "operations": json.dumps(list(edges)),
        "p50": json.dumps([low for low, _ in edges.values()]),
        "p95": json.dumps([high for _, high in edges.values()]),
    }
    table = engine.query(of_series, scope | asked, timeout_s=_TIMEOUT_S)
    names = np.array(table.column("Name").to_pylist(), dtype=object)
    at = table.column("Step").to_numpy().astype(np.int64)
    values = [table.column(name).to_numpy() for name in ("Requests", "Failed", "SlowerP50", "SlowerP95")]
    columns = {name: np.zeros((4, where.steps)) for name in (*edges, "")}
    for name, column in columns.items():
        mine = names == name
        for i, value in enumerate(values):
            column[i, at[mine]] = value[mine]
    behind, squares = (table.column(name).to_numpy() for name in ("Behind", "Squares"))
    return PastCounts(
        columns=columns,
        behind=np.bincount(at, weights=behind, minlength=where.steps).astype(np.float64),
        heft=float(squares.sum() / behind.sum()) if len(behind) else 1.0,
        edges=edges,
        versions=tuple(sorted({str(version) for row in operations for version in row["Versions"]})),
        first=int(at.min()) if len(at) else where.steps,
    )


def _edges(row: Mapping[str, object]) -> tuple[int, int]:
    durations = np.zeros(histogram.SIZE, dtype=np.int64)
    found = row["Durations"]
    pairs = found.items() if isinstance(found, Mapping) else found
    for index, count in pairs:  # type: ignore[attr-defined]
        durations[histogram.position(np.array([index]))[0]] += int(count)
    durations[0] += int(str(row["NoTime"]))
    low, high = (histogram.quantile_position(durations, q) + histogram.LOWEST for q in (0.5, 0.95))
    return low, high
