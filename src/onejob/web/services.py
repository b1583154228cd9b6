"""What the faces (API, pages) work with, as one immutable object that `app.py` fills and tests fill differently.

The judge and the intake are known here by what is asked of them only.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from onejob import __version__
from onejob.access.service import Access
from onejob.act.controller import RolloutController
from onejob.changes.reported import Reports
from onejob.config import Settings
from onejob.customers.complaints import ComplaintDesk
from onejob.customers.service import Customers
from onejob.durations import Durations
from onejob.history.service import History
from onejob.ingest.backfill import Taken
from onejob.ingest.counters import Counters
from onejob.ingest.dead_letters import DeadLetter
from onejob.ingest.door import Door
from onejob.known.catalogue import Catalogue
from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch
from onejob.model.telemetry import Kind
from onejob.model.verdict import Verdict
from onejob.outcomes.book import Book
from onejob.own_spans import OwnSpans
from onejob.state.audit import Audit
from onejob.state.backtests import Backtests
from onejob.state.calibrations import Calibrations
from onejob.state.complaints import Complaints
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.events import Events
from onejob.state.evidence import Evidences
from onejob.state.outcomes import StoredOutcomes
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Explanations, Verdicts
from onejob.state.versions import KnownVersions
from onejob.store.engine import Engine
from onejob.web.timing import Answers


def utc_now() -> datetime:
    """The clock of a real server."""
    return datetime.now(UTC)


class IntakeControl(Protocol):
    """Telemetry coming in, on the ports it really listens on."""

    @property
    def grpc_port(self) -> int: ...

    @property
    def http_port(self) -> int: ...

    @property
    def door(self) -> Door: ...

    @property
    def counters(self) -> Counters: ...

    @property
    def insert_durations(self) -> Mapping[Kind, Durations]: ...

    def stats(self) -> object:
        """A dataclass or mapping of counts: what was spooled, stored, refused."""

    def backfill(self, form: str, bodies: Sequence[bytes]) -> Taken:
        """Take requests of the past, `json` or `protobuf`."""

    def dead_letters(self) -> Sequence[DeadLetter]:
        """Acknowledged requests that the engine refuses, the oldest first, a thousand at most."""

    def settle(self, timeout_s: float) -> bool:
        """Wait until what waits now is stored; False if that takes longer."""

    def paused(self, timeout_s: float) -> AbstractContextManager[bool]:
        """While it is open nothing is moved into the engine; False if what is under way takes longer than that."""

    def forget_dead_letters(self, attribute: str, value: str) -> int:
        """Delete those that name it; how many."""

    def wipe(self) -> bool:
        """Leave nothing on disk of what is not in the spool any more; False if that cannot be now."""

    def replay_dead_letters(self, ids: Collection[int] | None = None) -> int:
        """All of them, or these, are tried once more; how many. Raises TryLater."""

    def delete_dead_letters(self, ids: Collection[int] | None = None) -> int:
        """All of them, or these, for good; how many. Raises TryLater."""


class ProjectsControl(Protocol):
    """The projects that this process runs beside `default`."""

    def look(self) -> None:
        """Begin, change and end what is to be begun, changed and ended, at once."""

    def running(self) -> Mapping[str, "Services"]:
        """By name."""

    def troubles(self) -> Mapping[str, str]:
        """Why one does not run, or is not gone yet; by name."""


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
    backtests: Backtests
    calibrations: Calibrations
    errors: Catalogue
    outcomes: Book
    customers: Customers
    complaints: ComplaintDesk
    reports: Reports
    events: Events
    access: Access
    audit: Audit
    engine: Engine | None
    intake: IntakeControl | None
    recompute: Recompute | None
    controller: RolloutController | None
    history: History | None
    tick_durations: Durations | None = None
    answers: Answers = field(default_factory=Answers)
    projects: ProjectsControl | None = None
    clock: Callable[[], datetime] = utc_now
    version: str = __version__

    def record(self, *, actor: str, action: str, object: str, source: str, detail: str = "") -> None:
        """Add to the audit log."""
        self.audit.append(self.clock(), actor=actor, action=action, object=object, source=source, detail=detail)

    def with_projects(self) -> Mapping[str, "Services"]:
        """Of all projects that run: these, as `default` or what their project is called, and the others' beside."""
        return {self.access.project: self, **(self.projects.running() if self.projects is not None else {})}

    @property
    def otlp_ports(self) -> tuple[int, int]:
        """(gRPC, HTTP): what is really listened on, as a setting of 0 means any free port."""
        if self.intake is None:
            return self.settings.otlp_grpc_port, self.settings.otlp_http_port
        return self.intake.grpc_port, self.intake.http_port


def assemble(
    settings: Settings,
    database: Database,
    *,
    engine: Engine | None = None,
    intake: IntakeControl | None = None,
    recompute: Recompute | None = None,
    controller: RolloutController | None = None,
    history: History | None = None,
    events: Events | None = None,
    tick_durations: Durations | None = None,
    access: Access | None = None,
    spans: OwnSpans | None = None,
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
        backtests=Backtests(database),
        calibrations=Calibrations(database),
        errors=Catalogue(database, engine, clock),
        outcomes=Book(settings, StoredOutcomes(database), clock),
        customers=Customers(engine, deployments, settings, clock),
        complaints=ComplaintDesk(Complaints(database), deployments, engine, events, settings, clock),
        reports=Reports(deployments, rollouts, verdicts, versions, events, settings),
        events=events,
        access=access or Access(settings, database, clock),
        audit=Audit(database),
        engine=engine,
        intake=intake,
        recompute=recompute,
        controller=controller,
        history=history,
        tick_durations=tick_durations,
        answers=Answers(spans=spans or OwnSpans()),
        clock=clock,
    )
