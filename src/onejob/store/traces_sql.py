"""The statement that turns OTLP bytes into rows, inside the engine: no Python loop over spans.

`traces.proto` gives the field numbers, the structure below the columns they are read into; arrays and maps inside
attribute values arrive as bytes and go through the UDF `onejob_any_value`.
"""

from importlib import resources

from onejob.store.expressions import resource_columns, span_columns

_ANY = (
    "Tuple(string_value String, bool_value Bool, int_value Int64, double_value Float64, array_value String, "
    "kvlist_value String, bytes_value String, value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, "
    "'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7))"
)
_ATTRIBUTES = f"Array(Tuple(key String, value {_ANY}))"
_EVENTS = f"Array(Tuple(time_unix_nano UInt64, name String, attributes {_ATTRIBUTES}))"
_LINKS = f"Array(Tuple(trace_id String, span_id String, trace_state String, attributes {_ATTRIBUTES}))"
_SPAN = (
    "Tuple(trace_id String, span_id String, trace_state String, parent_span_id String, name String, kind Int32, "
    f"start_time_unix_nano UInt64, end_time_unix_nano UInt64, attributes {_ATTRIBUTES}, events {_EVENTS}, "
    f"links {_LINKS}, status Tuple(message String, code Int32))"
)
_STRUCTURE = (
    f"resource_spans Array(Tuple(resource Tuple(attributes {_ATTRIBUTES}), "
    f"scope_spans Array(Tuple(scope Tuple(name String, version String), spans Array({_SPAN})))))"
)
_KINDS = "['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer']"
_LATEST_NS = 9_223_372_036_854_775_807  # DateTime64(9) ends in 2262

TRACES_COLUMNS = (
    "Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind", "ServiceName",
    "ResourceAttributes", "ScopeName", "ScopeVersion", "SpanAttributes", "Duration", "StatusCode", "StatusMessage",
    "Events.Timestamp", "Events.Name", "Events.Attributes", "Links.TraceId", "Links.SpanId", "Links.TraceState",
    "Links.Attributes", *resource_columns(), *span_columns(),
)  # fmt: skip


def select_traces(path: str) -> str:
    """Rows of `otel_traces` (TRACES_COLUMNS, in order) out of the concatenated requests in the file at `path`."""
    structure = _STRUCTURE.replace("'", "\\'")
    resource = ", ".join(f"{sql} AS {name}" for name, sql in resource_columns().items())
    span = ", ".join(f"{sql} AS {name}" for name, sql in span_columns().items())
    return f"""
SELECT Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName, ResourceAttributes,
    ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode, StatusMessage,
    EventTimes AS `Events.Timestamp`, EventNames AS `Events.Name`, EventAttributes AS `Events.Attributes`,
    LinkTraceIds AS `Links.TraceId`, LinkSpanIds AS `Links.SpanId`, LinkTraceStates AS `Links.TraceState`,
    LinkAttributes AS `Links.Attributes`,
    {", ".join(resource_columns())}, {span}
FROM (
    SELECT
        {_time("span.start_time_unix_nano")} AS Timestamp,
        lower(hex(span.trace_id)) AS TraceId,
        lower(hex(span.span_id)) AS SpanId,
        lower(hex(span.parent_span_id)) AS ParentSpanId,
        span.trace_state AS TraceState,
        span.name AS SpanName,
        {_KINDS}[if(span.kind BETWEEN 0 AND 5, span.kind, 0) + 1] AS SpanKind,
        ServiceName, ResourceAttributes, ScopeName, ScopeVersion, {", ".join(resource_columns())},
        {_map("span.attributes")} AS SpanAttributes,
        span.start_time_unix_nano AS started, span.end_time_unix_nano AS ended,
        if(ended > started, ended - started, 0) AS Duration,
        ['Unset', 'Ok', 'Error'][if(span.status.code BETWEEN 0 AND 2, span.status.code, 0) + 1] AS StatusCode,
        span.status.message AS StatusMessage,
        arrayMap(t -> {_time("t")}, span.events.time_unix_nano) AS EventTimes,
        span.events.name AS EventNames,
        arrayMap(e -> {_map("e")}, span.events.attributes) AS EventAttributes,
        arrayMap(x -> lower(hex(x)), span.links.trace_id) AS LinkTraceIds,
        arrayMap(x -> lower(hex(x)), span.links.span_id) AS LinkSpanIds,
        span.links.trace_state AS LinkTraceStates,
        arrayMap(l -> {_map("l")}, span.links.attributes) AS LinkAttributes
    FROM (
        SELECT ResourceAttributes, ResourceAttributes['service.name'] AS ServiceName, {resource},
            in_scope.scope.name AS ScopeName, in_scope.scope.version AS ScopeVersion, in_scope.spans AS spans
        FROM (
            SELECT {_map("of_resource.resource.attributes")} AS ResourceAttributes,
                of_resource.scope_spans AS scope_spans
            FROM file('{path}', ProtobufSingle, '{structure}')
            ARRAY JOIN resource_spans AS of_resource
        )
        ARRAY JOIN scope_spans AS in_scope
    )
    ARRAY JOIN spans AS span
)"""  # noqa: S608  built of constants and a path of ours


def parse_settings() -> str:
    """Settings of the statement that reads the file."""
    schema = resources.files("onejob.store").joinpath("schema/traces.proto").read_text().replace("'", "\\'")
    return (
        f"format_schema_source = 'string', format_schema = '{schema}', format_schema_message_name = 'Traces', "
        "input_format_protobuf_oneof_presence = 1"
    )


def _time(nanoseconds: str) -> str:
    return f"fromUnixTimestamp64Nano(toInt64(least({nanoseconds}, {_LATEST_NS})))"


def _map(attributes: str) -> str:
    """The collector's `Map(LowCardinality(String), String)` of a list of OTLP attributes."""
    fields = ("string_value", "bool_value", "int_value", "double_value", "array_value", "kvlist_value", "bytes_value")
    arrays = ", ".join(f"{attributes}.value.{field}" for field in (*fields, "value"))
    # One `if` around the UDF: as a later branch of `multiIf` it would be called for every value (13x slower, measured).
    text = (
        "if(t IN ('array_value', 'kvlist_value'), onejob_any_value(toString(t), hex(concat(a, k))), multiIf("
        "t = 'string_value', s, t = 'int_value', toString(i), t = 'bool_value', if(b, 'true', 'false'), "
        "t = 'double_value', toString(d), t = 'bytes_value', base64Encode(y), ''))"
    )
    values = f"arrayMap((s, b, i, d, a, k, y, t) -> {text}, {arrays})"
    return f"CAST(({attributes}.key, {values}), 'Map(LowCardinality(String), String)')"
