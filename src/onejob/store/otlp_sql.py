"""What the statements that read OTLP have in common: its values and times as the collector's tables hold them.

Numbers are read as text, which is what they become; arrays and maps inside attribute values arrive as bytes and go
through the UDF `onejob_any_value`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from importlib import resources
from types import MappingProxyType
from typing import Protocol

from onejob.store.expressions import Step, first_non_default, resource_columns
from onejob.store.sql import array_of_strings

DATABASE = "otlp"  # in memory, for views only
PLAIN_DATABASE = "otlp_plain"  # the same without redaction
ANY_VALUE = (
    "Tuple(string_value String, bool_value String, int_value String, double_value String, array_value String, "
    "kvlist_value String, bytes_value String, value Enum8('none' = 0, 'string_value' = 1, 'bool_value' = 2, "
    "'int_value' = 3, 'double_value' = 4, 'array_value' = 5, 'kvlist_value' = 6, 'bytes_value' = 7))"
)
ATTRIBUTES = f"Array(Tuple(key String, value {ANY_VALUE}))"
MAP = "Map(LowCardinality(String), String)"
_VALUE_FIELDS = (
    "string_value", "bool_value", "int_value", "double_value", "array_value", "kvlist_value", "bytes_value", "value",
)  # fmt: skip
_LATEST_NS = 9_223_372_036_854_775_807  # DateTime64(9) ends in 2262


class Holds(Enum):
    """What a column holds: a text, one of few texts (LowCardinality), texts, a map of attributes, such maps."""

    TEXT = 1
    WORD = 2
    TEXTS = 3
    ATTRIBUTES = 4
    LISTED_ATTRIBUTES = 5


class Redact(Protocol):
    """What hides columns, given by what they hold."""

    def finds(self, places: Mapping[str, Holds]) -> str:
        """SQL that says whether there may be something to hide in them."""

    def around(
        self,
        select: str,
        kept: Sequence[str],
        places: Mapping[str, Holds],
        *,
        above: Mapping[str, Holds] = MappingProxyType({}),
        are_few: bool = False,
    ) -> str:
        """The rows of a SELECT with the columns `kept` as they are, and those of `places` and `above` redacted.

        Those `above` are not searched again: the column FOUND_ABOVE says whether there may be something in them. Of few
        rows each may take its time.
        """


FOUND_ABOVE = "is_found_above"


def resources_of(
    path: str, structure: str, field: str, redact: Redact, more: Mapping[str, tuple[str, Holds]] | None = None
) -> str:
    """One row per resource of the requests in the file at `path`: its columns, `more` of it, and its `scopes`.

    `field` is the request's only one. What is the resource's is worked out once for all that it sent.
    """
    steps: dict[str, str] = {}
    columns = {"ServiceName": "ResourceAttributes['service.name']"}
    columns |= resource_columns(noted(steps), first_non_default)
    structure = structure.replace("'", "\\'")
    scopes = f"scope_{field.removeprefix('resource_')}"
    more = more or {}
    sent = {name: sql for name, (sql, _) in more.items()} | {"scopes": part("of_resource", scopes)}
    select = f"""
        SELECT {attributes_of(part("of_resource", "resource.attributes"))} AS ResourceAttributes, {named(sent)}
        FROM file('{path}', ProtobufSingle, '{structure}')
        ARRAY JOIN {field} AS of_resource"""  # noqa: S608  built of constants and a path of ours
    places = {"ResourceAttributes": Holds.ATTRIBUTES} | {name: holds for name, (_, holds) in more.items()}
    return f"""
SELECT ResourceAttributes, {named({name: repeated(sql) for name, sql in columns.items()})},
    {", ".join((*more, "scopes"))}
FROM (
    SELECT *, {named(steps)}
    FROM ({redact.around(select, ("scopes",), places, are_few=True)})
)"""  # noqa: S608  built of constants


def parse_settings(message: str) -> str:
    """Settings of what reads such a file. It is optimised here: what the engine would do takes it longer."""
    schemas = resources.files("onejob.store").joinpath("schema")
    files = (schemas.joinpath(name) for name in ("common.proto", f"{message.lower()}.proto"))
    schema = "".join(file.read_text() for file in files).replace("'", "\\'")
    return (
        f"format_schema_source = 'string', format_schema = '{schema}', format_schema_message_name = '{message}', "
        "input_format_protobuf_oneof_presence = 1, compile_expressions = 0, query_plan_merge_expressions = 0"
    )


def noted(steps: dict[str, str]) -> Step:
    """A step is written down under its name, and referred to by it."""

    def note(name: str, expression: str) -> str:
        steps[name] = expression
        return name

    return note


def named(expressions: Mapping[str, str]) -> str:
    return ", ".join(sql if sql == name else f"{sql} AS {name}" for name, sql in expressions.items())


def part(of: str, path: str) -> str:
    """Without the dot that usually says so: it stands for `getSubcolumn`, which lists all there are for every one."""
    for name in path.split("."):
        of = f"tupleElement({of}, '{name}')"
    return of


def repeated(text: str) -> str:
    """Text of which there is little that differs, as numbers into a dictionary from here on."""
    return f"CAST({text}, 'LowCardinality(String)')"


def word(words: Sequence[str], number: str) -> str:
    """The word with that number, the first for a number that has none."""
    listed = f"CAST({array_of_strings(words)}, 'Array(LowCardinality(String))')"
    return f"{listed}[if({number} BETWEEN 0 AND {len(words) - 1}, {number}, 0) + 1]"


def hexadecimal(value: str) -> str:
    return f"lower(hex({value}))"


def id_or_none(value: str, size: int) -> str:
    """Of what need not belong to a span: what is no id stands for none (opentelemetry/proto/logs/v1). So the Collector
    takes the parent of a span too, and links."""
    return f"if(length({value}) = {size} AND {value} != unhex('{'00' * size}'), {hexadecimal(value)}, '')"


def time_of(nanoseconds: str) -> str:
    return f"fromUnixTimestamp64Nano(toInt64(least({nanoseconds}, {_LATEST_NS})))"


def attributes_of(attributes: str) -> str:
    """The collector's `Map(LowCardinality(String), String)` of a list of OTLP attributes."""
    arrays = ", ".join(part(attributes, field) for field in ("key", *(f"value.{field}" for field in _VALUE_FIELDS)))
    text = _text("n", "s", "b", "i", "d", "a", "k", "y", "t")
    values = f"arrayMap((n, s, b, i, d, a, k, y, t) -> {text}, {arrays})"
    return f"CAST(({part(attributes, 'key')}, {values}), '{MAP}')"


def text_of(value: str) -> str:
    """One OTLP value as such text; it has no key."""
    return _text("''", *(part(value, field) for field in _VALUE_FIELDS))


def _text(n: str, s: str, b: str, i: str, d: str, a: str, k: str, y: str, t: str) -> str:
    # One `if` around the UDF: as a later branch of `multiIf` it would be called for every value (13x slower, measured).
    return (
        f"if({t} > 'double_value', onejob_any_value(toString({t}), hex(concat({a}, {k}, {y})), {n}), multiIf("
        f"{t} = 'string_value', {s}, {t} = 'int_value', {i}, {t} = 'bool_value', {b}, {t} = 'double_value', {d}, ''))"
    )
