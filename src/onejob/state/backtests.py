"""Backtests: the last few reports."""

from sqlalchemy import delete, insert, select

from onejob.model.backtest import Backtest
from onejob.state.codec import pack, unpack
from onejob.state.database import Database
from onejob.state.forgotten import AsOf, as_of, refuse_if_older
from onejob.state.tables import backtests

_KEPT = 20


class Backtests:
    """The reports in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def as_of(self) -> AsOf:
        """For what is read from now on."""
        return as_of(self._database)

    def add(self, report: Backtest, read: AsOf | None = None) -> None:
        """Store a new one; the oldest beyond twenty go. See `forgotten`."""
        newest = select(backtests.c.id).order_by(backtests.c.made_at.desc(), backtests.c.id.desc()).limit(_KEPT)
        with self._database.write() as connection:
            refuse_if_older(connection, read)
            values = {"id": report.id, "made_at": report.made_at, "document": pack(report)}
            connection.execute(insert(backtests).values(values))
            kept = list(connection.execute(newest).scalars())
            connection.execute(delete(backtests).where(backtests.c.id.not_in(kept)))

    def get(self, report_id: str) -> Backtest | None:
        """The report with this id."""
        with self._database.read() as connection:
            query = select(backtests.c.document).where(backtests.c.id == report_id)
            document = connection.execute(query).scalar_one_or_none()
        return unpack(Backtest, document) if document else None

    def latest(self) -> Backtest | None:
        """The newest report."""
        query = select(backtests.c.document).order_by(backtests.c.made_at.desc(), backtests.c.id.desc()).limit(1)
        with self._database.read() as connection:
            document = connection.execute(query).scalar_one_or_none()
        return unpack(Backtest, document) if document else None
