"""The counts a verdict consumed, batch after batch, so that it can be computed again from them.

Router samples wait in a table of their own until a batch takes them. They are marked as taken in the transaction that
stores the batch: a judge killed between taking and storing takes the same samples again, and none is counted twice.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.exc import IntegrityError

from onejob.model.evidence import Arm, EvidenceBatch, RouterCount
from onejob.state.counts import pack_counts, unpack_counts
from onejob.state.database import Database
from onejob.state.errors import ConflictError
from onejob.state.forgotten import AsOf, as_of, refuse_if_older
from onejob.state.tables import evidence, router_counts

_READ_AT_ONCE = 100
_HEADER = ("deployment_id", "seq", "judged_at", "bins_from", "bins_to", "bin_width_s", "finished")
_SAMPLE = ("arm", "sampled_at", "requests", "errors_5xx", "resets", "timeouts", "share")


class Evidences:
    """The evidence in the database; append-only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, batch: EvidenceBatch, read: AsOf | None = None) -> None:
        """Store the next batch; ConflictError if another judge has stored that `seq` already. See `forgotten`."""
        header = {name: getattr(batch, name) for name in _HEADER}
        try:
            with self._database.write() as connection:
                refuse_if_older(connection, read)
                connection.execute(insert(evidence).values(header | {"counts": pack_counts(batch)}))
                for sample in batch.router:
                    where = (
                        router_counts.c.deployment_id == batch.deployment_id,
                        router_counts.c.sampled_at == sample.sampled_at,
                        router_counts.c.arm == str(sample.arm),
                    )
                    connection.execute(update(router_counts).where(*where).values(batch_seq=batch.seq))
        except IntegrityError as error:
            raise ConflictError(f"Evidence {batch.seq} of {batch.deployment_id} is stored already.") from error

    def read(self, deployment_id: str) -> Iterator[EvidenceBatch]:
        """All batches in order, a few at a time."""
        after = -1
        while rows := self._rows_after(deployment_id, after):
            for row in rows:
                yield EvidenceBatch(**{name: row[name] for name in _HEADER}, **unpack_counts(row["counts"]))
                after = row["seq"]

    def last_seq(self, deployment_id: str) -> int | None:
        """`seq` of the newest batch."""
        return self._newest(deployment_id, evidence.c.seq)

    def bins_to(self, deployment_id: str) -> int | None:
        """Unix seconds up to which bins have been consumed."""
        return self._newest(deployment_id, evidence.c.bins_to)

    def as_of(self) -> AsOf:
        """For what is read from now on. Another answer than before: texts of stored batches may have changed."""
        return as_of(self._database)

    def append_router(self, deployment_id: str, count: RouterCount) -> None:
        """Keep a sample until a batch takes it; the same arm and moment a second time changes nothing."""
        values = {name: getattr(count, name) for name in _SAMPLE}
        values |= {"deployment_id": deployment_id, "arm": str(count.arm)}
        make = insert_sqlite if self._database.is_sqlite else insert_postgresql
        with self._database.write() as connection:
            connection.execute(make(router_counts).values(values).on_conflict_do_nothing())

    def take_router(self, deployment_id: str, until: datetime) -> list[RouterCount]:
        """Samples before `until` that no batch has, oldest first; they stay until a batch with them is appended."""
        return self._samples(deployment_id, router_counts.c.batch_seq.is_(None), router_counts.c.sampled_at < until)

    def router_samples(self, deployment_id: str) -> list[RouterCount]:
        """All samples there ever were, oldest first."""
        return self._samples(deployment_id)

    def _samples(self, deployment_id: str, *which: ColumnElement[bool]) -> list[RouterCount]:
        columns = [router_counts.c[name] for name in _SAMPLE]
        query = select(*columns).where(router_counts.c.deployment_id == deployment_id, *which)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(router_counts.c.sampled_at, router_counts.c.arm)).mappings().all()
        return [RouterCount(**{**row, "arm": Arm(row["arm"])}) for row in rows]

    def _rows_after(self, deployment_id: str, seq: int) -> list[Any]:
        query = select(evidence).where(evidence.c.deployment_id == deployment_id, evidence.c.seq > seq)
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(evidence.c.seq).limit(_READ_AT_ONCE)).mappings())

    def _newest(self, deployment_id: str, column: Any) -> int | None:
        query = select(func.max(column)).where(evidence.c.deployment_id == deployment_id)
        with self._database.read() as connection:
            found: int | None = connection.execute(query).scalar_one_or_none()
        return found
