"""Deployments: stored once, found by what happened, listed a page at a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from onejob.model.deployment import Deployment, Status
from onejob.model.explanation import Explanation
from onejob.model.rollout import Rollout
from onejob.model.verdict import Verdict
from onejob.state.codec import unpack
from onejob.state.database import Database
from onejob.state.errors import ConflictError, NotFoundError
from onejob.state.paging import Page, decode_cursor, encode_cursor
from onejob.state.rows import DEPLOYMENT_COLUMNS, columns_of, deployment_from_row, deployment_to_row
from onejob.state.tables import complaint_deployments, deployments, explanations, rollouts, verdicts

_NEWEST_FIRST = (deployments.c.started_at.desc(), deployments.c.id.desc())
_COMPLAINTS = (
    select(func.count())
    .where(complaint_deployments.c.deployment_id == deployments.c.id)
    .scalar_subquery()
    .label("complaints")
)
_LONGEST_ROLLOUT = timedelta(days=1)  # what is in progress for longer has most likely lost its end
BUILD_SEPARATOR = "@"  # between a version and its build, where only the build changed


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentFilter:
    """What a list shows; None means all. `since` and `until` bound `started_at`: [since, until)."""

    service: str | None = None
    environment: str | None = None
    verdict: str | None = None
    actor: str | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRecord:
    """A deployment and what is known of it.

    `is_whole`: with all signals and the explanation, not the summary's. `is_final`: judging has ended, so the verdict
    stays as it is. `complaints` is how many follow it.
    """

    deployment: Deployment
    verdict: Verdict | None
    explanation: Explanation | None
    rollout: Rollout | None
    is_whole: bool = True
    is_final: bool = False
    complaints: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterChoices:
    """What there is to filter by, each sorted."""

    services: tuple[str, ...]
    environments: tuple[str, ...]
    actors: tuple[str, ...]


class Deployments:
    """The deployments in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, deployment: Deployment) -> None:
        """Store a new one; ConflictError if the same version is being deployed to the same place already."""
        try:
            with self._database.write() as connection:
                connection.execute(insert(deployments).values(deployment_to_row(deployment)))
        except IntegrityError as error:
            raise ConflictError(f"{deployment.service} {deployment.version} is being deployed already.") from error

    def update(self, deployment_id: str, /, **changes: Any) -> Deployment:
        """Change fields and return the deployment as it is now."""
        with self._database.write() as connection:
            try:
                if changes:
                    where = deployments.c.id == deployment_id
                    connection.execute(update(deployments).where(where).values(columns_of(changes)))
            except IntegrityError as error:
                raise ConflictError(
                    f"Another deployment of the same version is in progress: {deployment_id}"
                ) from error
            row = connection.execute(_select_one(deployment_id)).mappings().one_or_none()
        if row is None:
            raise NotFoundError(f"There is no deployment {deployment_id}.")
        return deployment_from_row(row)

    def note(self, deployment_id: str, sentence: str) -> Deployment:
        """Add a sentence to the notes, once."""
        with self._database.write() as connection:
            row = connection.execute(_select_one(deployment_id).with_for_update()).mappings().one_or_none()
            if row is None:
                raise NotFoundError(f"There is no deployment {deployment_id}.")
            found = deployment_from_row(row)
            if sentence not in found.notes:
                values = columns_of({"notes": (*found.notes, sentence)})
                connection.execute(update(deployments).where(deployments.c.id == deployment_id).values(values))
        return self._existing(deployment_id)

    def get(self, deployment_id: str) -> Deployment | None:
        """The deployment with this id."""
        with self._database.read() as connection:
            row = connection.execute(_select_one(deployment_id)).mappings().one_or_none()
        return deployment_from_row(row) if row else None

    def find(self, service: str, environment: str, version: str) -> Deployment | None:
        """The latest deployment of a version; a plain version also finds `version@build`."""
        builds = escaped(version + BUILD_SEPARATOR) + "%"
        named = or_(deployments.c.version == version, deployments.c.version.like(builds, escape="\\"))
        found = self._some(_of(service, environment).where(named).order_by(*_NEWEST_FIRST).limit(1))
        return found[0] if found else None

    def of_service(self, service: str, environment: str, limit: int = 50) -> list[Deployment]:
        """The latest deployments of a service, newest first."""
        return self._some(_of(service, environment).order_by(*_NEWEST_FIRST).limit(limit))

    def around(self, environment: str, since: datetime, until: datetime, limit: int = 2_000) -> list[Deployment]:
        """Those of all services that were going on in [since, until) or began in it, newest first.

        `limit` leaves room for a thousand that are open at once; more are not looked at one by one.
        """
        begun = deployments.c.started_at
        went_on = and_(deployments.c.finished_at.is_(None), deployments.c.status == str(Status.IN_PROGRESS))
        query = select(*DEPLOYMENT_COLUMNS).where(
            deployments.c.environment == environment,
            begun >= since - _LONGEST_ROLLOUT,
            begun < until,
            or_(begun >= since, deployments.c.finished_at >= since, went_on),
        )
        return self._some(query.order_by(*_NEWEST_FIRST).limit(limit))

    def begun(self, since: datetime, until: datetime, limit: int = 2_000) -> list[Deployment]:
        """Those of all services and environments that began in [since, until), newest first."""
        here = (deployments.c.started_at >= since, deployments.c.started_at < until)
        return self._some(select(*DEPLOYMENT_COLUMNS).where(*here).order_by(*_NEWEST_FIRST).limit(limit))

    def open(self) -> list[Deployment]:
        """All that are still being judged, oldest first."""
        is_open = deployments.c.judging_closed_at.is_(None)
        query = select(*DEPLOYMENT_COLUMNS).where(is_open).order_by(deployments.c.started_at, deployments.c.id)
        return self._some(query)

    def close(self, deployment_id: str, at: datetime) -> None:
        """Judging has ended; a second call changes nothing."""
        where = (deployments.c.id == deployment_id, deployments.c.judging_closed_at.is_(None))
        with self._database.write() as connection:
            connection.execute(update(deployments).where(*where).values(judging_closed_at=at))

    def previous_version(self, service: str, environment: str, before: datetime) -> str | None:
        """What the service ran before that moment, as far as deployments tell: failed and undone ones do not count."""
        undone = (str(Status.FAILED), str(Status.ROLLED_BACK))
        query = _of(service, environment).where(deployments.c.started_at < before, deployments.c.status.not_in(undone))
        found = self._some(query.order_by(*_NEWEST_FIRST).limit(1))
        return found[0].version if found else None

    def page(
        self, chosen: DeploymentFilter, limit: int = 50, cursor: str | None = None, *, whole: bool = False
    ) -> Page[DeploymentRecord]:
        """Newest first, in one query. Unless `whole`, a verdict has its few worst signals and no explanation."""
        query = _records(whole).where(*_conditions(chosen)).order_by(*_NEWEST_FIRST).limit(limit + 1)
        if cursor is not None:
            place = tuple_(deployments.c.started_at, deployments.c.id)
            started_at, row_id = decode_cursor(cursor)
            query = query.where(place < _bound_place(started_at, row_id))
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        records = tuple(_record_from_row(row, whole) for row in rows[:limit])
        more = len(rows) > limit and records
        last = records[-1].deployment if records else None
        return Page(records, encode_cursor(last.started_at, last.id) if more and last else None)

    def record(self, deployment_id: str) -> DeploymentRecord | None:
        """One deployment with everything known of it."""
        with self._database.read() as connection:
            query = _records(whole=True).where(deployments.c.id == deployment_id)
            row = connection.execute(query).mappings().one_or_none()
        return _record_from_row(row, whole=True) if row else None

    def choices(self) -> FilterChoices:
        """What the filters can be set to."""
        with self._database.read() as connection:
            columns = (deployments.c.service, deployments.c.environment, deployments.c.actor)
            found = [
                tuple(connection.execute(select(c).where(c.is_not(None)).distinct().order_by(c)).scalars())
                for c in columns
            ]
        return FilterChoices(services=found[0], environments=found[1], actors=found[2])

    def count(self) -> int:
        """How many there are."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(deployments)).scalar_one()

    def _existing(self, deployment_id: str) -> Deployment:
        found = self.get(deployment_id)
        if found is None:
            raise NotFoundError(f"There is no deployment {deployment_id}.")
        return found

    def _some(self, query: Select[Any]) -> list[Deployment]:
        with self._database.read() as connection:
            return [deployment_from_row(row) for row in connection.execute(query).mappings()]


def _select_one(deployment_id: str) -> Select[Any]:
    return select(*DEPLOYMENT_COLUMNS).where(deployments.c.id == deployment_id)


def _of(service: str, environment: str) -> Select[Any]:
    here = (deployments.c.service == service, deployments.c.environment == environment)
    return select(*DEPLOYMENT_COLUMNS).where(*here)


def _bound_place(started_at: datetime, row_id: str) -> Any:
    """The cursor's place with the columns' types, so that SQLite compares microseconds with microseconds."""
    return tuple_(literal(started_at, deployments.c.started_at.type), literal(row_id, deployments.c.id.type))


def _conditions(chosen: DeploymentFilter) -> list[ColumnElement[bool]]:
    equal = {
        deployments.c.service: chosen.service,
        deployments.c.environment: chosen.environment,
        deployments.c.verdict_state: chosen.verdict,
        deployments.c.actor: chosen.actor,
        deployments.c.source: chosen.source,
    }
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if chosen.since is not None:
        conditions.append(deployments.c.started_at >= chosen.since)
    if chosen.until is not None:
        conditions.append(deployments.c.started_at < chosen.until)
    # Each word by itself: `checkout 1.42.0` is how pages and sentences call a deployment.
    conditions += [_contains(word) for word in (chosen.text or "").split()]
    return conditions


def _contains(text: str) -> ColumnElement[bool]:
    pattern = f"%{escaped(text)}%"
    searched = (deployments.c.service, deployments.c.version, deployments.c.actor, deployments.c.commit)
    return or_(*(column.ilike(pattern, escape="\\") for column in searched))


def escaped(text: str) -> str:
    """For LIKE with `\\` as its escape: the text itself, and no pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _records(whole: bool) -> Select[Any]:
    verdict = (verdicts.c.document if whole else verdicts.c.summary).label("verdict_document")
    rollout = rollouts.c.document.label("rollout_document")
    joined = deployments.outerjoin(verdicts, verdicts.c.deployment_id == deployments.c.id).outerjoin(
        rollouts, rollouts.c.id == deployments.c.rollout_id
    )
    columns = (*DEPLOYMENT_COLUMNS, deployments.c.judging_closed_at, verdict, rollout, _COMPLAINTS)
    if not whole:
        return select(*columns).select_from(joined)
    joined = joined.outerjoin(explanations, explanations.c.deployment_id == deployments.c.id)
    explanation = explanations.c.document.label("explanation_document")
    return select(*columns, explanation).select_from(joined)


def _record_from_row(row: Any, whole: bool) -> DeploymentRecord:
    explanation = row["explanation_document"] if whole else None
    return DeploymentRecord(
        deployment=deployment_from_row(row),
        verdict=unpack(Verdict, row["verdict_document"]) if row["verdict_document"] else None,
        explanation=unpack(Explanation, explanation) if explanation else None,
        rollout=unpack(Rollout, row["rollout_document"]) if row["rollout_document"] else None,
        is_whole=whole,
        is_final=row["judging_closed_at"] is not None,
        complaints=row["complaints"],
    )
