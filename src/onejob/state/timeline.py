"""Many deployments at once and little of each: what a time line draws."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, select

from onejob.state.database import Database
from onejob.state.deployments import DeploymentFilter, _conditions
from onejob.state.tables import deployments, verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A deployment on the time line. `state` is its verdict's, or empty before there is one."""

    id: str
    service: str
    environment: str
    version: str
    started_at: datetime
    finished_at: datetime | None
    state: str
    status: str
    rollback_of: str | None


def timeline(database: Database, chosen: DeploymentFilter, limit: int) -> list[Mark]:
    """The newest first."""
    columns = [deployments.c[name] for name in Mark.__slots__ if name != "state"]
    is_judged = verdicts.c.deployment_id.is_not(None)
    state = case((is_judged, deployments.c.verdict_state), else_="").label("state")
    joined = deployments.outerjoin(verdicts, verdicts.c.deployment_id == deployments.c.id)
    query = select(*columns, state).select_from(joined).where(*_conditions(chosen))
    newest = query.order_by(deployments.c.started_at.desc(), deployments.c.id.desc()).limit(limit)
    with database.read() as connection:
        return [Mark(**row) for row in connection.execute(newest).mappings()]
