"""SQLite for the tests of everything that keeps facts: migrated once and copied, and no waiting for the disk.

Migrating a file takes a fifth of a second, and a test uses it for less. No test pulls the plug, and waiting for the
disk is most of what writing does. What is acknowledged being on disk is tested where it is promised: in the spool.
"""

import shutil
from pathlib import Path

from sqlalchemy import event

from onejob.state.database import Database


class Template:
    """A file whose tables are up to date."""

    def __init__(self, path: Path) -> None:
        self._path = path
        database = unsynced(Database(f"sqlite:///{path}"))
        database.migrate()
        database.close()  # the last connection puts everything into the one file

    def copy(self, path: Path) -> str:
        """SQLAlchemy's address of a copy at that path."""
        shutil.copyfile(self._path, path)
        return f"sqlite:///{path}"


def unsynced(database: Database) -> Database:
    """The same database; its commits are written, but not waited for."""
    event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    return database
