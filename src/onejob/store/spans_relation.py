"""The rollup computed from spans as they are, for a table that onejob may only read.

A team with the OpenTelemetry Collector and a ClickHouse has months of spans and no `operation_rollup`. Its rows follow
from the spans by the select of the materialized view that keeps ours, so that is what is run: in the engine, on the
collector's columns, with the columns onejob adds to them worked out by the same expressions.

Older releases of the collector's exporter wrote `SPAN_KIND_SERVER` for `Server` and `STATUS_CODE_ERROR` for `Error`,
and a span that ends before it begins has a duration near 2^64 in an unsigned column; both are made ours first.
"""

from collections.abc import Collection
from importlib import resources
from string import Template

from onejob.store.expressions import resource_columns, schema_values, span_columns
from onejob.store.sql import quote, quote_name, read_query, statements

_KINDS = "['SPAN_KIND_SERVER', 'SPAN_KIND_CLIENT', 'SPAN_KIND_PRODUCER', 'SPAN_KIND_CONSUMER', 'SPAN_KIND_INTERNAL']"
_OUR_KINDS = "['Server', 'Client', 'Producer', 'Consumer', 'Internal']"
# What is said beyond requests: who, and the events. The collector's table has them nested, a column each.
_EVENTS = "TraceId, SpanId, `Events.Timestamp`, `Events.Name`, `Events.Attributes`"
_COLUMNS = f"""Timestamp, TraceState, ParentSpanId, SpanName, ServiceName, ResourceAttributes, SpanAttributes,
            transform(toString(SpanKind), {_KINDS}, {_OUR_KINDS}, toString(SpanKind)) AS Kind,
            if(StatusCode = 'STATUS_CODE_ERROR', 'Error', toString(StatusCode)) AS Status,
            toUInt64(greatest(reinterpretAsInt64(toUInt64(Duration)), 0)) AS Spent"""
_VIEW = "CREATE MATERIALIZED VIEW operation_rollup_mv TO operation_rollup AS\n"


def rollup_of(table: str, bin_width_s: int) -> str:
    """A subquery with the columns of `operation_rollup`, of the spans in `table` (`name` or `database.name`).

    It binds `{service:String}` and the bins' `{since:Int64}` and `{until:Int64}`, by which its reader filters too.
    """
    return "(" + _view_select(bin_width_s).replace("FROM otel_traces\n", f"FROM {_spans(table, _COLUMNS, '')}\n") + ")"


def spans_of(table: str) -> str:
    """A subquery with the columns of `otel_traces` that are read where spans say more than requests; binds the same."""
    return _spans(table, f"{_COLUMNS}, {_EVENTS}", f"{_EVENTS},")


def relabelled(spans: str, version: str, treated: Collection[str], others: Collection[str]) -> str:
    """The spans of some instances, of which the treated have another version."""
    mine, all_of_them = (", ".join(quote(name) for name in sorted(names)) for names in (treated, {*treated, *others}))
    fills = {"spans": spans, "version": quote(version), "treated": mine, "instances": all_of_them}
    return "(" + Template(read_query("relabelled")).substitute(fills) + ")"


def _spans(table: str, columns: str, more: str) -> str:
    own = ",\n    ".join(f"{sql} AS {name}" for name, sql in (resource_columns() | span_columns()).items())
    return "(" + Template(read_query("spans")).substitute(own=own, columns=columns, more=more, table=named(table)) + ")"


def named(table: str) -> str:
    """`name` or `database.name`, quoted."""
    return ".".join(quote_name(part) for part in table.split(".", 1))


def _view_select(bin_width_s: int) -> str:
    """The select of `operation_rollup_mv`, as the latest script has it."""
    script = resources.files("onejob.store").joinpath("schema/0004_sampled_spans.sql").read_text()
    values = schema_values() | {"bin_width_s": str(bin_width_s)}
    view = next(statement for statement in statements(script, values) if statement.startswith(_VIEW))
    return view.removeprefix(_VIEW)
