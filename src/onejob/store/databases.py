"""A project's telemetry is a database of its own, in the engine that all share.

So a statement cannot reach another project's tables: it names none, and is sent upon one database. Nothing but a name
ties the two together, and on a ClickHouse that name may be somebody else's: databases made here say so, and no other is
ever migrated or dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onejob.store.errors import StoreError
from onejob.store.migrate import migrate
from onejob.store.sql import quote, quote_name

if TYPE_CHECKING:
    from onejob.config import Settings
    from onejob.store.engine import Engine


def make_database(engine: Engine, project: str) -> Engine:
    """The running engine upon the project's own database, made if it is not there, whatever its tables are."""
    name = engine.database_of(project)
    engine.execute(f"CREATE DATABASE IF NOT EXISTS {quote_name(name)} COMMENT {quote(_mark(project))}")
    _check_it_is_ours(engine, name, project)
    return engine.upon(name)


def open_database(engine: Engine, settings: Settings, project: str) -> Engine:
    """The running engine upon the project's own database, made if it is not there, its schema up to date.

    `settings` are the project's: its retention may be another. Raises StoreError.
    """
    opened = make_database(engine, project)
    try:
        migrate(opened, settings)
    except BaseException:
        opened.close()
        raise
    return opened


def drop_database(engine: Engine, project: str) -> None:
    """Delete all telemetry of the project; nothing may be open upon it. Nothing happens where there is none."""
    name = engine.database_of(project)
    if _comment(engine, name) is None:
        return
    _check_it_is_ours(engine, name, project)
    engine.execute(f"DROP DATABASE IF EXISTS {quote_name(name)} SYNC")


def _mark(project: str) -> str:
    return f"onejob: telemetry of the project {project}"


def _check_it_is_ours(engine: Engine, name: str, project: str) -> None:
    if _comment(engine, name) != _mark(project):
        raise StoreError(
            f"There is a database {name} that onejob has not made for the project {project}: rename or drop it, or "
            "give the project another name."
        )


def _comment(engine: Engine, name: str) -> str | None:
    """None where there is no such database."""
    sql = "SELECT comment AS c FROM system.databases WHERE name = {name:String}"
    rows = engine.query(sql, {"name": name}).to_pylist()
    return str(rows[0]["c"]) if rows else None
