"""The statement that turns OTLP bytes into rows, inside the engine: no Python loop over spans.

`traces.proto` gives the field numbers, the structure below the columns they are read into.

The engine works the statement out anew for each batch. Written as one, that took it as long as 15,000 spans: each
expression is compared with all that is in the subqueries below it. So it goes through views, which are looked into one
by one, and names subcolumns without the dot that would list them all.
"""

from onejob.store.expressions import (
    ENTRY_ATTRIBUTES,
    MAY_BE_ENTRY,
    first_non_default,
    resource_columns,
    span_columns,
)
from onejob.store.otlp_sql import (
    ATTRIBUTES,
    DATABASE,
    FOUND_ABOVE,
    MAP,
    Holds,
    Redact,
    attributes_of,
    hexadecimal,
    id_or_none,
    named,
    part,
    repeated,
    resources_of,
    time_of,
    word,
)
from onejob.store.sql import array_of_strings

_EVENTS = f"Array(Tuple(time_unix_nano UInt64, name String, attributes {ATTRIBUTES}))"
_LINKS = f"Array(Tuple(trace_id String, span_id String, trace_state String, attributes {ATTRIBUTES}))"
_SPAN = (
    "Tuple(trace_id String, span_id String, trace_state String, parent_span_id String, name String, kind Int32, "
    f"start_time_unix_nano UInt64, end_time_unix_nano UInt64, attributes {ATTRIBUTES}, events {_EVENTS}, "
    f"links {_LINKS}, status Tuple(message String, code Int32))"
)
_SCOPE = "Tuple(name String, version String, attributes Array(Tuple(key String)))"
_STRUCTURE = (
    f"resource_spans Array(Tuple(resource Tuple(attributes {ATTRIBUTES}), "
    f"scope_spans Array(Tuple(scope {_SCOPE}, spans Array({_SPAN})))))"
)
_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_CODES = ("Unset", "Ok", "Error")
_OF_RESOURCE = ("ServiceName", "ResourceAttributes", *resource_columns())

TRACES_COLUMNS = (
    "Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind", "ServiceName",
    "ResourceAttributes", "ScopeName", "ScopeVersion", "SpanAttributes", "Duration", "StatusCode", "StatusMessage",
    "Events.Timestamp", "Events.Name", "Events.Attributes", "Links.TraceId", "Links.SpanId", "Links.TraceState",
    "Links.Attributes", *resource_columns(), *span_columns(),
)  # fmt: skip


def views(path: str, redact: Redact) -> list[str]:
    """The statements that make SELECT_TRACES read the concatenated requests in the file at `path`, and redact them."""
    resources = resources_of(path, _STRUCTURE, "resource_spans", redact)
    return [
        f"CREATE OR REPLACE VIEW {DATABASE}.scopes AS {_scopes(resources, redact)}",
        f"CREATE OR REPLACE VIEW {DATABASE}.spans AS {_spans(redact)}",
        f"CREATE OR REPLACE VIEW {DATABASE}.told AS {_told()}",
    ]


def _scopes(resources: str, redact: Redact) -> str:
    """One row per scope of a resource, with its `spans`."""
    return f"""
SELECT {", ".join(_OF_RESOURCE)}, {part("of_scope", "scope.name")} AS ScopeName,
    {part("of_scope", "scope.version")} AS ScopeVersion, {_sampled("of_scope")} AS is_scope_tail_sampled,
    {redact.finds(_SCOPE_TEXTS)} AS {FOUND_ABOVE}, {part("of_scope", "spans")} AS spans
FROM ({resources})
ARRAY JOIN scopes AS of_scope"""  # noqa: S608  built of constants and a path of ours


