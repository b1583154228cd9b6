"""KPIs and tolerances that people named on the page or through the API, beside those of the configuration.

What is stored is what holds for deployments to come: those that are judged already carry theirs in their first batch.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from onejob.model.kpi import Kpi, Outcomes, Tolerance
from onejob.state.codec import pack, unpack
from onejob.state.database import Database
from onejob.state.errors import ConflictError, NotFoundError
from onejob.state.tables import kpis, tolerances

log = logging.getLogger(__name__)

T = TypeVar("T", Kpi, Tolerance)
MOST = 500  # of each: every one that fits a service is part of a query every few seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored(Generic[T]):
    """A KPI or a tolerance under its id (of a KPI: its name), and who said so last."""

    id: str
    told: T
    changed_at: datetime
    changed_by: str


class StoredOutcomes:
    """Those in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def told(self) -> Outcomes:
        """What judges of services are told."""
        return Outcomes(
            kpis=tuple(one.told for one in self.kpis()),
            tolerances=tuple(one.told for one in self.tolerances()),
        )

    def kpis(self) -> list[Stored[Kpi]]:
        """By name."""
        return self._all(kpis, Kpi, newest_first=False)

    def tolerances(self) -> list[Stored[Tolerance]]:
        """In the order in which they hold: the newest first."""
        return self._all(tolerances, Tolerance, newest_first=True)

    def add(self, one: Stored[T]) -> None:
        """ConflictError if its id is taken, or there are too many."""
        table = _table(one.told)
        try:
            with self._database.write() as connection:
                if connection.execute(select(func.count()).select_from(table)).scalar_one() >= MOST:
                    raise ConflictError(f"There are {MOST} already: delete one that nobody needs.")
                connection.execute(insert(table).values(id=one.id, **_columns(one)))
        except IntegrityError as error:
            raise ConflictError(f"There is one called {one.id!r} already: choose another name.") from error

    def change(self, one: Stored[T]) -> None:
        """Take the place of the one before; NotFoundError if there is none."""
        table = _table(one.told)
        with self._database.write() as connection:
            found = connection.execute(update(table).where(table.c.id == one.id).values(_columns(one)))
            if not found.rowcount:
                raise _unknown(one.id)

    def remove_kpi(self, name: str) -> None:
        """NotFoundError if there is none."""
        self._remove(kpis, name)

    def remove_tolerance(self, tolerance_id: str) -> None:
        """NotFoundError if there is none."""
        self._remove(tolerances, tolerance_id)

    def _remove(self, table: Table, key: str) -> None:
        with self._database.write() as connection:
            if not connection.execute(delete(table).where(table.c.id == key)).rowcount:
                raise _unknown(key)

    def _all(self, table: Table, kind: type[T], *, newest_first: bool) -> list[Stored[T]]:
        query = select(table).order_by(table.c.id.desc() if newest_first else table.c.id)
        found = []
        with self._database.read() as connection:
            for row in connection.execute(query).mappings():
                try:
                    told = unpack(kind, row["document"])
                except ValueError as error:
                    # Of another version of onejob: that one stays out must not keep every deployment from a verdict.
                    log.warning("a stored %s is left out: %s", kind.__name__, error)
                    continue
                found.append(
                    Stored(id=row["id"], told=told, changed_at=row["changed_at"], changed_by=row["changed_by"])
                )
        return found


def _table(told: Kpi | Tolerance) -> Table:
    return kpis if isinstance(told, Kpi) else tolerances


def _columns(one: Stored[T]) -> dict[str, Any]:
    return {"document": pack(one.told), "changed_at": one.changed_at, "changed_by": one.changed_by}


def _unknown(key: str) -> NotFoundError:
    return NotFoundError(f"There is none called {key!r}: it may have been deleted meanwhile.")
