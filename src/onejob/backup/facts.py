"""The state database as rows that are the same whichever database they came from and go to.

A piece is a compressed JSON array of rows, each a list in the order of the table's columns. Times are ISO 8601 in UTC,
bytes are base64, everything else is JSON's own.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from onejob.backup.pieces import packed, unpacked
from onejob.state.codec import iso
from onejob.state.database import Database, revision_of
from onejob.state.moments import Moment
from onejob.state.tables import metadata

_ROWS = 200  # of a piece: some tables have documents of 100 kB
Told = dict[str, Any]  # of the manifest

_WRITE: Mapping[str, Callable[[Any], Any]] = {
    "moment": iso,
    "bytes": lambda value: base64.b64encode(value).decode(),
}
_READ: Mapping[str, Callable[[Any], Any]] = {"moment": datetime.fromisoformat, "bytes": base64.b64decode}
_TYPES: Mapping[str, sa.types.TypeEngine[Any]] = {"moment": Moment(), "bytes": sa.LargeBinary()}


def told_of(connection: Connection) -> Told:
    """Its revision, and its tables in the order in which they refer to one another. The moment of `frozen` is now."""
    return {
        "revision": revision_of(connection),
        "tables": [_told(connection, table) for table in metadata.sorted_tables],
    }


def pieces(connection: Connection) -> Iterator[tuple[str, bytes]]:
    """The tables' names and rows."""
    for table in metadata.sorted_tables:
        write = [_WRITE.get(_kind(column), _as_it_is) for column in table.columns]
        query = sa.select(table).order_by(*table.primary_key.columns)
        found = connection.execution_options(yield_per=_ROWS).execute(query)
        for rows in found.partitions():
            told = [[None if value is None else w(value) for w, value in zip(write, row, strict=True)] for row in rows]
            yield table.name, packed(json.dumps(told, separators=(",", ":")).encode())


class FactsBack:
    """Fills a database of the revision that was backed up."""

    def __init__(self, database: Database, told: Told) -> None:
        self._database = database
        self._told = told
        self._columns: dict[str, list[tuple[str, str]]] = {table["name"]: table["columns"] for table in told["tables"]}

    def begin(self) -> None:
        """Make the tables as they were."""
        self._database.migrate(self._told["revision"], is_restored=True)

    def add(self, name: str, piece: bytes) -> None:
        """Rows of one table."""
        columns = self._columns[name]
        read = [_READ.get(kind, _as_it_is) for _, kind in columns]
        table = sa.table(name, *(sa.column(column, _TYPES.get(kind)) for column, kind in columns))
        rows = [
            {
                column: None if value is None else r(value)
                for (column, _), r, value in zip(columns, read, row, strict=True)
            }
            for row in json.loads(unpacked(piece))
        ]
        with self._database.write() as connection:
            connection.execute(sa.insert(table), rows)

    def end(self) -> None:
        """Numbers go on where they were, and the tables are this release's."""
        if not self._database.is_sqlite:  # which goes on from the highest by itself
            with self._database.write() as connection:
                for name, columns in self._columns.items():
                    _go_on(connection, name, [column for column, _ in columns])
        self._database.migrate(is_restored=True)


def _told(connection: Connection, table: Table) -> Told:
    rows = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    return {"name": table.name, "columns": [[c.name, _kind(c)] for c in table.columns], "rows": rows}


def _kind(column: sa.Column[Any]) -> str:
    if isinstance(column.type, Moment):
        return "moment"
    return "bytes" if isinstance(column.type, sa.LargeBinary) else "plain"


def _as_it_is(value: Any) -> Any:
    return value


def _go_on(connection: Connection, table: str, columns: Sequence[str]) -> None:
    sequence_of = sa.text("SELECT pg_get_serial_sequence(:table, :column)")
    for column in columns:
        sequence = connection.execute(sequence_of, {"table": table, "column": column}).scalar_one()
        if sequence is not None:
            highest = sa.select(sa.func.max(sa.column(column))).select_from(sa.table(table)).scalar_subquery()
            is_used = sa.exists(sa.select(sa.literal(1)).select_from(sa.table(table)))
            connection.execute(sa.select(sa.func.setval(sequence, sa.func.coalesce(highest, 1), is_used)))