def _spans(redact: Redact) -> str:
    """The collector's own columns of each span, and those of its resource."""
    of_scope = (*_OF_RESOURCE, "is_scope_tail_sampled")
    own = {f"`{name}`": sql for name, sql in _OWN_COLUMNS.items()}
    above = ", ".join((*of_scope, *_SCOPE_TEXTS, FOUND_ABOVE))
    spans = f"SELECT {above}, {named(own)} FROM {DATABASE}.scopes ARRAY JOIN spans AS span"  # noqa: S608
    kept = (*of_scope, *(name for name in own if name not in _TEXTS))
    return redact.around(spans, kept, _TEXTS, above=_SCOPE_TEXTS)


def _told() -> str:
    """Few spans are requests, and few of their attributes are asked for: they are looked up among those few."""
    asked_for = array_of_strings(ENTRY_ATTRIBUTES)
    telling = f"if({MAY_BE_ENTRY}, mapFilter((k, v) -> k IN {asked_for}, SpanAttributes), CAST(map(), '{MAP}'))"
    return f"SELECT *, {telling} AS telling FROM {DATABASE}.spans"  # noqa: S608


def _sampled(scope: str) -> str:
    """Did the Collector's tail sampler pass it on? It notes that on the scope, of which its own table keeps no such."""
    return f"arrayExists(key -> startsWith(key, 'tailsampling.'), {part(scope, 'scope.attributes.key')})"


_OWN_COLUMNS = {
    "Timestamp": time_of(part("span", "start_time_unix_nano")),
    "TraceId": hexadecimal(part("span", "trace_id")),
    "SpanId": hexadecimal(part("span", "span_id")),
    "ParentSpanId": id_or_none(part("span", "parent_span_id"), 8),
    "TraceState": part("span", "trace_state"),
    "SpanName": repeated(part("span", "name")),
    "SpanKind": word(_KINDS, part("span", "kind")),
    "SpanAttributes": attributes_of(part("span", "attributes")),
    "Duration": "if({0} > {1}, {0} - {1}, 0)".format(
        part("span", "end_time_unix_nano"), part("span", "start_time_unix_nano")
    ),
    "StatusCode": word(_CODES, part("span", "status.code")),
    "StatusMessage": part("span", "status.message"),
    "Events.Timestamp": f"arrayMap(t -> {time_of('t')}, {part('span', 'events.time_unix_nano')})",
    "Events.Name": part("span", "events.name"),
    "Events.Attributes": f"arrayMap(x -> {attributes_of('x')}, {part('span', 'events.attributes')})",
    "Links.TraceId": f"arrayMap(x -> {id_or_none('x', 16)}, {part('span', 'links.trace_id')})",
    "Links.SpanId": f"arrayMap(x -> {id_or_none('x', 8)}, {part('span', 'links.span_id')})",
    "Links.TraceState": part("span", "links.trace_state"),
    "Links.Attributes": f"arrayMap(x -> {attributes_of('x')}, {part('span', 'links.attributes')})",
}

_SCOPE_TEXTS = {"ScopeName": Holds.TEXT, "ScopeVersion": Holds.TEXT}
_TEXTS = {
    "`SpanName`": Holds.WORD,
    "`SpanAttributes`": Holds.ATTRIBUTES,
    "`StatusMessage`": Holds.TEXT,
    "`TraceState`": Holds.TEXT,
    "`Events.Name`": Holds.TEXTS,
    "`Events.Attributes`": Holds.LISTED_ATTRIBUTES,
    "`Links.TraceState`": Holds.TEXTS,
    "`Links.Attributes`": Holds.LISTED_ATTRIBUTES,
}
_COMPUTED = span_columns(first=first_non_default, attributes="telling")
_COMPUTED["IsTailSampled"] = f"{MAY_BE_ENTRY} AND is_scope_tail_sampled OR {_COMPUTED['IsTailSampled']}"
SELECT_TRACES = "SELECT {} FROM {}.told".format(  # noqa: S608
    named({f"`{name}`": _COMPUTED.get(name, f"`{name}`") for name in TRACES_COLUMNS}), DATABASE
)
