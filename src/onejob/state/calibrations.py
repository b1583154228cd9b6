"""Calibrations: the latest of each service in each environment."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from onejob.model.calibration import Calibration
from onejob.state.codec import pack, unpack
from onejob.state.database import Database
from onejob.state.tables import calibrations

_KEY = ("service", "environment")


class Calibrations:
    """The calibrations in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, calibration: Calibration) -> None:
        """Take the place of the one before."""
        values = {
            "service": calibration.service,
            "environment": calibration.environment,
            "measured_at": calibration.measured_at,
            "document": pack(calibration),
        }
        make = insert_sqlite if self._database.is_sqlite else insert_postgresql
        with self._database.write() as connection:
            statement = make(calibrations).values(values)
            connection.execute(statement.on_conflict_do_update(index_elements=_KEY, set_=values))

    def get(self, service: str, environment: str) -> Calibration | None:
        """What is known of the service there."""
        here = (calibrations.c.service == service, calibrations.c.environment == environment)
        with self._database.read() as connection:
            document = connection.execute(select(calibrations.c.document).where(*here)).scalar_one_or_none()
        return unpack(Calibration, document) if document else None

    def all(self) -> list[Calibration]:
        """Of all services, by name."""
        query = select(calibrations.c.document).order_by(calibrations.c.service, calibrations.c.environment)
        with self._database.read() as connection:
            return [unpack(Calibration, document) for document in connection.execute(query).scalars()]
