"""Deletes what the tables have of one attribute value: all that a customer's id stands at, say.

The engine deletes by rewriting the parts that hold such rows, in the background, and keeps the statement on disk for a
while. So the value is not in the statement: it stands in a small table that is read by it and dropped afterwards.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from onejob.model.telemetry import POINTS
from onejob.store.engine import Engine
from onejob.store.errors import QueryFailed
from onejob.store.expressions import MAX_NAME_CHARS
from onejob.store.sql import array_of_strings, drop_table, quote, quote_name

_LOOK_EVERY_S = 0.2
_MOST_TRACES = 1_000  # in one statement
_TRACED = ("otel_traces", "otel_logs")
_LEFT_OVER_S = 3600  # another server's deletion may be about to need its table
_ONE_AT_A_TIME = threading.Lock()
_IN_USE: set[str] = set()  # by this process, which the embedded engine is alone with: it knows no age of tables
PREFIX = "forgetting_"
_CUSTOMERS = "customer_rollup"
_POINT_MAPS = ("ResourceAttributes", "ScopeAttributes", "Attributes")
_EXEMPLARS = ("Exemplars.FilteredAttributes",)
# Columns of attributes, and columns of lists of them.
_PLACES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "otel_traces": (("ResourceAttributes", "SpanAttributes"), ("Events.Attributes", "Links.Attributes")),
    "otel_logs": (("ResourceAttributes", "ScopeAttributes", "LogAttributes"), ()),
    **{f"otel_metrics_{kind}": (_POINT_MAPS, () if kind == "summary" else _EXEMPLARS) for kind in POINTS},
}


def forget_rows(
    engine: Engine, attribute: str, values: Sequence[str], timeout_s: float, *, is_customer: bool = False
) -> dict[str, int]:
    """Rows deleted, by table, once none is left on disk. Raises QueryFailed if that takes longer than `timeout_s`.

    `is_customer`: the attribute names customers, so what was counted of them goes too. Counts per operation and version
    have no attributes in them, and stay.
    """
    with _ONE_AT_A_TIME:
        return _forget_rows(engine, attribute, values, timeout_s, is_customer=is_customer)


def _forget_rows(
    engine: Engine, attribute: str, values: Sequence[str], timeout_s: float, *, is_customer: bool
) -> dict[str, int]:
    _drop_leftovers(engine)
    names = f"{PREFIX}{secrets.token_hex(8)}"
    until = time.monotonic() + timeout_s
    try:
        _name(engine, names, values)
        found = {table: _delete(engine, table, _where(table, attribute, names), timeout_s) for table in _PLACES}
        if is_customer:
            found[_CUSTOMERS] = _delete(engine, _CUSTOMERS, _customers(names), timeout_s)
        _wait(engine, until)
    finally:
        if not _unfinished(engine):
            drop_table(engine, names)
    return found


@contextmanager
def traces_of(engine: Engine, attribute: str, values: Sequence[str]) -> Iterator[Callable[[Sequence[str]], set[str]]]:
    """Tells which of some traces have a span or a log record with one of the values, also once those are deleted.

    A hash of 8 bytes a span is kept meanwhile; one more day of rows in each statement, which may take two minutes.
    """
    names, hashes = in_use = [f"{PREFIX}{secrets.token_hex(8)}" for _ in range(2)]
    _IN_USE.update(in_use)
    try:
        _name(engine, names, values)
        engine.execute(f"CREATE TABLE {hashes} (Hash UInt64) ENGINE = MergeTree ORDER BY Hash")
        for table in _TRACED:
            where = f"TraceId != '' AND ({_where(table, attribute, names)})"
            for day in engine.query(f"SELECT DISTINCT _partition_id AS id FROM {table}").to_pylist():  # noqa: S608
                chosen = f"_partition_id = {quote(day['id'])} AND {where}"
                engine.execute(f"INSERT INTO {hashes} SELECT sipHash64(TraceId) FROM {table} WHERE {chosen}")  # noqa: S608
        yield partial(_hashed_in, engine, hashes)
    finally:
        for table in in_use:
            drop_table(engine, table)
        _IN_USE.difference_update(in_use)


def _hashed_in(engine: Engine, hashes: str, traces: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(traces), _MOST_TRACES):
        among = array_of_strings(traces[start : start + _MOST_TRACES])
        sql = f"SELECT arrayJoin({among}) AS trace WHERE sipHash64(trace) IN (SELECT Hash FROM {hashes})"  # noqa: S608
        found |= {row["trace"] for row in engine.query(sql).to_pylist()}
    return found


def _name(engine: Engine, names: str, values: Sequence[str]) -> None:
    engine.execute(f"CREATE TABLE {names} (Value String) ENGINE = MergeTree ORDER BY Value")
    for value in values:
        engine.execute(f"INSERT INTO {names} SELECT {{value:String}}", {"value": value})


def _delete(engine: Engine, table: str, where: str, timeout_s: float) -> int:
    """Begins it; how many rows there are."""
    sql = f"SELECT count() AS n FROM {table} WHERE {where}"  # noqa: S608
    found = int(engine.query(sql, timeout_s=timeout_s).to_pylist()[0]["n"])
    if found:
        engine.execute(f"ALTER TABLE {table} DELETE WHERE {where} SETTINGS mutations_sync = 0")
    return found


def _where(table: str, attribute: str, names: str) -> str:
    maps, lists = _PLACES[table]
    key, among = quote(attribute), f"(SELECT Value FROM {names})"  # noqa: S608  a name of ours
    listed = f"(SELECT groupArray(Value) FROM {names})"  # noqa: S608
    # An attribute that is not there reads as an empty text.
    single = [f"(has(mapKeys({m}), {key}) AND {m}[{key}] IN {among})" for m in maps]
    several = [f"arrayExists(m -> has(mapKeys(m), {key}) AND has({listed}, m[{key}]), {quote_name(m)})" for m in lists]
    return " OR ".join([*single, *several])


def _customers(names: str) -> str:
    """The counts that a value names, as the column cuts it; requests without a customer are in none."""
    cut = f"substringUTF8(Value, 1, {MAX_NAME_CHARS})"
    return f"Customer IN (SELECT {cut} FROM {names} WHERE Value != '')"  # noqa: S608  a name of ours


def _unfinished(engine: Engine) -> list[str]:
    """What the engine has against them, where it does."""
    sql = (
        "SELECT latest_fail_reason AS r FROM system.mutations "
        "WHERE database = currentDatabase() AND NOT is_done AND position(command, {prefix:String}) > 0"
    )
    return [str(row["r"]) for row in engine.query(sql, {"prefix": PREFIX}).to_pylist()]


def _wait(engine: Engine, until: float) -> None:
    while reasons := _unfinished(engine):
        if time.monotonic() > until:
            why = next(filter(None, reasons), "it is still at work")
            raise QueryFailed(f"The engine has not deleted everything yet ({why}); it goes on. Ask again later.")
        time.sleep(_LOOK_EVERY_S)


def _drop_leftovers(engine: Engine) -> None:
    """Of a deletion that was cut off: the engine finishes it by itself, and needs the table until then."""
    if _unfinished(engine):
        return
    sql = (
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {prefix:String}) "
        "AND metadata_modification_time < now() - {age:UInt32}"
    )
    for row in engine.query(sql, {"prefix": PREFIX, "age": _LEFT_OVER_S}).to_pylist():
        if row["name"] not in _IN_USE:
            drop_table(engine, row["name"])
