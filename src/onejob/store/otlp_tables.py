"""The tables that OTLP goes into, and the statement that fills each. A request of one kind may fill several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from onejob.model.telemetry import Kind
from onejob.store import logs_sql, metrics_sql, traces_sql
from onejob.store.otlp_sql import DATABASE, PLAIN_DATABASE, Redact, parse_settings


@dataclass(frozen=True, slots=True)
class OtlpTable:
    """`select` reads from views over a file with concatenated requests, which `views(path, redact)` make."""

    name: str
    columns: tuple[str, ...]
    select: str
    settings: str
    views: Callable[[str, Redact], list[str]]

    @property
    def insert(self) -> str:
        """Without its settings."""
        return f"INSERT INTO {self.name} ({', '.join(f'`{column}`' for column in self.columns)}) {self.select}"

    def plain(self) -> OtlpTable:
        """Reads from views of its own, which have nothing to redact."""
        return replace(
            self,
            select=_in_plain(self.select),
            views=lambda path, redact: [_in_plain(view) for view in self.views(path, redact)],
        )


def _in_plain(statement: str) -> str:
    return statement.replace(f" {DATABASE}.", f" {PLAIN_DATABASE}.")


TRACES = OtlpTable(
    "otel_traces",
    traces_sql.TRACES_COLUMNS,
    traces_sql.SELECT_TRACES,
    parse_settings("Traces"),
    traces_sql.views,
)
LOGS = OtlpTable("otel_logs", logs_sql.LOGS_COLUMNS, logs_sql.SELECT_LOGS, parse_settings("Logs"), logs_sql.views)
_METRICS = tuple(
    OtlpTable(points.table, points.insert_columns, points.select, parse_settings("Metrics"), points.views)
    for points in metrics_sql.KINDS_OF_POINTS
)

# In this order for good: the spool notes which tables of its kind a request fills.
TABLES_OF: dict[Kind, tuple[OtlpTable, ...]] = {"traces": (TRACES,), "logs": (LOGS,), "metrics": _METRICS}
TABLES = {table.name: table for tables in TABLES_OF.values() for table in tables}
PLAIN_TABLES = {name: table.plain() for name, table in TABLES.items()}
