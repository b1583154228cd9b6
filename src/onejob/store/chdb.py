"""The embedded engine: chDB in a process of its own, which owns the data directory; and databases of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from onejob.store import lanes
from onejob.store.chdb_process import ChdbProcess
from onejob.store.engine import Scalar
from onejob.store.redaction import plan_of
from onejob.store.sql import as_identifier, quote, quote_name

if TYPE_CHECKING:
    from onejob.config import Settings

INSERT_TIMEOUT_S = 120.0
ONE_BLOCK_ROWS = 100_000_000


class ChdbDatabase:
    """See `Engine`."""

    def __init__(self, settings: Settings, process: ChdbProcess, database: str) -> None:
        self._settings = settings
        self._process = process
        self._database = database

    @property
    def pid(self) -> int | None:
        """Of the engine's process, None while it restarts."""
        return self._process.pid

    @property
    def database(self) -> str:
        return self._database

    def database_of(self, project: str) -> str:
        return f"onejob_{as_identifier(project)}"

    def upon(self, database: str) -> ChdbDatabase:
        return ChdbDatabase(self._settings, self._process, database)

    def query(
        self, sql: str, params: Mapping[str, Scalar] | None = None, *, timeout_s: float | None = None
    ) -> pa.Table:
        timeout = timeout_s or self._settings.query_timeout_s
        limited = f"{sql.rstrip().rstrip(';')}\nSETTINGS {self._limits(timeout)}"
        head = self._head("query", sql=limited, params=_escaped(params))
        answer = self._process.ask(head, timeout_s=timeout, is_hurried=timeout_s is not None)
        with pa.ipc.open_stream(answer) as reader:
            return reader.read_all()

    def execute(self, sql: str, params: Mapping[str, Scalar] | None = None) -> None:
        self._process.ask(self._head("execute", sql=sql, params=_escaped(params)), timeout_s=INSERT_TIMEOUT_S)

    def insert(self, table: str, payload: bytes, token: str) -> None:
        settings = insert_settings(token) | {
            "max_memory_usage": self._settings.engine_max_memory_bytes,
            "max_threads": 1,
        }
        head = self._head("insert", table=table, settings=_settings_sql(settings))
        self._process.ask(head, payload, timeout_s=INSERT_TIMEOUT_S)

    def insert_traces(self, payload: bytes, token: str) -> None:
        self.insert("otel_traces", payload, token)

    def dump(self, sql: str) -> bytes:
        limited = f"{sql}\nSETTINGS {self._limits(INSERT_TIMEOUT_S)}"
        head = self._head("query", sql=limited, format="Native", params={})
        return self._process.ask(head, timeout_s=INSERT_TIMEOUT_S)

    def load(self, table: str, columns: Sequence[str], rows: bytes, token: str) -> None:
        settings = insert_settings(token) | {"max_memory_usage": self._settings.engine_max_memory_bytes}
        names = ", ".join(map(quote_name, columns))
        head = self._head("load", table=quote_name(table), columns=names, settings=_settings_sql(settings))
        self._process.ask(head, rows, timeout_s=INSERT_TIMEOUT_S)

    def is_up(self) -> bool:
        return self._process.is_up()

    def close(self) -> None:
        pass

    def _head(self, do: str, **fields: Any) -> lanes.Head:
        return {"do": do, "database": self._database, **fields}

    def _limits(self, timeout_s: float) -> str:
        return (
            f"max_execution_time = {timeout_s}, max_memory_usage = {self._settings.engine_max_memory_bytes}, "
            f"max_threads = {self._settings.engine_max_threads}"
        )


class ChdbEngine(ChdbDatabase):
    """The engine itself, upon the database that was always there. See `Engine`."""

    def __init__(self, settings: Settings, on_close: Callable[[], None] = lambda: None) -> None:
        home = settings.data_dir.resolve() / "engine"
        process = ChdbProcess(str(home / "chdb"), home, plan_of(settings))
        super().__init__(settings, process, lanes.DEFAULT_DATABASE)
        self._on_close = on_close

    def close(self) -> None:
        self._process.close()
        self._on_close()


def insert_settings(token: str) -> dict[str, Scalar]:
    """What makes an insert happen once: in the table, and in the views when only they missed it."""
    return {
        "insert_deduplication_token": token,
        "deduplicate_blocks_in_dependent_materialized_views": 1,
        "async_insert": 0,
        "max_partitions_per_insert_block": 0,
        "min_insert_block_size_rows": ONE_BLOCK_ROWS,  # one block, one token: all or nothing
        "min_insert_block_size_bytes": 0,
        "max_insert_threads": 1,
    }


def _escaped(params: Mapping[str, Scalar] | None) -> dict[str, Scalar]:
    """The engine reads a parameter as it reads a field of a TSV file: with backslash escapes."""
    escapes = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})
    return {k: v.translate(escapes) if isinstance(v, str) else v for k, v in (params or {}).items()}


def _settings_sql(settings: Mapping[str, Scalar]) -> str:
    return ", ".join(f"{name} = {quote(v) if isinstance(v, str) else v}" for name, v in settings.items())
