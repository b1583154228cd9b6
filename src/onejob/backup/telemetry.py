"""The engine's tables as rows of one moment, and back.

Rows are read for as long as a client takes to receive them, and parts are merged, expire and change meanwhile. So each
table gets a second one, which takes over its parts as they are (hard links, no copies) and lets none of them be merged.
What is in it can be read at leisure: by part, and by place in the part, so that a piece is small however large the
table is, and the engine reads no more than the piece.

Rows are put back while no view looks: what the views once made of them is in the archive as well.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from onejob.backup.errors import BackupError
from onejob.backup.pieces import packed, unpacked
from onejob.config import Settings
from onejob.store import restoring
from onejob.store.engine import Engine
from onejob.store.errors import EngineUnavailable, QueryFailed
from onejob.store.migrate import made_names, migrate, newest_schema
from onejob.store.sql import drop_table, quote, quote_name

log = logging.getLogger(__name__)

PREFIX = "backup_"
_PIECE_BYTES = 32 * 2**20  # uncompressed
_LEFT_OVER_S = 48 * 3600  # another server's backup may still read it
_LIVE: set[str] = set()  # of this process: a project may be begun again while it is backed up
_PAUSES_S = (0.5, 2.0, 8.0)
_PARTS = "FROM system.parts WHERE database = currentDatabase() AND table = {table:String} AND active"
_NO_MERGES = "max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1"
Told = dict[str, Any]  # of the manifest


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    rows: int
    bytes: int


class Clones:
    """Of the tables of one engine; `make`, `fill` at the moment that is meant, `pieces`, and `drop` in any case."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._prefix = f"{PREFIX}{secrets.token_hex(8)}_"
        _LIVE.add(self._prefix)
        self._tables = [name for name in _tables(engine) if made_names().get(name)]
        self._made: set[str] = set()
        self._parts: dict[str, list[_Part]] = {}

    def make(self) -> None:
        """Empty ones."""
        for table in self._tables:
            if self._partitions(table):
                self._make(table)

    def fill(self) -> None:
        """With all there is now."""
        for table in self._tables:
            partitions = self._partitions(table)
            if partitions:
                self._make(table)
                attached = ", ".join(f"ATTACH PARTITION ID {quote(p)} FROM {quote_name(table)}" for p in partitions)
                self._engine.execute(f"ALTER TABLE {quote_name(self._prefix + table)} {attached}")
            self._parts[table] = self._parts_of(table)

    def told(self) -> Told:
        """Of what was filled."""
        tables = [
            {"name": table, "columns": self._columns(table), "rows": sum(part.rows for part in parts)}
            for table, parts in self._parts.items()
        ]
        return {"schema": newest_schema(), "tables": tables}

    def pieces(self) -> Iterator[tuple[str, bytes]]:
        """The tables' names and rows. Raises BackupError if a table was touched meanwhile."""
        for table, parts in self._parts.items():
            columns = ", ".join(map(quote_name, self._columns(table)))
            for place in _places(parts):
                rows = f"SELECT {columns} FROM {quote_name(self._prefix + table)} WHERE {place}"  # noqa: S608  quoted
                yield table, packed(self._engine.dump(rows))
            if self._parts_of(table) != parts:
                raise BackupError("Somebody changed what is being backed up: make the backup again.")
            self._drop(table)

    def drop(self) -> None:
        """They are no more, or soon."""
        for table in sorted(self._made):
            try:
                self._drop(table)
            except (EngineUnavailable, QueryFailed) as error:
                log.warning("What a backup left in the engine is deleted at the next start: %s", error)
        _LIVE.discard(self._prefix)

    def _make(self, table: str) -> None:
        if table not in self._made:
            self._made.add(table)
            clone = quote_name(self._prefix + table)
            self._engine.execute(f"CREATE TABLE {clone} AS {quote_name(table)}")
            self._engine.execute(f"ALTER TABLE {clone} REMOVE TTL, MODIFY SETTING {_NO_MERGES}")

    def _drop(self, table: str) -> None:
        if table in self._made:
            drop_table(self._engine, self._prefix + table)
            self._made.remove(table)

    def _partitions(self, table: str) -> list[str]:
        sql = f"SELECT DISTINCT partition_id AS id {_PARTS} ORDER BY id"
        return [str(row["id"]) for row in self._engine.query(sql, {"table": table}).to_pylist()]

    def _parts_of(self, table: str) -> list[_Part]:
        sql = f"SELECT name, rows, data_uncompressed_bytes AS bytes {_PARTS} ORDER BY partition_id, min_block_number"
        return [_Part(**row) for row in self._engine.query(sql, {"table": self._prefix + table}).to_pylist()]

    def _columns(self, table: str) -> list[str]:
        return columns_of(self._engine, table)


