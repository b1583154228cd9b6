"""What the faces (API, pages) work with, as one immutable object that `app.py` fills and tests fill differently.

The judge, the rollout controller and the intake are known here by what is asked of them only.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from onejob import __version__
from onejob.changes.reported import Reports
from onejob.config import Settings
from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch
from onejob.model.rollout import Mode, Rollout, Step
from onejob.model.verdict import Verdict
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.events import Events
from onejob.state.evidence import Evidences
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Explanations, Verdicts
from onejob.state.versions import KnownVersions
from onejob.store.engine import Engine


def utc_now() -> datetime:
    """The clock of a real server."""
    return datetime.now(UTC)


class IntakeControl(Protocol):
    """Telemetry coming in."""

    def stats(self) -> object:
        """A dataclass or mapping of counts: what was spooled, stored, refused."""


class RolloutControl(Protocol):
    """Who moves traffic."""

    def start(
        self,
        deployment_id: str,
        driver: str,
        settings: Mapping[str, str],
        steps: tuple[Step, ...] | None = None,
        mode: Mode | None = None,
        *,
        on_timeout: str = "pause",
        force: bool = False,
    ) -> Rollout:
        """Begin a rollout; what is not said takes its default. `force` ships what was judged worse before."""

    def command(self, rollout_id: str, command: str, actor: str) -> Rollout:
        """`promote`, `hold`, `resume` or `abort`, and who said so."""


Recompute = Callable[[Deployment, Iterable[EvidenceBatch]], Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Settings, facts, telemetry and those who act. What is None is not running in this process."""

    settings: Settings
    database: Database
    deployments: Deployments
    evidences: Evidences
    verdicts: Verdicts
    explanations: Explanations
    rollouts: Rollouts
    versions: KnownVersions
    reports: Reports
    events: Events
    engine: Engine | None
    intake: IntakeControl | None
    recompute: Recompute | None
    controller: RolloutControl | None
    clock: Callable[[], datetime] = utc_now
    version: str = __version__


def assemble(
    settings: Settings,
    database: Database,
    *,
    engine: Engine | None = None,
    intake: IntakeControl | None = None,
    recompute: Recompute | None = None,
    controller: RolloutControl | None = None,
    events: Events | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Services:
    """Services over a migrated database."""
    events = events or Events()
    deployments, rollouts = Deployments(database), Rollouts(database)
    verdicts, versions = Verdicts(database), KnownVersions(database)
    return Services(
        settings=settings,
        database=database,
        deployments=deployments,
        evidences=Evidences(database),
        verdicts=verdicts,
        explanations=Explanations(database),
        rollouts=rollouts,
        versions=versions,
        reports=Reports(deployments, rollouts, verdicts, versions, events, settings),
        events=events,
        engine=engine,
        intake=intake,
        recompute=recompute,
        controller=controller,
        clock=clock,
    )
