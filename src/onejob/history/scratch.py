"""A state database in memory, for a replay to keep its facts in: the live code runs on it unchanged.

The detection of deployments writes what it finds, reads it back, and matches it with what comes later. Run over the
past it must not write into the facts of the present.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from onejob.state.database import Database
from onejob.state.tables import metadata

_names = count()


@contextmanager
def scratch_database() -> Iterator[Database]:
    """Empty tables, gone at the end."""
    database = Database(f"sqlite:///file:onejob-scratch-{next(_names)}?mode=memory&cache=shared&uri=true")
    with database.engine.connect():  # while one connection is open, the others find the same memory
        metadata.create_all(database.engine)
        try:
            yield database
        finally:
            database.close()
