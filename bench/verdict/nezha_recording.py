"""TrainTicket with injected faults, as recorded by IntelligentDDS/Nezha: traces as one forest a day, and metrics.

The recorded spans carry no status. A service that failed answers by Spring's error page, whose span is below the
request that failed, and so that one is marked as failed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench.verdict.results import AbsentError
from numpy.typing import NDArray

from onejob.explain.reading import Requests, Spans
from onejob.explain.tables import Column
from onejob.explain.tree import Forest, build_forest

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DAYS = ("2023-01-29", "2023-01-30")
ERROR_PAGE = "BasicErrorController.error"
FRONT = "front_service"  # the source of the front door's own metrics
FETCH = (
    "fetch the spans and metrics of IntelligentDDS/Nezha (MIT) and put them there as parquet: spans with the columns "
    "trace, span, parent, pod, op, start_us, dur_us in tt_DAY_fault_spans and tt_DAY_normal_spans, metrics with those "
    "of its CSV files in tt_DAY_metrics, and the faults as tt_DAY_faults.json"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What was injected, where, and when (s since the epoch)."""

    service: str
    kind: str
    at: float


@dataclass(frozen=True, slots=True)
class Metric:
    """Points of one metric of one service's pod."""

    service: str
    name: str
    at: Floats
    value: Floats


@dataclass(frozen=True, slots=True)
class Day:
    """One day: its traces as one forest, when each began, and whether it is of the recording without faults."""

    faults: tuple[Fault, ...]
    forest: Forest
    began: Floats
    is_normal: Bools
    metrics: tuple[Metric, ...]


_SPAN = ["trace", "span", "parent", "pod", "op", "start_us", "dur_us"]


def read(folder: Path, day: str) -> Day:
    paths = {kind: folder / f"tt_{day}_{kind}.parquet" for kind in ("normal_spans", "fault_spans", "metrics")}
    faults = folder / f"tt_{day}_faults.json"
    for path in (*paths.values(), faults):
        if not path.exists():
            raise AbsentError(f"no {path}; {FETCH}")
    tables = [pq.read_table(paths[kind]).select(_SPAN) for kind in ("normal_spans", "fault_spans")]
    forest, began, is_normal = _forest(tables)
    return Day(_faults(faults), forest, began, is_normal, _metrics(pq.read_table(paths["metrics"])))


def _faults(path: Path) -> tuple[Fault, ...]:
    noted = [fault for hour in json.loads(path.read_text()).values() for fault in hour]
    found = [Fault(service(f["inject_pod"]), f["inject_type"], _seconds(f["inject_time"])) for f in noted]
    return tuple(sorted(found, key=lambda fault: fault.at))


def _seconds(noted: str) -> float:
    return datetime.fromisoformat(noted).replace(tzinfo=UTC).timestamp()  # UTC, as the spans


def service(pod: str) -> str:
    return pod.rsplit("-", 2)[0]


def _forest(tables: Sequence[pa.Table]) -> tuple[Forest, Floats, Bools]:
    """All traces, each a request of the front door; a trace's number is its own within a table only."""
    number = [np.array(table["trace"]).astype(np.int64) + at * 10**7 for at, table in enumerate(tables)]
    trace, is_normal = np.concatenate(number), np.repeat([True, False], [len(x) for x in number])
    span, parent, start, duration = (_together(tables, name) for name in ("span", "parent", "start_us", "dur_us"))
    key, above = _key(trace, span), np.where(parent >= 0, _key(trace, np.maximum(parent, 0)), 0).astype(np.uint64)
    # A few spans are in the files of two minutes.
    once = np.sort(np.unique(key, return_index=True)[1])
    pods, ops = (_strings(tables, name, once) for name in ("pod", "op"))
    services = _recoded(pods, [service(pod) for pod in pods.distinct])
    spans = _spans(key[once], above[once], start[once] * 1000, duration[once] * 1000, services, ops)
    entry = np.flatnonzero(spans.parent_key == 0)
    requests = Requests(
        operation="front door", trace_id=("",) * len(entry), span_key=spans.span_key[entry],
        is_treatment=~is_normal[once][entry], is_failed=spans.is_failed[entry], start_ns=spans.start_ns[entry],
        duration_ns=spans.duration_ns[entry], weight=np.ones(len(entry)),
    )  # fmt: skip
    return build_forest(spans, requests), spans.start_ns[entry] / 1e9, is_normal[once][entry]


def _together(tables: Sequence[pa.Table], name: str) -> Ints:
    return np.concatenate([np.array(table[name]).astype(np.int64) for table in tables])


def _key(trace: Ints, span: Ints) -> NDArray[np.uint64]:
    return ((trace + 1).astype(np.uint64) << np.uint64(20)) | span.astype(np.uint64)


def _strings(tables: Sequence[pa.Table], name: str, rows: Ints) -> Column:
    values = np.concatenate([np.array(table[name].cast(pa.string())) for table in tables])[rows].astype(str)
    distinct, codes = np.unique(values, return_inverse=True)
    return Column(codes=codes, distinct=tuple(distinct.tolist()))


def _recoded(column: Column, names: Sequence[str]) -> Column:
    distinct, codes = np.unique(names, return_inverse=True)
    return Column(codes=codes[column.codes], distinct=tuple(distinct.tolist()))


def _spans(
    key: NDArray[np.uint64], above: NDArray[np.uint64], start: Ints, duration: Ints, services: Column, ops: Column
) -> Spans:
    order = np.argsort(key)
    up = order[np.minimum(np.searchsorted(key[order], above), len(key) - 1)]
    has_parent = key[up] == above
    remote = has_parent & (services.codes[up] != services.codes)
    kind = np.array([name.startswith("HTTP ") for name in ops.distinct], dtype=np.int64)[ops.codes]
    kind[up[remote]] = 1  # a call to another service
    page = ops.distinct.index(ERROR_PAGE) if ERROR_PAGE in ops.distinct else -1
    failed = np.zeros(len(key), dtype=np.bool_)
    failed[up[(ops.codes == page) & has_parent]] = True
    nothing = Column(codes=np.zeros(len(key), dtype=np.int64), distinct=("",))
    return Spans(
        span_key=key, parent_key=above, start_ns=start, duration_ns=duration, is_failed=failed,
        is_transport=np.zeros(len(key), dtype=np.bool_), span_id=nothing, parent_span_id=nothing, service=services,
        kind=Column(codes=kind, distinct=("Internal", "Client")), label=ops,
        attribute_row=np.zeros(0, dtype=np.int64), attribute_name=nothing, attribute_value=nothing,
    )  # fmt: skip


def _metrics(table: pa.Table) -> tuple[Metric, ...]:
    """Every numeric metric of every pod, and of the front door."""
    named = [np.array(table[name].cast(pa.string()).fill_null(""), dtype=str) for name in ("PodName", "source")]
    pods = np.where(named[1] == FRONT, FRONT, named[0])
    at = np.array(table["TimeStamp"]).astype(float)
    names = [n for n in table.column_names if n not in {"source", "TimeStamp", "ServiceName", "PodName"}]
    values = {name: np.array(table[name].cast(pa.float64()).fill_null(float("nan"))) for name in names}
    out = []
    for pod in np.unique(pods[pods != ""]).tolist():
        rows = np.flatnonzero(pods == pod)
        who = pod if pod == FRONT else service(pod)
        out += [Metric(who, n, at[rows], v[rows]) for n, v in values.items() if np.isfinite(v[rows]).any()]
    return tuple(out)
