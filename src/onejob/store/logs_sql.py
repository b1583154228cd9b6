"""Log records out of OTLP bytes, inside the engine: see `traces_sql`, whose way this goes."""

from onejob.store.expressions import resource_columns
from onejob.store.otlp_sql import (
    ANY_VALUE,
    ATTRIBUTES,
    DATABASE,
    FOUND_ABOVE,
    Holds,
    Redact,
    attributes_of,
    id_or_none,
    named,
    part,
    repeated,
    resources_of,
    text_of,
    time_of,
)

_RECORD = (
    "Tuple(time_unix_nano UInt64, observed_time_unix_nano UInt64, severity_number Int32, severity_text String, "
    f"body {ANY_VALUE}, attributes {ATTRIBUTES}, flags UInt32, trace_id String, span_id String, event_name String)"
)
_SCOPE = f"Tuple(name String, version String, attributes {ATTRIBUTES})"
_STRUCTURE = (
    f"resource_logs Array(Tuple(resource Tuple(attributes {ATTRIBUTES}), schema_url String, "
    f"scope_logs Array(Tuple(scope {_SCOPE}, schema_url String, log_records Array({_RECORD})))))"
)

_OF_SCOPE = {
    "ScopeName": part("of_scope", "scope.name"),
    "ScopeVersion": repeated(part("of_scope", "scope.version")),
    "ScopeAttributes": attributes_of(part("of_scope", "scope.attributes")),
    "ScopeSchemaUrl": repeated(part("of_scope", "schema_url")),
}
_TIME, _OBSERVED = part("record", "time_unix_nano"), part("record", "observed_time_unix_nano")
_NOW = "toUInt64(toUnixTimestamp64Nano(now64(9)))"
_SEVERITY = part("record", "severity_number")
_OWN = {
    # Whoever receives what was observed by nobody is to observe it (opentelemetry/proto/logs/v1).
    "Timestamp": time_of(f"multiIf({_TIME} != 0, {_TIME}, {_OBSERVED} != 0, {_OBSERVED}, {_NOW})"),
    "TraceId": id_or_none(part("record", "trace_id"), 16),
    "SpanId": id_or_none(part("record", "span_id"), 8),
    "TraceFlags": f"toUInt8(bitAnd({part('record', 'flags')}, 255))",
    "SeverityText": repeated(part("record", "severity_text")),
    "SeverityNumber": f"toUInt8(if({_SEVERITY} BETWEEN 0 AND 255, {_SEVERITY}, 0))",
    "Body": text_of(part("record", "body")),
    "LogAttributes": attributes_of(part("record", "attributes")),
    "EventName": part("record", "event_name"),
}
_SCOPE_TEXTS = {
    "ScopeName": Holds.TEXT,
    "ScopeVersion": Holds.WORD,
    "ScopeAttributes": Holds.ATTRIBUTES,
    "ScopeSchemaUrl": Holds.WORD,
}
_TEXTS = {
    "SeverityText": Holds.WORD,
    "Body": Holds.TEXT,
    "LogAttributes": Holds.ATTRIBUTES,
    "EventName": Holds.TEXT,
}
_OF_RESOURCE = ("ServiceName", "ResourceAttributes", "ResourceSchemaUrl", *resource_columns())

LOGS_COLUMNS = (*_OWN, *_OF_SCOPE, *_OF_RESOURCE)
SELECT_LOGS = "SELECT {} FROM {}.log_records".format(", ".join(LOGS_COLUMNS), DATABASE)  # noqa: S608


def views(path: str, redact: Redact) -> list[str]:
    """The statements that make SELECT_LOGS read the concatenated requests in the file at `path`, and redact them."""
    more = {"ResourceSchemaUrl": (repeated(part("of_resource", "schema_url")), Holds.WORD)}
    resources = resources_of(path, _STRUCTURE, "resource_logs", redact, more)
    return [
        f"CREATE OR REPLACE VIEW {DATABASE}.log_scopes AS {_scopes(resources, redact)}",
        f"CREATE OR REPLACE VIEW {DATABASE}.log_records AS {_records(redact)}",
    ]


def _scopes(resources: str, redact: Redact) -> str:
    """One row per scope of a resource, with its `records`."""
    return f"""
SELECT {", ".join(_OF_RESOURCE)}, {named(_OF_SCOPE)}, {redact.finds(_SCOPE_TEXTS)} AS {FOUND_ABOVE},
    {part("of_scope", "log_records")} AS records
FROM ({resources})
ARRAY JOIN scopes AS of_scope"""  # noqa: S608  built of constants and a path of ours


def _records(redact: Redact) -> str:
    records = f"""
SELECT {", ".join((*_OF_RESOURCE, *_OF_SCOPE, FOUND_ABOVE))}, {named(_OWN)}
FROM {DATABASE}.log_scopes
ARRAY JOIN records AS record"""  # noqa: S608
    kept = (*_OF_RESOURCE, *(name for name in _OWN if name not in _TEXTS))
    return redact.around(records, kept, _TEXTS, above=_SCOPE_TEXTS)
