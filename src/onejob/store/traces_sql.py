"""The statement that turns OTLP bytes into rows, inside the engine: no Python loop over spans.

`traces.proto` gives the field numbers, the structure below the columns they are read into. Numbers are read as text,
which is what they become; arrays and maps inside attribute values arrive as bytes and go through the UDF
`onejob_any_value`.

The engine works the statement out anew for each batch. Written as one, that took it as long as 15,000 spans: each
expression is compared with all that is in the subqueries below it. So it goes through views, which are looked into one
by one, and names subcolumns without the dot that would list them all.
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
_SCOPE = "Tuple(name String, version String, attributes Array(Tuple(key String)))"
_STRUCTURE = (
    f"resource_spans Array(Tuple(resource Tuple(attributes {_ATTRIBUTES}), "
    f"scope_spans Array(Tuple(scope {_SCOPE}, spans Array({_SPAN})))))"
)
_DATABASE = "otlp"  # in memory, for views only
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


def views(path: str) -> list[str]:
    """The statements that make SELECT_TRACES read the concatenated requests in the file at `path`."""
    return [
        f"CREATE DATABASE IF NOT EXISTS {_DATABASE} ENGINE = Memory",
        f"CREATE OR REPLACE VIEW {_DATABASE}.scopes AS {_scopes(path)}",
        f"CREATE OR REPLACE VIEW {_DATABASE}.spans AS {_spans()}",
        f"CREATE OR REPLACE VIEW {_DATABASE}.told AS {_told()}",
    ]


def _scopes(path: str) -> str:
    """One row per scope of a resource, with its `spans`; what is the resource's is worked out once for all of them."""
    steps: dict[str, str] = {}
    columns = {"ServiceName": "ResourceAttributes['service.name']"}
    columns |= resource_columns(_noted(steps), first_non_default)
    structure = _STRUCTURE.replace("'", "\\'")
    return f"""
SELECT ResourceAttributes, {", ".join(columns)}, {_part("of_scope", "scope.name")} AS ScopeName,
    {_part("of_scope", "scope.version")} AS ScopeVersion, {_sampled("of_scope")} AS is_scope_tail_sampled,
    {_part("of_scope", "spans")} AS spans
FROM (
    SELECT ResourceAttributes, {_named({name: _repeated(sql) for name, sql in columns.items()})}, scopes
    FROM (
        SELECT *, {_named(steps)}
        FROM (
            SELECT {_map(_part("of_resource", "resource.attributes"))} AS ResourceAttributes,
                {_part("of_resource", "scope_spans")} AS scopes
            FROM file('{path}', ProtobufSingle, '{structure}')
            ARRAY JOIN resource_spans AS of_resource
        )
    )
)
ARRAY JOIN scopes AS of_scope"""  # noqa: S608  built of constants and a path of ours


def _spans() -> str:
    """The collector's own columns of each span, and those of its resource."""
    own = {f"`{name}`": sql for name, sql in _OWN_COLUMNS.items()}
    return f"""
SELECT ServiceName, ResourceAttributes, {", ".join(resource_columns())}, ScopeName, ScopeVersion, is_scope_tail_sampled,
    {_named(own)}
FROM {_DATABASE}.scopes
ARRAY JOIN spans AS span"""  # noqa: S608


def _told() -> str:
    """Few spans are requests, and few of their attributes are asked for: they are looked up among those few."""
    asked_for = array_of_strings(ENTRY_ATTRIBUTES)
    telling = f"if({MAY_BE_ENTRY}, mapFilter((k, v) -> k IN {asked_for}, SpanAttributes), CAST(map(), '{_MAP}'))"
    return f"SELECT *, {telling} AS telling FROM {_DATABASE}.spans"  # noqa: S608


def parse_settings() -> str:
    """Settings of the statement that reads the file. It is optimised here: what the engine would do takes it longer."""
    schema = resources.files("onejob.store").joinpath("schema/traces.proto").read_text().replace("'", "\\'")
    return (
        f"format_schema_source = 'string', format_schema = '{schema}', format_schema_message_name = 'Traces', "
        "input_format_protobuf_oneof_presence = 1, compile_expressions = 0, query_plan_merge_expressions = 0"
    )


def _noted(steps: dict[str, str]) -> Step:
    """A step is written down under its name, and referred to by it."""

    def note(name: str, expression: str) -> str:
        steps[name] = expression
        return name

    return note


def _named(expressions: Mapping[str, str]) -> str:
    return ", ".join(sql if sql == name else f"{sql} AS {name}" for name, sql in expressions.items())


def _sampled(scope: str) -> str:
    """Did the Collector's tail sampler pass it on? It notes that on the scope, of which its own table keeps no such."""
    return f"arrayExists(key -> startsWith(key, 'tailsampling.'), {_part(scope, 'scope.attributes.key')})"


def _part(of: str, path: str) -> str:
    """Without the dot that usually says so: it stands for `getSubcolumn`, which lists all there are for every one."""
    for name in path.split("."):
        of = f"tupleElement({of}, '{name}')"
    return of


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


_OWN_COLUMNS = {
    "Timestamp": _time(_part("span", "start_time_unix_nano")),
    "TraceId": _hex(_part("span", "trace_id")),
    "SpanId": _hex(_part("span", "span_id")),
    "ParentSpanId": _hex(_part("span", "parent_span_id")),
    "TraceState": _part("span", "trace_state"),
    "SpanName": _repeated(_part("span", "name")),
    "SpanKind": _word(_KINDS, _part("span", "kind")),
    "SpanAttributes": _map(_part("span", "attributes")),
    "Duration": "if({0} > {1}, {0} - {1}, 0)".format(
        _part("span", "end_time_unix_nano"), _part("span", "start_time_unix_nano")
    ),
    "StatusCode": _word(_CODES, _part("span", "status.code")),
    "StatusMessage": _part("span", "status.message"),
    "Events.Timestamp": f"arrayMap(t -> {_time('t')}, {_part('span', 'events.time_unix_nano')})",
    "Events.Name": _part("span", "events.name"),
    "Events.Attributes": f"arrayMap(x -> {_map('x')}, {_part('span', 'events.attributes')})",
    "Links.TraceId": f"arrayMap(x -> {_hex('x')}, {_part('span', 'links.trace_id')})",
    "Links.SpanId": f"arrayMap(x -> {_hex('x')}, {_part('span', 'links.span_id')})",
    "Links.TraceState": _part("span", "links.trace_state"),
    "Links.Attributes": f"arrayMap(x -> {_map('x')}, {_part('span', 'links.attributes')})",
}

_COMPUTED = span_columns(first=first_non_default, attributes="telling")
_COMPUTED["IsTailSampled"] = f"{MAY_BE_ENTRY} AND is_scope_tail_sampled OR {_COMPUTED['IsTailSampled']}"
SELECT_TRACES = "SELECT {} FROM {}.told".format(  # noqa: S608
    _named({f"`{name}`": _COMPUTED.get(name, f"`{name}`") for name in TRACES_COLUMNS}), _DATABASE
)
