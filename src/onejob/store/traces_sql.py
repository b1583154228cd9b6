"""The statement that turns OTLP bytes into rows, inside the engine: no Python loop over spans.

`traces.proto` gives the field numbers, the structure below the columns they are read into. Numbers are read as text,
which is what they become; arrays and maps inside attribute values arrive as bytes and go through the UDF
`onejob_any_value`.

The engine works the statement out anew for each batch, which takes it as long as parsing thousands of spans. So names
are given to what is used twice, and subcolumns are named in one go.
"""

from collections.abc import Mapping, Sequence
from importlib import resources

from onejob.store.expressions import (
    ENTRY_ATTRIBUTES,
    MAY_BE_ENTRY,
    Step,
    first_non_default,
    resource_columns,
    span_columns,
)
from onejob.store.sql import array_of_strings

_ANY = (
    "Tuple(string_value String, bool_value String, int_value String, double_value String, array_value String, "
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
_MAP = "Map(LowCardinality(String), String)"
_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_CODES = ("Unset", "Ok", "Error")
_LATEST_NS = 9_223_372_036_854_775_807  # DateTime64(9) ends in 2262

TRACES_COLUMNS = (
    "Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind", "ServiceName",
    "ResourceAttributes", "ScopeName", "ScopeVersion", "SpanAttributes", "Duration", "StatusCode", "StatusMessage",
    "Events.Timestamp", "Events.Name", "Events.Attributes", "Links.TraceId", "Links.SpanId", "Links.TraceState",
    "Links.Attributes", *resource_columns(), *span_columns(),
)  # fmt: skip


def select_traces(path: str) -> str:
    """Rows of `otel_traces` (TRACES_COLUMNS, in order) out of the concatenated requests in the file at `path`."""
    steps: dict[str, str] = {}
    columns = _span_columns(steps)
    return f"""
WITH {_named(steps)}
SELECT {_named({f"`{name}`": columns[name] for name in TRACES_COLUMNS})}
FROM ({_spans(path)})
ARRAY JOIN spans AS span"""  # noqa: S608  built of constants and a path of ours


def _spans(path: str) -> str:
    """One row per scope of a resource, with its `spans`; what is the resource's is worked out once for all of them."""
    steps = {"ServiceName": _repeated("ResourceAttributes['service.name']")}
    columns = resource_columns(_noted(steps), first_non_default)
    structure = _STRUCTURE.replace("'", "\\'")
    return f"""
    SELECT ResourceAttributes, ServiceName, {", ".join(columns)}, {_part("of_scope", "scope.name")} AS ScopeName,
        {_part("of_scope", "scope.version")} AS ScopeVersion, {_part("of_scope", "spans")} AS spans
    FROM (
        WITH {_named(steps)}
        SELECT {_map(_part("of_resource", "resource.attributes"))} AS ResourceAttributes, ServiceName,
            {_named({name: _repeated(sql) for name, sql in columns.items()})},
            {_part("of_resource", "scope_spans")} AS scope_spans
        FROM file('{path}', ProtobufSingle, '{structure}')
        ARRAY JOIN resource_spans AS of_resource
    )
    ARRAY JOIN scope_spans AS of_scope
"""  # noqa: S608  built of constants and a path of ours


def _span_columns(steps: dict[str, str]) -> dict[str, str]:
    steps |= {
        "started": _part("span", "start_time_unix_nano"),
        "ended": _part("span", "end_time_unix_nano"),
        # Few spans are requests, and few of their attributes are asked for: looked up among those few.
        "telling": (
            f"if({MAY_BE_ENTRY}, mapFilter((k, v) -> k IN {array_of_strings(ENTRY_ATTRIBUTES)}, SpanAttributes), "
            f"CAST(map(), '{_MAP}'))"
        ),
    }
    return {
        "Timestamp": _time("started"),
        "TraceId": _hex(_part("span", "trace_id")),
        "SpanId": _hex(_part("span", "span_id")),
        "ParentSpanId": _hex(_part("span", "parent_span_id")),
        "TraceState": _part("span", "trace_state"),
        "SpanName": _repeated(_part("span", "name")),
        "SpanKind": _word(_KINDS, _part("span", "kind")),
        "SpanAttributes": _map(_part("span", "attributes")),
        "Duration": "if(ended > started, ended - started, 0)",
        "StatusCode": _word(_CODES, _part("span", "status.code")),
        "StatusMessage": _part("span", "status.message"),
        "Events.Timestamp": f"arrayMap(t -> {_time('t')}, {_part('span', 'events.time_unix_nano')})",
        "Events.Name": _part("span", "events.name"),
        "Events.Attributes": f"arrayMap(x -> {_map('x')}, {_part('span', 'events.attributes')})",
        "Links.TraceId": f"arrayMap(x -> {_hex('x')}, {_part('span', 'links.trace_id')})",
        "Links.SpanId": f"arrayMap(x -> {_hex('x')}, {_part('span', 'links.span_id')})",
        "Links.TraceState": _part("span", "links.trace_state"),
        "Links.Attributes": f"arrayMap(x -> {_map('x')}, {_part('span', 'links.attributes')})",
        **{name: name for name in ("ServiceName", "ResourceAttributes", "ScopeName", "ScopeVersion")},
        **{name: name for name in resource_columns()},
        **span_columns(_noted(steps), first_non_default, "telling"),
    }


def parse_settings() -> str:
    """Settings of the statement that reads the file. No machine code for a statement that is used once."""
    schema = resources.files("onejob.store").joinpath("schema/traces.proto").read_text().replace("'", "\\'")
    return (
        f"format_schema_source = 'string', format_schema = '{schema}', format_schema_message_name = 'Traces', "
        "input_format_protobuf_oneof_presence = 1, compile_expressions = 0"
    )


def _noted(steps: dict[str, str]) -> Step:
    """A step is written down under its name, and referred to by it."""

    def note(name: str, expression: str) -> str:
        steps[name] = expression
        return name

    return note


def _named(expressions: Mapping[str, str]) -> str:
    return ", ".join(sql if sql == name.strip("`") else f"{sql} AS {name}" for name, sql in expressions.items())


def _part(of: str, name: str) -> str:
    return f"getSubcolumn({of}, '{name}')"


def _repeated(text: str) -> str:
    """Text of which there is little that differs, as numbers into a dictionary from here on."""
    return f"CAST({text}, 'LowCardinality(String)')"


def _word(words: Sequence[str], number: str) -> str:
    """The word with that number, the first for a number that has none."""
    listed = f"CAST({array_of_strings(words)}, 'Array(LowCardinality(String))')"
    return f"{listed}[if({number} BETWEEN 0 AND {len(words) - 1}, {number}, 0) + 1]"


def _hex(value: str) -> str:
    return f"lower(hex({value}))"


def _time(nanoseconds: str) -> str:
    return f"fromUnixTimestamp64Nano(toInt64(least({nanoseconds}, {_LATEST_NS})))"


def _map(attributes: str) -> str:
    """The collector's `Map(LowCardinality(String), String)` of a list of OTLP attributes."""
    fields = ("string_value", "bool_value", "int_value", "double_value", "array_value", "kvlist_value", "bytes_value")
    arrays = ", ".join(_part(attributes, f"value.{field}") for field in (*fields, "value"))
    # One `if` around the UDF: as a later branch of `multiIf` it would be called for every value (13x slower, measured).
    text = (
        "if(t > 'double_value', onejob_any_value(toString(t), hex(concat(a, k, y))), multiIf("
        "t = 'string_value', s, t = 'int_value', i, t = 'bool_value', b, t = 'double_value', d, ''))"
    )
    values = f"arrayMap((s, b, i, d, a, k, y, t) -> {text}, {arrays})"
    return f"CAST(({_part(attributes, 'key')}, {values}), '{_MAP}')"