def sweep(engine: Engine, settings: Settings) -> None:
    """Drop what a backup that was cut off has left: it keeps the room of parts that are merged since."""
    sql = (
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {prefix:String}) "
        "AND metadata_modification_time <= now() - {age_s:UInt32}"
    )
    age_s = 0 if settings.store_url is None else _LEFT_OVER_S
    for row in engine.query(sql, {"prefix": PREFIX, "age_s": age_s}).to_pylist():
        if not row["name"].startswith(tuple(_LIVE)):
            drop_table(engine, row["name"])


class TelemetryBack:
    """Fills an engine that has nothing yet."""

    def __init__(self, engine: Engine, settings: Settings, told: Told) -> None:
        self._engine = engine
        self._settings = settings
        self._columns: dict[str, list[str]] = {table["name"]: table["columns"] for table in told["tables"]}
        self._views: list[str] = []
        self._loaded = 0

    def begin(self) -> None:
        """Make the tables, and no views. Raises StoreError, BackupError."""
        restoring.begin(self._engine)
        migrate(self._engine, self._settings)
        for table, columns in self._columns.items():
            unknown = set(columns) - set(columns_of(self._engine, table))
            if unknown:
                raise BackupError(f"{table} has no column {min(unknown)}: restore the backup with its own release.")
        self._views = self._take_views_away()

    def add(self, table: str, piece: bytes) -> None:
        """Rows of one table."""
        self._loaded += 1
        rows, token = unpacked(piece), f"restored-{table}-{self._loaded}"
        for pause_s in _PAUSES_S:
            try:
                self._engine.load(table, self._columns[table], rows, token)
            except EngineUnavailable as error:
                log.warning("The engine is tried again in %.1f s: %s", pause_s, error)
                time.sleep(pause_s)
            else:
                return
        self._engine.load(table, self._columns[table], rows, token)

    def end(self) -> None:
        """Views look again."""
        for definition in self._views:
            self._engine.execute(definition)

    def _take_views_away(self) -> list[str]:
        sql = (
            "SELECT name, create_table_query AS definition FROM system.tables "
            "WHERE database = currentDatabase() AND engine = 'MaterializedView'"
        )
        ours = made_names()
        views = [view for view in self._engine.query(sql).to_pylist() if view["name"] in ours]
        for view in views:
            drop_table(self._engine, view["name"])
        return [view["definition"] for view in views]


def columns_of(engine: Engine, table: str) -> list[str]:
    """Those that are stored as they came, or as they were worked out then."""
    sql = (
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String} "
        "AND default_kind NOT IN ('MATERIALIZED', 'ALIAS') ORDER BY position"
    )
    return [str(row["name"]) for row in engine.query(sql, {"table": table}).to_pylist()]


def _tables(engine: Engine) -> list[str]:
    sql = "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    return [str(row["name"]) for row in engine.query(sql).to_pylist()]


def _places(parts: Sequence[_Part]) -> Iterator[str]:
    """Conditions that have each row once: small parts together, large ones a range at a time."""
    together: list[_Part] = []
    for part in parts:
        if sum(p.bytes for p in together) + part.bytes > _PIECE_BYTES and together:
            yield _in(together)
            together = []
        if part.bytes > _PIECE_BYTES:
            yield from _ranges(part)
        else:
            together.append(part)
    if together:
        yield _in(together)


def _in(parts: Sequence[_Part]) -> str:
    return f"_part IN ({', '.join(quote(part.name) for part in parts)})"


def _ranges(part: _Part) -> Iterator[str]:
    step = max(1, part.rows * _PIECE_BYTES // part.bytes)
    for start in range(0, part.rows, step):
        yield f"_part = {quote(part.name)} AND _part_offset >= {start} AND _part_offset < {start + step}"
