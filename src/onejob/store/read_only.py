"""A ClickHouse that is somebody else's: read, and nothing else.

Nothing is made there, no table, no database, no setting: a user whose profile has `readonly = 1` can do it all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from onejob.store.chdb_process import engine_error
from onejob.store.engine import Scalar
from onejob.store.errors import EngineUnavailable, QueryFailed, StoreError

_CONNECT_TIMEOUT_S = 10
_ANSWER_TIMEOUT_S = 600
# What the collector's exporter always writes, and onejob reads.
_NEEDED = frozenset(
    {"Timestamp", "ParentSpanId", "SpanName", "SpanKind", "ServiceName", "ResourceAttributes", "SpanAttributes",
     "Duration", "StatusCode", "TraceState"}
)  # fmt: skip

# Without these, nothing is known of KPIs, web vitals and exceptions.
_SAID = frozenset({"TraceId", "SpanId", "Events.Timestamp", "Events.Name", "Events.Attributes"})


class ReadOnlyClickHouse:
    """See `Reader`. `url` is `http://user:password@host:8123/database`."""

    def __init__(self, url: str) -> None:
        parts, port = _parts(url)
        self.address = f"{parts.hostname}:{port}"
        self.database = unquote(parts.path.strip("/")) or "default"
        try:
            self._client: Any = clickhouse_connect.get_client(
                host=parts.hostname,
                port=port,
                username=unquote(parts.username or "default"),
                password=unquote(parts.password or ""),
                database=self.database,
                secure=parts.scheme == "https",
                connect_timeout=_CONNECT_TIMEOUT_S,
                send_receive_timeout=_ANSWER_TIMEOUT_S,
                autogenerate_session_id=False,
            )
        except ClickHouseError as error:
            raise StoreError(f"No ClickHouse answers at {self.address}: {error}") from error

    def query(
        self, sql: str, params: Mapping[str, Scalar] | None = None, *, timeout_s: float | None = None
    ) -> pa.Table:
        try:
            answer = self._client.raw_query(sql, dict(params or {}), fmt="ArrowStream")
        except DatabaseError as error:
            raise engine_error(str(error)) from error
        except (ClickHouseError, OSError) as error:
            raise EngineUnavailable(f"ClickHouse at {self.address} did not answer: {error}") from error
        with pa.ipc.open_stream(answer) as reader:
            return reader.read_all()

    def check_traces(self, table: str) -> None:
        """Raises StoreError unless the table is one of the collector's, with attributes in maps."""
        database, _, name = table.rpartition(".")
        try:
            columns = self._columns(table)
        except QueryFailed as error:
            raise StoreError(f"What {table} looks like cannot be read: {error}") from error
        if not columns:
            raise StoreError(
                f"There is no table {name} in the database {database or self.database} at {self.address}, or this user "
                "may not read it: say which one with --table, GRANT SELECT on it."
            )
        missing = sorted(_NEEDED - columns.keys())
        if missing or not columns["ResourceAttributes"].startswith("Map("):
            why = f"it lacks {', '.join(missing)}" if missing else "it keeps attributes as JSON, which is not read yet"
            raise StoreError(f"{table} is not the traces table of the OpenTelemetry Collector's exporter: {why}.")

    def has_events(self, table: str) -> bool:
        """Do the table's spans come with ids and events, as the exporter has always written them?"""
        return self._columns(table).keys() >= _SAID

    def _columns(self, table: str) -> dict[str, str]:
        """Types by name; none where there is no such table, or it may not be read."""
        database, _, name = table.rpartition(".")
        sql = "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String}"
        answer = self.query(sql, {"database": database or self.database, "table": name})
        return {row["name"]: row["type"] for row in answer.to_pylist()}

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()


def _parts(url: str) -> tuple[SplitResult, int]:
    """The URL taken apart, and its port. StoreError if it is none of ClickHouse's HTTP interface."""
    try:
        parts = urlsplit(url)
        port = parts.port or (8443 if parts.scheme == "https" else 8123)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("http", "https") or not parts.hostname:
        shown = url.rpartition("@")[2][:100]  # without what may be a password
        raise StoreError(f"The store's URL must look like http://user:password@host:8123/database, not {shown}.")
    return parts, port
