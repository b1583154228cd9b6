"""Brings the schema of the store up to date: numbered scripts, each run once, never back.

A script may be interrupted halfway (the engine has no transactions over DDL), so every statement is made repeatable
before it runs. What follows the settings rather than the release (retention, promoted attributes, who
is a customer) is brought in line at every start.
"""

from __future__ import annotations

import logging
import re
from importlib import resources
from typing import TYPE_CHECKING

from onejob.model.telemetry import POINTS
from onejob.store.errors import SchemaMismatch
from onejob.store.expressions import customer, schema_values
from onejob.store.sql import quote, statements

if TYPE_CHECKING:
    from onejob.config import Settings
    from onejob.store.engine import Engine

log = logging.getLogger(__name__)

MIGRATIONS = "onejob_migrations"
_MADE = re.compile(r"^CREATE (TABLE|MATERIALIZED VIEW) (\w+)", re.MULTILINE)


def migrate(engine: Engine, settings: Settings) -> None:
    """Raises SchemaMismatch when the data is a newer release's, or was binned by another width."""
    engine.execute(
        "CREATE TABLE IF NOT EXISTS onejob_migrations "
        "(Number UInt32, Name String, BinWidth UInt32, AppliedAt DateTime('UTC')) "
        "ENGINE = MergeTree ORDER BY Number"
    )
    applied = _applied(engine)
    scripts = _scripts()
    _check(applied, scripts, settings.bin_width_s)
    values: dict[str, object] = {
        **schema_values(),
        "customer": customer(settings.customer_attributes),
        "customer_attributes": quote(_listed(settings.customer_attributes)),
        "customer_retention_days": settings.customer_retention_days,
        "bin_width_s": settings.bin_width_s,
        "traces_retention_days": settings.traces_retention_days,
        "rollup_retention_days": settings.rollup_retention_days,
        "logs_retention_days": settings.logs_retention_days,
        "metrics_retention_days": settings.metrics_retention_days,
    }
    for number, (name, script) in scripts.items():
        if number not in applied:
            _apply(engine, number, name, script, values)
    definitions = _definitions(engine)
    _set_retention(engine, definitions, settings)
    _promote_attributes(engine, definitions["otel_traces"], settings.promoted_attributes)
    _name_customers(engine, settings.customer_attributes)


def newest_schema() -> int:
    """The number of the last script of this release."""
    return max(_scripts())


def made_names() -> dict[str, bool]:
    """Of all that the scripts make, and whether it is a table that has rows of its own (else a view)."""
    made = [match for _, script in _scripts().values() for match in _MADE.findall(script)]
    return {name: kind == "TABLE" for kind, name in made}


def promoted_column(attribute: str) -> str:
    """The column of `otel_traces` that a promoted span attribute is kept in."""
    return "attr_" + re.sub(r"[^A-Za-z0-9]", "_", attribute)


def _applied(engine: Engine) -> dict[int, int]:
    """Bin width by number of the migration."""
    table = engine.query("SELECT Number, any(BinWidth) AS BinWidth FROM onejob_migrations GROUP BY Number")
    return {row["Number"]: row["BinWidth"] for row in table.to_pylist()}


def _scripts() -> dict[int, tuple[str, str]]:
    files = [f for f in resources.files("onejob.store").joinpath("schema").iterdir() if f.name.endswith(".sql")]
    return {int(f.name[:4]): (f.name[5:-4], f.read_text()) for f in sorted(files, key=lambda f: f.name)}


def _check(applied: dict[int, int], scripts: dict[int, tuple[str, str]], bin_width_s: int) -> None:
    newer = sorted(set(applied) - set(scripts))
    if newer:
        raise SchemaMismatch(
            f"The store was written by a newer release of onejob (schema {newer[-1]}, this one knows {max(scripts)}). "
            "Start that release, or use another data directory."
        )
    stored = max(applied.values(), default=bin_width_s)
    if stored != bin_width_s:
        raise SchemaMismatch(
            f"The stored counts are in bins of {stored} s, ONEJOB_BIN_WIDTH_S is {bin_width_s}. "
            f"Set it to {stored}, or use another data directory."
        )


def _apply(engine: Engine, number: int, name: str, script: str, values: dict[str, object]) -> None:
    for statement in statements(script, values):
        engine.execute(re.sub(r"\bCREATE (TABLE|MATERIALIZED VIEW) ", r"CREATE \1 IF NOT EXISTS ", statement, count=1))
    engine.execute(
        "INSERT INTO onejob_migrations SELECT {number:UInt32}, {name:String}, {width:UInt32}, now('UTC')",
        {"number": number, "name": name, "width": int(str(values["bin_width_s"]))},
    )
    log.info("The store's schema is at %04d %s.", number, name)


def _set_retention(engine: Engine, definitions: dict[str, str], settings: Settings) -> None:
    wanted = (
        ("otel_traces", "toDateTime(Timestamp)", settings.traces_retention_days),
        ("operation_rollup", "Bin", settings.rollup_retention_days),
        ("error_counts", "Bin", settings.rollup_retention_days),
        ("customer_rollup", "Bin", settings.customer_retention_days),
        ("otel_logs", "TimestampTime", settings.logs_retention_days),
        *((f"otel_metrics_{kind}", "toDateTime(TimeUnix)", settings.metrics_retention_days) for kind in POINTS),
    )
    for table, column, days in wanted:
        ttl = f"TTL {column} + toIntervalDay({days})"
        if ttl not in definitions[table]:
            # Rows that are there expire by a time that is noted beside them. It is noted anew, behind the caller's
            # back, and nothing else of them is written: who keeps less for want of room has none for a copy.
            engine.execute(f"ALTER TABLE {table} MODIFY SETTING materialize_ttl_recalculate_only = 1")
            engine.execute(f"ALTER TABLE {table} MODIFY {ttl} SETTINGS alter_sync = 0")


def _promote_attributes(engine: Engine, definition: str, attributes: tuple[str, ...]) -> None:
    """In one statement: each works the whole table out anew, and five of them were half of a first start (measured)."""
    columns = {promoted_column(attribute): attribute for attribute in reversed(attributes)}  # of two, the first
    added = ", ".join(
        f"ADD COLUMN IF NOT EXISTS {column} String MATERIALIZED SpanAttributes[{quote(attribute)}] CODEC(ZSTD(1))"
        for column, attribute in columns.items()
        if f"`{column}`" not in definition
    )
    if added:
        engine.execute(f"ALTER TABLE otel_traces {added}")


def _name_customers(engine: Engine, attributes: tuple[str, ...]) -> None:
    """Of what is stored from now on. The engine spells expressions its own way: the comment says of what it is."""
    sql = (
        "SELECT comment AS c FROM system.columns "
        "WHERE database = currentDatabase() AND table = 'otel_traces' AND name = 'Customer'"
    )
    if engine.query(sql).to_pylist() != [{"c": _listed(attributes)}]:
        column = f"Customer String DEFAULT {customer(attributes)} COMMENT {quote(_listed(attributes))}"
        engine.execute(f"ALTER TABLE otel_traces MODIFY COLUMN {column}")


def _listed(attributes: tuple[str, ...]) -> str:
    return ", ".join(attributes)


def _definitions(engine: Engine) -> dict[str, str]:
    """By table."""
    sql = "SELECT name AS Name, create_table_query AS Sql FROM system.tables WHERE database = currentDatabase()"
    return {row["Name"]: row["Sql"] for row in engine.query(sql).to_pylist()}
