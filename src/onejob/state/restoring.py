"""A restoration that was cut off must not be taken for a whole one: a table says so until it is done.

`Database.migrate` refuses a database that has it.
"""

from sqlalchemy import inspect, text

from onejob.state.database import RESTORING, Database
from onejob.state.errors import TargetTakenError
from onejob.state.tables import metadata

_REVISION = "alembic_version"


def begin(database: Database) -> None:
    """Mark the database, which has no tables of onejob but what is left of a restoration. Raises TargetTakenError."""
    with database.write() as connection:
        there = set(inspect(connection).get_table_names())
        taken = sorted(there & {*metadata.tables, _REVISION})
        if RESTORING in there:
            metadata.drop_all(connection)
            connection.execute(text(f"DROP TABLE IF EXISTS {_REVISION}"))
        elif taken:
            raise TargetTakenError(
                f"There are facts already (table {taken[0]}): restore into a database without, or drop its tables."
            )
        else:
            connection.execute(text(f"CREATE TABLE {RESTORING} (is_restoring INTEGER)"))


def end(database: Database) -> None:
    """It is whole. May be said again."""
    with database.write() as connection:
        connection.execute(text(f"DROP TABLE IF EXISTS {RESTORING}"))
