"""What the store holds on the two arms, read once and turned into arrays.

Requests are sampled by the hash of their ids, so that explaining again gives the same answer; each stands for `weight`
of them. Failed ones are rare and wanted, so they are drawn apart from the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from onejob.explain.attributes import NEVER
from onejob.explain.labels import span_label
from onejob.explain.tables import (
    Bools,
    Column,
    Floats,
    Ints,
    Keys,
    as_stored,
    column,
    listed,
    numbers,
    statement,
    to_ns,
)
from onejob.store.engine import Engine, Scalar
from onejob.store.sql import array_of_strings

MAX_REQUESTS = 5_000  # per operation, arm and outcome: well-determined shares, and a second at most to read
MAX_SPANS_PER_TRACE = 20_000
_SLACK_NS = 300 * 10**9  # how far parents, skewed clocks and late spans may lie outside the window


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which requests are compared: those of these versions that ended in [since, until)."""

    service: str
    environment: str
    default_environment: str
    control: tuple[str, ...]
    treatment: tuple[str, ...]
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Entry spans of one operation, one array element each; `customer` is '' where a request names none."""

    operation: str
    trace_id: tuple[str, ...]
    span_key: Keys
    is_treatment: Bools
    is_failed: Bools
    start_ns: Ints
    duration_ns: Ints
    weight: Floats
    customer: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.trace_id)

    def take(self, rows: Ints, weight: Floats) -> "Requests":
        """These rows of it, weighted anew."""
        return Requests(
            operation=self.operation,
            trace_id=tuple(self.trace_id[row] for row in rows),
            span_key=self.span_key[rows],
            is_treatment=self.is_treatment[rows],
            is_failed=self.is_failed[rows],
            start_ns=self.start_ns[rows],
            duration_ns=self.duration_ns[rows],
            weight=weight,
            customer=tuple(self.customer[row] for row in rows) if self.customer else (),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Spans of the sampled traces, one array element each; attributes as one (row, name, value) per element."""

    span_key: Keys
    parent_key: Keys
    start_ns: Ints
    duration_ns: Ints
    is_failed: Bools
    is_transport: Bools
    span_id: Column
    parent_span_id: Column
    service: Column
    kind: Column
    label: Column
    attribute_row: Ints
    attribute_name: Column
    attribute_value: Column

    def __len__(self) -> int:
        return len(self.span_key)


def read_requests(engine: Engine, window: Window, operations: Sequence[str]) -> dict[str, Requests]:
    """Requests of each of these operations; an operation without any is left out."""
    sql = statement("entries").substitute(
        control=array_of_strings(window.control),
        treatment=array_of_strings(window.treatment),
        operations=array_of_strings(operations),
    )
    return _by_operation(engine.query(sql, of_window(window) | {"limit": MAX_REQUESTS}))


def read_spans(engine: Engine, window: Window, trace_ids: Sequence[str]) -> Spans:
    """All spans of these traces."""
    parameters = span_bounds(window)
    sql = statement("spans").substitute(trace_ids=listed(trace_ids))
    table = engine.query(sql, {**parameters, "never": NEVER, "per_trace": MAX_SPANS_PER_TRACE})
    rows, names, values = _attributes(table)
    return Spans(
        span_key=numbers(table, "span_key", np.uint64),
        parent_key=numbers(table, "parent_key", np.uint64),
        start_ns=numbers(table, "start_ns", np.int64),
        duration_ns=numbers(table, "duration_ns", np.int64),
        is_failed=numbers(table, "is_failed", np.bool_),
        is_transport=numbers(table, "is_transport", np.bool_),
        span_id=column(table["span_id"]),
        parent_span_id=column(table["parent_span_id"]),
        service=column(table["service"]),
        kind=column(table["kind"]),
        label=_labels(table),
        attribute_row=rows,
        attribute_name=names,
        attribute_value=values,
    )


def read_trace_sizes(engine: Engine, window: Window, trace_ids: Sequence[str]) -> dict[str, int]:
    """Number of spans of each trace."""
    sql = statement("trace_sizes").substitute(trace_ids=listed(trace_ids))
    table = engine.query(sql, span_bounds(window))
    return dict(zip(table["trace_id"].to_pylist(), table["spans"].to_pylist(), strict=True))


def of_window(window: Window) -> dict[str, Scalar]:
    """Whose requests, and between when they ended, as the queries name it."""
    return {
        "service": window.service,
        "environment": window.environment,
        "default_environment": window.default_environment,
        "since_ns": to_ns(window.since),
        "until_ns": to_ns(window.until),
    }


def span_bounds(window: Window) -> dict[str, int]:
    """Between when the spans of these requests lie, as the queries name it."""
    # A request that ended in the window may have begun up to an hour before it.
    return {"since_ns": to_ns(window.since) - 3_600 * 10**9 - _SLACK_NS, "until_ns": to_ns(window.until) + _SLACK_NS}


def _by_operation(table: pa.Table) -> dict[str, Requests]:
    operation = as_stored(table["operation"])  # the verdict's name of it, whatever is in it
    trace_ids, customers = (table[name].to_pylist() for name in ("trace_id", "customer"))
    found = {}
    for code, name in enumerate(operation.distinct):
        rows = np.flatnonzero(operation.codes == code)
        found[name] = Requests(
            operation=name,
            trace_id=tuple(trace_ids[row] for row in rows),
            span_key=numbers(table, "span_key", np.uint64)[rows],
            is_treatment=numbers(table, "is_treatment", np.bool_)[rows],
            is_failed=numbers(table, "is_failed", np.bool_)[rows],
            start_ns=numbers(table, "start_ns", np.int64)[rows],
            duration_ns=numbers(table, "duration_ns", np.int64)[rows],
            weight=numbers(table, "weight", np.float64)[rows],
            customer=tuple(customers[row] for row in rows),
        )
    return found


def _labels(table: pa.Table) -> Column:
    """Labels cost regular expressions: each distinct combination is worked out once."""
    parts = ("kind", "name", "operation", "method", "target", "statement", "database")
    columns = [column(table[part]) for part in parts]
    together = np.zeros(len(table), dtype=np.int64)
    for one in columns:
        together = np.unique(together * (len(one.distinct) + 1) + one.codes, return_inverse=True)[1]
    _, first, codes = np.unique(together, return_index=True, return_inverse=True)
    labels = [span_label(**{p: c[row] for p, c in zip(parts, columns, strict=True)}) for row in first.tolist()]
    distinct = {label: code for code, label in enumerate(dict.fromkeys(labels))}
    recoded = np.array([distinct[label] for label in labels], dtype=np.int64)
    return Column(codes=recoded[codes] if labels else codes, distinct=tuple(distinct))


def _attributes(table: pa.Table) -> tuple[Ints, Column, Column]:
    names, values = table["names"].combine_chunks(), table["values"].combine_chunks()
    sizes = np.diff(names.offsets.to_numpy())
    rows = np.repeat(np.arange(len(table), dtype=np.int64), sizes)
    return rows, column(names.flatten()), column(values.flatten())
