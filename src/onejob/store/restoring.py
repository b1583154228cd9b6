"""A restoration that was cut off must not be taken for a whole one: what is being restored is marked until it is done.

The data directory by a file, for everything in it; a ClickHouse, which other servers reach too, by a table as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onejob.store.errors import HalfRestored, TargetTaken
from onejob.store.migrate import MIGRATIONS, made_names
from onejob.store.sql import drop_table

if TYPE_CHECKING:
    from onejob.store.engine import Engine

MARK_FILE = "restoring"
_MARK_TABLE = "onejob_restoring"


def refuse_what_was_cut_off(data_dir: Path, engine: Engine | None = None) -> None:
    """Raises HalfRestored if a restoration into the data directory, or the engine's database, was not finished."""
    what = f"into {data_dir.resolve()}" if engine is None else "of telemetry"
    if (data_dir / MARK_FILE).exists() if engine is None else _present(engine, [_MARK_TABLE]):
        raise HalfRestored(
            f"A restoration {what} was cut off: run the same `onejob restore` again, which begins anew, or use another "
            "place."
        )


def begin(engine: Engine) -> None:
    """Mark the database, which has nothing of onejob in it but what is left of a restoration. Raises TargetTaken."""
    ours = [MIGRATIONS, *made_names()]
    if _present(engine, [_MARK_TABLE]):
        for name in _present(engine, ours):
            drop_table(engine, name)
        return
    taken = _present(engine, ours)
    if taken:
        raise TargetTaken(
            f"There is telemetry already (table {taken[0]}): restore into a database that has none, or drop its tables."
        )
    engine.execute(f"CREATE TABLE {_MARK_TABLE} (Nothing UInt8) ENGINE = MergeTree ORDER BY Nothing")


def end(engine: Engine) -> None:
    """It is whole. May be said again."""
    drop_table(engine, _MARK_TABLE)


def _present(engine: Engine, names: list[str]) -> list[str]:
    """Those that are in the engine's database; views first, which read the tables."""
    sql = (
        "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY engine != 'MaterializedView', name"
    )
    return [str(row["name"]) for row in engine.query(sql).to_pylist() if row["name"] in names]
