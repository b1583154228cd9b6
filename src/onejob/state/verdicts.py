"""Verdicts and explanations: the current one of a deployment, how it came to it, and what was rejected before.

The current document is replaced at every look; each change of state or sentence is kept for good as a short row. The
older documents themselves can be computed again from the stored evidence.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from onejob.model.explanation import Explanation
from onejob.model.verdict import Reason, SignalResult, State, Verdict
from onejob.state.codec import pack, unpack
from onejob.state.database import Database
from onejob.state.forgotten import AsOf, as_of, refuse_if_older
from onejob.state.tables import deployments, explanations, verdict_changes, verdicts

SUMMARY_SIGNALS = 3
_WORST_FIRST = (State.WORSE, State.UNDECIDED, State.NO_WORSE, State.BETTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictChange:
    """What the verdict said from `judged_at` on."""

    judged_at: datetime
    state: State
    reason: Reason | None
    sentence: str


class Verdicts:
    """The verdicts in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, verdict: Verdict, read: AsOf | None = None) -> None:
        """Make this the current verdict of its deployment, and remember the change if it says something new. See
        `forgotten`.
        """
        with self._database.write() as connection:
            refuse_if_older(connection, read)
            _store_current(connection, self._database.is_sqlite, verdict)
            if _last_change(connection, verdict.deployment_id) != _said(verdict):
                _append_change(connection, verdict)
                where = deployments.c.id == verdict.deployment_id
                connection.execute(update(deployments).where(where).values(verdict_state=str(verdict.state)))

    def current(self, deployment_id: str) -> Verdict | None:
        """The verdict as of the last look."""
        query = select(verdicts.c.document).where(verdicts.c.deployment_id == deployment_id)
        with self._database.read() as connection:
            document = connection.execute(query).scalar_one_or_none()
        return unpack(Verdict, document) if document else None

    def history(self, deployment_id: str) -> list[VerdictChange]:
        """Everything the verdict ever said, oldest first."""
        columns = (verdict_changes.c[name] for name in ("judged_at", "state", "reason", "sentence"))
        query = select(*columns).where(verdict_changes.c.deployment_id == deployment_id).order_by(verdict_changes.c.id)
        with self._database.read() as connection:
            return [
                VerdictChange(
                    judged_at=judged_at,
                    state=State(state),
                    reason=Reason(reason) if reason else None,
                    sentence=sentence,
                )
                for judged_at, state, reason, sentence in connection.execute(query)
            ]

    def rejected_version(self, service: str, environment: str, version: str) -> Verdict | None:
        """The latest verdict that found this very version worse, if one did."""
        query = (
            select(verdicts.c.document)
            .join(deployments, deployments.c.id == verdicts.c.deployment_id)
            .where(
                deployments.c.service == service,
                deployments.c.environment == environment,
                deployments.c.version == version,
                verdicts.c.state == str(State.WORSE),
            )
            .order_by(deployments.c.started_at.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            document = connection.execute(query).scalar_one_or_none()
        return unpack(Verdict, document) if document else None


class Explanations:
    """The explanations in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def as_of(self) -> AsOf:
        """For what is read from now on."""
        return as_of(self._database)

    def save(self, explanation: Explanation, read: AsOf | None = None) -> None:
        """Make this the explanation of its deployment. See `forgotten`."""
        values = {
            "deployment_id": explanation.deployment_id,
            "made_at": explanation.made_at,
            "document": pack(explanation),
        }
        make = insert_sqlite if self._database.is_sqlite else insert_postgresql
        with self._database.write() as connection:
            refuse_if_older(connection, read)
            statement = make(explanations).values(values)
            connection.execute(statement.on_conflict_do_update(index_elements=["deployment_id"], set_=values))

    def get(self, deployment_id: str) -> Explanation | None:
        """The explanation of a deployment."""
        query = select(explanations.c.document).where(explanations.c.deployment_id == deployment_id)
        with self._database.read() as connection:
            document = connection.execute(query).scalar_one_or_none()
        return unpack(Explanation, document) if document else None


def summary(verdict: Verdict) -> Verdict:
    """The verdict with its few worst signals only: what a list can show of it."""
    ranked = sorted(verdict.signals, key=_badness)
    return replace(verdict, signals=tuple(ranked[:SUMMARY_SIGNALS]), left_out=())


def _badness(signal: SignalResult) -> tuple[int, float]:
    return _WORST_FIRST.index(signal.state), -signal.log_evidence


def _store_current(connection: Connection, is_sqlite: bool, verdict: Verdict) -> None:
    values = {
        "deployment_id": verdict.deployment_id,
        "state": str(verdict.state),
        "judged_at": verdict.judged_at,
        "summary": pack(summary(verdict)),
        "document": pack(verdict),
    }
    statement = (insert_sqlite if is_sqlite else insert_postgresql)(verdicts).values(values)
    connection.execute(statement.on_conflict_do_update(index_elements=["deployment_id"], set_=values))


def _last_change(connection: Connection, deployment_id: str) -> tuple[str, str | None, str] | None:
    columns = (verdict_changes.c.state, verdict_changes.c.reason, verdict_changes.c.sentence)
    query = select(*columns).where(verdict_changes.c.deployment_id == deployment_id)
    row = connection.execute(query.order_by(verdict_changes.c.id.desc()).limit(1)).one_or_none()
    return (row[0], row[1], row[2]) if row else None


def _said(verdict: Verdict) -> tuple[str, str | None, str]:
    reason = str(verdict.reason) if verdict.reason else None
    # An operation's name may hold a NUL, which PostgreSQL refuses in text.
    return str(verdict.state), reason, verdict.sentence.replace("\x00", "\ufffd")


def _append_change(connection: Connection, verdict: Verdict) -> None:
    state, reason, sentence = _said(verdict)
    values = {
        "deployment_id": verdict.deployment_id,
        "judged_at": verdict.judged_at,
        "state": state,
        "reason": reason,
        "sentence": sentence,
    }
    connection.execute(insert(verdict_changes).values(values))
