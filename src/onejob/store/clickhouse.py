"""A ClickHouse over HTTP, for more than one machine.

The server has neither our memory file nor our UDF, so a chDB process parses the OTLP bytes, and the rows travel in
ClickHouse's Native format under the same deduplication token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from onejob.store import lanes
from onejob.store.chdb import INSERT_TIMEOUT_S, insert_settings
from onejob.store.chdb_process import ChdbProcess, engine_error
from onejob.store.engine import Scalar
from onejob.store.errors import EngineUnavailable, StoreError
from onejob.store.otlp_tables import TABLES
from onejob.store.redaction import plan_of
from onejob.store.sql import as_identifier, quote_name

if TYPE_CHECKING:
    from onejob.config import Settings

_CONNECT_TIMEOUT_S = 5
_PING_TIMEOUT_S = 1.0


class ClickHouseDatabase:
    """See `Engine`. It has a client of its own."""

    def __init__(self, settings: Settings, parser: ChdbProcess, database: str) -> None:
        self._settings = settings
        self._parser = parser
        self._database = database
        self._client = _client(settings, database=database)

    @property
    def database(self) -> str:
        return self._database

    def database_of(self, project: str) -> str:
        return f"{_named(self._settings)}_{as_identifier(project)}"

    def upon(self, database: str) -> ClickHouseDatabase:
        return ClickHouseDatabase(self._settings, self._parser, database)

    def query(
        self, sql: str, params: Mapping[str, Scalar] | None = None, *, timeout_s: float | None = None
    ) -> pa.Table:
        limits = self._limits(timeout_s or self._settings.query_timeout_s)
        if timeout_s is not None and not self._client.ping(_PING_TIMEOUT_S):
            raise EngineUnavailable("ClickHouse does not answer now; try again in a moment.")
        answer = _ask(lambda: self._client.raw_query(sql, dict(params or {}), limits, fmt="ArrowStream"))
        with pa.ipc.open_stream(answer) as reader:
            return reader.read_all()

    def execute(self, sql: str, params: Mapping[str, Scalar] | None = None) -> None:
        _ask(lambda: self._client.raw_query(sql, dict(params or {})))

    def insert(self, table: str, payload: bytes, token: str) -> None:
        head = {
            "do": "parse",
            "database": lanes.DEFAULT_DATABASE,
            "table": table,
            "settings": "async_insert = 0",
        }
        rows = self._parser.ask(head, payload, timeout_s=INSERT_TIMEOUT_S)
        if not rows:
            return
        settings = insert_settings(token) | {"max_memory_usage": self._settings.engine_max_memory_bytes}
        columns = list(TABLES[table].columns)
        _ask(lambda: self._client.raw_insert(table, columns, rows, settings, fmt="Native"))

    def insert_traces(self, payload: bytes, token: str) -> None:
        self.insert("otel_traces", payload, token)

    def dump(self, sql: str) -> bytes:
        limits = self._limits(INSERT_TIMEOUT_S)
        rows: bytes = _ask(lambda: self._client.raw_query(sql, settings=limits, fmt="Native"))
        return rows

    def load(self, table: str, columns: Sequence[str], rows: bytes, token: str) -> None:
        settings = insert_settings(token) | {"max_memory_usage": self._settings.engine_max_memory_bytes}
        _ask(lambda: self._client.raw_insert(quote_name(table), list(columns), rows, settings, fmt="Native"))

    def is_up(self) -> bool:
        return self._parser.is_up() and bool(self._client.ping(_PING_TIMEOUT_S))

    def close(self) -> None:
        self._client.close()

    def _limits(self, timeout_s: float) -> dict[str, Any]:
        return {
            "max_execution_time": timeout_s,
            "max_memory_usage": self._settings.engine_max_memory_bytes,
            "max_threads": self._settings.engine_max_threads,
        }


class ClickHouseEngine(ClickHouseDatabase):
    """With the process that parses, upon the database of the URL, which is made if it is not there. See `Engine`."""

    def __init__(self, settings: Settings, on_close: Callable[[], None] = lambda: None) -> None:
        database, first = _named(settings), _client(settings)
        _ask(lambda: first.command(f"CREATE DATABASE IF NOT EXISTS {quote_name(database)}"))
        first.close()
        parser = ChdbProcess(":memory:", settings.data_dir.resolve() / "engine", plan_of(settings))
        try:
            super().__init__(settings, parser, database)
        except BaseException:
            parser.close()
            raise
        self._on_close = on_close

    def close(self) -> None:
        self._parser.close()
        super().close()
        self._on_close()


def server_version(settings: Settings) -> str:
    """Of the ClickHouse that the settings name; nothing is made there. StoreError if none answers in some seconds."""
    client = _client(settings, _CONNECT_TIMEOUT_S)
    try:
        return str(client.server_version)
    finally:
        client.close()


def _url(settings: Settings) -> SplitResult:
    url = urlsplit(settings.store_url.get_secret_value() if settings.store_url else "")
    if url.scheme not in ("http", "https") or not url.hostname:
        raise StoreError("ONEJOB_STORE_URL must look like http://user:password@host:8123/database.")
    return url


def _named(settings: Settings) -> str:
    """The database of the URL."""
    return unquote(_url(settings).path.strip("/")) or "default"


def _client(settings: Settings, wait_s: float = INSERT_TIMEOUT_S, **upon: Any) -> Any:
    url = _url(settings)
    port = url.port or (8443 if url.scheme == "https" else 8123)
    try:
        return clickhouse_connect.get_client(
            host=url.hostname,
            port=port,
            username=unquote(url.username or "default"),
            password=unquote(url.password or ""),
            secure=url.scheme == "https",
            connect_timeout=_CONNECT_TIMEOUT_S,
            send_receive_timeout=wait_s,
            autogenerate_session_id=False,  # sessions allow one query at a time
            **upon,
        )
    except ClickHouseError as error:
        raise StoreError(f"No ClickHouse answers at {url.hostname}:{port} as ONEJOB_STORE_URL says: {error}") from error


def _ask(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except DatabaseError as error:
        raise engine_error(str(error)) from error
    except (ClickHouseError, OSError) as error:
        raise EngineUnavailable(f"ClickHouse did not answer: {error}") from error
