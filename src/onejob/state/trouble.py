"""What a driver's error means for whoever runs onejob.

Problem: "file is not a database" and "unable to open database file" are true, and help nobody. Solution: when something
went wrong, and only then, the database's file is looked at, and the sentence says what to do about what is found.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from onejob.state.errors import StateUnavailableError


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Errors of the database's own become StateUnavailableError; those of the statements stay what they are."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise StateUnavailableError(_sentence(error, url)) from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:  # IntegrityError and its like: the caller's to understand
            raise
        raise StateUnavailableError(_sentence(error, url)) from error


def _sentence(error: Exception, url: URL) -> str:
    path = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
    if path is not None and (problem := _problem_of(path, error)):
        return f"The state database {path} {problem}"
    return (
        f"The state database does not answer ({_cause(error)}). "
        "Check that it runs and that its disk has space; nothing was stored, try again."
    )


def _problem_of(path: Path, error: Exception) -> str | None:
    if os.path.isdir(path):
        return "is a folder: move it away, and a new database is made in its place."
    if _is_full(error):
        free = shutil.disk_usage(path.parent).free / 1e6
        return (
            f"cannot be written: the disk of {path.parent} is full ({free:.0f} MB free). Free some space; nothing was "
            "stored, try again."
        )
    if type(error) is DatabaseError:
        return (
            f"is damaged, or no SQLite database at all ({_cause(error)}). Put a backup in its place; or move it away "
            "together with its -wal and -shm files, and start onejob anew, without the deployments and verdicts so far."
        )
    if os.access(path, os.F_OK) and not os.access(path, os.R_OK | os.W_OK):
        return "may not be read or written: make it, and the folder it is in, belong to the user that onejob runs as."
    return None


def _is_full(error: Exception) -> bool:
    original = error.orig if isinstance(error, DBAPIError) else None
    return isinstance(original, sqlite3.Error) and getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _cause(error: Exception) -> str:
    original = error.orig if isinstance(error, DBAPIError) else error
    return str(original).strip().splitlines()[0] if str(original).strip() else type(original).__name__
