"""What onejob would be with a Python loop over spans: protobuf objects, lists, Arrow, the same table and rollup."""

import os
import sys
import time
from pathlib import Path

import chdb
import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_CODES = ("Unset", "Ok", "Error")
_MAP = pa.map_(pa.string(), pa.string())
_SCHEMA = pa.schema(
    [
        ("Timestamp", pa.timestamp("ns")), ("TraceId", pa.string()), ("SpanId", pa.string()),
        ("ParentSpanId", pa.string()), ("TraceState", pa.string()), ("SpanName", pa.string()),
        ("SpanKind", pa.string()),
        ("ServiceName", pa.string()), ("ResourceAttributes", _MAP), ("ScopeName", pa.string()),
        ("ScopeVersion", pa.string()), ("SpanAttributes", _MAP), ("Duration", pa.uint64()), ("StatusCode", pa.string()),
        ("StatusMessage", pa.string()),
    ]
)  # fmt: skip


def main(data_dir: str, batch_spans: int, payloads: list[bytes]) -> tuple[float, float]:
    """Spans/s until every row can be queried, and per CPU second. The store must exist and have no other owner."""
    connection = chdb.connect(str(Path(data_dir).resolve() / "engine" / "chdb"))
    before = _count(connection)
    started, cpu, spans = time.perf_counter(), time.process_time(), 0
    rows: list[tuple[object, ...]] = []
    for payload in payloads:
        rows += _rows(payload)
        if len(rows) >= batch_spans:
            spans += _insert(connection, rows)
            rows = []
    spans += _insert(connection, rows) if rows else 0
    rates = spans / (time.perf_counter() - started), spans / (time.process_time() - cpu)
    assert _count(connection) - before == spans
    connection.close()
    return rates


def _rows(payload: bytes) -> list[tuple[object, ...]]:
    rows = []
    for resource_spans in ExportTraceServiceRequest.FromString(payload).resource_spans:
        resource = {a.key: _text(a.value) for a in resource_spans.resource.attributes}
        for scope_spans in resource_spans.scope_spans:
            for s in scope_spans.spans:
                attributes = {a.key: _text(a.value) for a in s.attributes}
                rows.append((
                    s.start_time_unix_nano, s.trace_id.hex(), s.span_id.hex(), s.parent_span_id.hex(), s.trace_state,
                    s.name, _KINDS[s.kind], resource.get("service.name", ""), resource.items(), scope_spans.scope.name,
                    scope_spans.scope.version, attributes.items(), s.end_time_unix_nano - s.start_time_unix_nano,
                    _CODES[s.status.code], s.status.message,
                ))  # fmt: skip
    return rows


def _text(value: object) -> str:
    member = value.WhichOneof("value")  # type: ignore[attr-defined]
    return str(getattr(value, member)) if member else ""


def _insert(connection: object, rows: list[tuple[object, ...]]) -> int:
    columns = [
        pa.array([list(v) for v in values] if field.type == _MAP else values, field.type)
        for field, values in zip(_SCHEMA, zip(*rows, strict=True), strict=True)
    ]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _SCHEMA) as writer:
        writer.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA))
    fd = os.memfd_create("arrow")
    os.write(fd, sink.getvalue())
    names = ", ".join(_SCHEMA.names)
    source = f"SELECT {names} FROM file('/proc/self/fd/{fd}', ArrowStream)"  # noqa: S608
    connection.query(f"INSERT INTO otel_traces ({names}) {source} SETTINGS max_threads = 1")  # type: ignore[attr-defined]
    os.close(fd)
    return len(rows)


def _count(connection: object) -> int:
    return int(connection.query("SELECT count() FROM otel_traces", "TSV").bytes())  # type: ignore[attr-defined]


if __name__ == "__main__":
    from spans import requests

    os.sched_setaffinity(0, {int(sys.argv[2])})
    print(*main(sys.argv[1], 20_000, requests(int(sys.argv[3]), int(sys.argv[4]), seed=99)))
