"""The databases that settings name: do they answer, though no server runs, and is what is sent to them encrypted?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from onejob.config import Settings, is_loopback
from onejob.doctor.finding import Finding, ok, problem, warning
from onejob.state.database import Database
from onejob.state.errors import StateError
from onejob.store.errors import StoreError

_ENCRYPTED = {"require", "verify-ca", "verify-full"}  # libpq falls back to none with anything else


def look_at_databases(settings: Settings) -> Iterator[Finding]:
    """Of a server that does not run. What is embedded starts with it, and is looked at then."""
    if settings.store_url is not None:
        yield _clickhouse(settings)
    if settings.state_url is not None:
        yield _postgres(settings.state_url.get_secret_value())
    yield from look_at_encryption(settings)


def look_at_encryption(settings: Settings) -> Iterator[Finding]:
    """Where a database on another machine is spoken to in clear."""
    store = urlsplit(settings.store_url.get_secret_value() if settings.store_url else "")
    if store.scheme == "http" and _is_elsewhere(store.hostname):
        yield warning(
            "encryption", f"telemetry is sent to {store.hostname} over HTTP, in clear",
            "name it with https:// and its port for that (8443) in ONEJOB_STORE_URL, or trust the network between",
        )  # fmt: skip
    host = _unencrypted_host(settings.state_url.get_secret_value()) if settings.state_url else None
    if host is not None:
        yield warning(
            "encryption", f"facts may be sent to {host} in clear",
            "add ?sslmode=verify-full to ONEJOB_STATE_URL, or trust the network between",
        )  # fmt: skip


def _clickhouse(settings: Settings) -> Finding:
    from onejob.store.clickhouse import server_version  # noqa: PLC0415 - slow to load

    try:
        return ok("engine", f"ClickHouse {server_version(settings)} answers")
    except StoreError as error:
        return problem(
            "engine", str(error), "start it, or correct ONEJOB_STORE_URL; what was acknowledged waits in the spool"
        )


def _postgres(url: str) -> Finding:
    try:
        with closing(Database(url)) as database:
            database.ping()
    except StateError as error:
        return problem("state database", str(error), "start it, or correct ONEJOB_STATE_URL")
    return ok("state database", f"{'SQLite' if database.is_sqlite else 'PostgreSQL'} answers")


def _unencrypted_host(url: str) -> str | None:
    try:
        told = make_url(url)
    except ArgumentError:  # said by whoever connects
        return None
    host = told.host or str(told.query.get("host", ""))
    is_sure = told.query.get("sslmode") in _ENCRYPTED
    return host if _is_elsewhere(host) and not host.startswith("/") and not is_sure else None


def _is_elsewhere(host: str | None) -> bool:
    return bool(host) and not is_loopback(host or "")
