"""The one door to the telemetry store. Two engines stand behind it, chDB in a child process and a ClickHouse over HTTP;
both pass the same acceptance suite (tests/store/test_engine_acceptance.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from onejob.config import Settings

Scalar = str | int | float | bool


class Reader(Protocol):
    """Thread-safe. Parameters bind as `{name:Type}` in the SQL; lists go through `sql.array_of_strings`.

    Every method raises `EngineUnavailable` when trying again later may help, and `QueryFailed` when it will not.
    """

    def query(
        self, sql: str, params: Mapping[str, Scalar] | None = None, *, timeout_s: float | None = None
    ) -> pa.Table:
        """The rows of a SELECT. With `timeout_s` somebody is waiting for them: an engine that is there but answers
        nothing is given up after that time, and sooner once it has been noticed.
        """


class Engine(Reader, Protocol):
    """A store that is written to as well: one database of the engine. See `databases` for others."""

    @property
    def database(self) -> str:
        """The one that statements are about."""

    def execute(self, sql: str, params: Mapping[str, Scalar] | None = None) -> None:
        """Runs a statement that returns nothing."""

    def insert(self, table: str, payload: bytes, token: str) -> None:
        """Stores what concatenated serialized OTLP requests have for one of `otlp_tables.TABLES`; the same token once
        in each table, however often it is sent.
        """

    def insert_traces(self, payload: bytes, token: str) -> None:
        """The same, of ExportTraceServiceRequests into `otel_traces`."""

    def dump(self, sql: str) -> bytes:
        """The rows of a SELECT in the engine's Native format, which keeps every type as it is."""

    def load(self, table: str, columns: Sequence[str], rows: bytes, token: str) -> None:
        """Stores what `dump` gave, of these columns; the same token once, however often it is sent."""

    def database_of(self, project: str) -> str:
        """What a project's database is called in this engine: another for each project."""

    def upon(self, database: str) -> Engine:
        """The same engine, its statements about another database, which must be there. Its `close` does not stop the
        engine.
        """

    def is_up(self) -> bool:
        """Whether a query would be answered now, as far as is known without asking one."""

    def close(self) -> None:
        """Stops the engine and gives the data directory back. Idempotent."""


def open_engine(settings: Settings) -> Engine:
    """The engine the settings ask for, its schema up to date, the data directory locked until `close`."""
    from onejob.store.lock import lock_data_dir  # noqa: PLC0415  the protocol above is all that most importers need
    from onejob.store.migrate import migrate  # noqa: PLC0415
    from onejob.store.restoring import refuse_what_was_cut_off  # noqa: PLC0415

    lock = lock_data_dir(settings.data_dir)
    try:
        refuse_what_was_cut_off(settings.data_dir)
        engine = start_engine(settings, on_close=lock.release)
    except BaseException:
        lock.release()
        raise
    try:
        refuse_what_was_cut_off(settings.data_dir, engine)
        migrate(engine, settings)
    except BaseException:
        engine.close()
        raise
    return engine


def start_engine(settings: Settings, on_close: Callable[[], None]) -> Engine:
    """The engine the settings ask for, whatever its tables are. Who calls it holds the lock of the data directory."""
    if settings.store_url is not None:
        from onejob.store.clickhouse import ClickHouseEngine  # noqa: PLC0415

        return ClickHouseEngine(settings, on_close=on_close)
    from onejob.store.chdb import ChdbEngine  # noqa: PLC0415

    return ChdbEngine(settings, on_close=on_close)
