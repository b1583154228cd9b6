"""The shapes of the answers, for OpenAPI: the model's dataclasses, arranged as the documents are."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from onejob.doctor.finding import Finding
from onejob.ingest.dead_letters import DeadLetter
from onejob.model.backtest import Backtest
from onejob.model.calibration import Calibration
from onejob.model.complaint import Complaint
from onejob.model.deployment import Deployment
from onejob.model.explanation import (
    AttributeValue,
    CallChange,
    CarryingOperation,
    ExemplarTrace,
    ServiceAtFault,
    SuspectedDeployment,
)
from onejob.model.known_error import ErrorCount, ErrorStatus, KnownError, SeenIn, StatusChange
from onejob.model.kpi import Kpi, Tolerance
from onejob.model.rollout import Mode, RolloutState, Step, Transition
from onejob.model.verdict import AgainstPast, ArmSummary, DecidedBy, FalseAlarms, MixShift, Reason, SignalResult, State
from onejob.outcomes.book import Origin
from onejob.outcomes.preview import Preview
from onejob.state.verdicts import VerdictChange
from onejob.store.sessions import CrashFree, Sessions


@dataclass(frozen=True, kw_only=True)
class ExplanationDocument:
    """Why; empty lists where there is nothing to explain.

    `services` are those where the damage to the leading operation arises, whichever it shows at.
    `suspects` are deployments that overlap, likeliest first, this one among them; none where no other could have done
    it. A `posterior` is the probability that it did damage, alone or together with another: they may add up to more
    than 1.
    """

    made_at: datetime | None
    operations: list[CarryingOperation]
    attributes: list[AttributeValue]
    calls: list[CallChange]
    traces: list[ExemplarTrace]
    notes: list[str]
    suspects: list[SuspectedDeployment]
    services: list[ServiceAtFault]


@dataclass(frozen=True, kw_only=True)
class SignalDocument(SignalResult):
    """One signal of one operation; `decided_by` is null while it is undecided."""

    decided_by: DecidedBy | None


@dataclass(frozen=True, kw_only=True)
class VerdictDocument:
    """Better or worse, how sure, and what is missing. `reason` is there while `state` is `undecided`.

    `is_final`: judging has ended, so waiting longer changes nothing. `past` is of one that was compared with the
    service's past only: when damage began, whether it is over, and which other services it was compared with.
    """

    state: State
    reason: Reason | None
    sentence: str
    is_final: bool
    judged_at: datetime | None
    decided_at: datetime | None
    first_visible_at: datetime | None
    control: ArmSummary | None
    treatment: ArmSummary | None
    signals: list[SignalDocument]
    left_out: list[str]
    explanation: ExplanationDocument
    log_evidence: float | None = None
    alpha: float | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    engine_version: str | None = None
    mix: list[MixShift] | None = None
    false_alarms: FalseAlarms | None = None
    past: AgainstPast | None = None


@dataclass(frozen=True, kw_only=True)
class RolloutDocument:
    """The plan by which traffic moves, and every transition so far.

    `router_is_gone`: a person ended it without its router; `share` is then the last one that the router confirmed.
    `waits_for`: what a step lacks whose hold is over, such as a signal whose damage is not excluded yet.
    """

    id: str
    deployment_id: str
    state: RolloutState
    driver: str
    settings: dict[str, str]
    steps: list[Step]
    mode: Mode
    on_timeout: str
    step: int
    share: float
    step_started_at: datetime
    transitions: list[Transition]
    trouble: str | None
    router_is_gone: bool
    waits_for: str | None


@dataclass(frozen=True, kw_only=True)
class DeploymentDocument(Deployment):
    """A deployment with its rollout and its verdict; `complaints` is how many follow it."""

    rollout: RolloutDocument | None
    verdict: VerdictDocument
    complaints: int


@dataclass(frozen=True, kw_only=True)
class DeploymentsDocument:
    """A page of deployments, newest first; `next_cursor` is null on the last page."""

    items: list[DeploymentDocument]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class HistoryDocument:
    """Everything a verdict ever said, oldest first."""

    items: list[VerdictChange]


@dataclass(frozen=True, kw_only=True)
class GateVerdictDocument:
    """As much of a verdict as a pipeline needs; an `undecided` that `is_final` will not be decided any more."""

    state: State
    reason: Reason | None
    sentence: str
    decided_at: datetime | None
    is_final: bool


@dataclass(frozen=True, kw_only=True)
class GateDocument:
    """Whether a version may go on."""

    deployment_id: str
    service: str
    environment: str
    version: str
    status: str
    verdict: GateVerdictDocument
    rollout: RolloutDocument | None


@dataclass(frozen=True, kw_only=True)
class RecomputedDocument:
    """The verdict computed again from its stored counts; `same` as the stored one?"""

    same: bool
    verdict: VerdictDocument


@dataclass(frozen=True, kw_only=True)
class StatusDocument:
    """What this server is and what it has."""

    version: str
    engine: dict[str, Any]
    state: dict[str, Any]
    intake: dict[str, Any] | None
    ports: dict[str, int]
    spans_stored: int | None
    services: int | None
    last_span_at: datetime | None
    projects: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class RefusedRequest:
    """The request at this place of the body was not taken, and why."""

    index: int
    why: str


@dataclass(frozen=True, kw_only=True)
class ImportDocument:
    """What became of a body's requests.

    `requests` were dealt with; with `wait_s`, send those after them again that much later. `empty` of them hold
    nothing. The others count what is in them: `spans`, `log_records` and `data_points` are stored;
    `repeated` had been imported before; `invalid` cannot be; `expired` are too old to be kept and were left
    out; of those spans that are `fading` the counts are kept, but they themselves soon deleted.
    """

    requests: int
    empty: int
    spans: int
    log_records: int
    data_points: int
    repeated: int
    invalid: int
    expired: int
    fading: int
    refused: list[RefusedRequest]
    wait_s: int | None
    wait_why: str


@dataclass(frozen=True, kw_only=True)
class ErrorDocument(KnownError):  # noqa: N818  a document about an error, not an exception
    """An error or a log message; `last_day` is how often it came in the last 24 hours, null without the engine."""

    status: ErrorStatus
    last_day: int | None


@dataclass(frozen=True, kw_only=True)
class ErrorsDocument:
    """A page of errors, newest first; `next_cursor` is null on the last page."""

    items: list[ErrorDocument]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class ErrorDetailDocument(ErrorDocument):
    """One error with the versions that showed it, the latest first, and what was said of it, the oldest first.

    `counts` are in steps of `step_s` seconds within [`since`, `until`), those without any left out; null without the
    engine.
    """

    seen_in: list[SeenIn]
    history: list[StatusChange]
    since: datetime
    until: datetime
    step_s: int
    counts: list[ErrorCount] | None


@dataclass(frozen=True, kw_only=True)
class VersionSessions(Sessions):
    """Sessions of one version."""

    crash_free: CrashFree


@dataclass(frozen=True, kw_only=True)
class SessionsDocument:
    """Per version, the one with most sessions first; of what was reported within [`since`, `until`]."""

    items: list[VersionSessions]
    since: datetime
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Named:
    """Where something was named; by whom and when last is null of what the configuration says."""

    origin: Origin
    changed_at: datetime | None
    changed_by: str | None


@dataclass(frozen=True, kw_only=True)
class KpiDocument(Named, Kpi):
    """A KPI, and where it was named. One that `is_hidden` gives way to one of the configuration.

    `warnings` are sentences: what keeps it from ever saying what it is named for.
    """

    is_hidden: bool
    warnings: list[str]


@dataclass(frozen=True, kw_only=True)
class KpisDocument:
    """All KPIs."""

    items: list[KpiDocument]


@dataclass(frozen=True, kw_only=True)
class ToleranceDocument(Named, Tolerance):
    """A tolerance, and where it was named; `id` is null of one of the configuration."""

    id: str | None


@dataclass(frozen=True, kw_only=True)
class TolerancesDocument:
    """All tolerances, in the order in which they hold."""

    items: list[ToleranceDocument]


@dataclass(frozen=True, kw_only=True)
class PreviewDocument(Preview):
    """What recent telemetry says of a KPI in `service` between `since` and `until` (Unix seconds).

    `values` were seen on `instances`, beside `requests`; `level` is in `unit`. `needs` are the requests of each version
    that its tolerance takes, and `seconds` how long they take to come with half of the present traffic each; null
    where that cannot be said, and `notes` say why.
    """


@dataclass(frozen=True, kw_only=True)
class ComplaintDocument(Complaint):
    """A complaint; `deployments` are those that it follows, the latest first."""


@dataclass(frozen=True, kw_only=True)
class ComplaintsDocument:
    """A page of complaints, newest first; `next_cursor` is null on the last page."""

    items: list[ComplaintDocument]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class HookDocument:
    """What became of a webhook's request; `why` it was not recorded, and the complaint's `id` if it was."""

    recorded: bool
    why: str
    id: str | None


@dataclass(frozen=True, kw_only=True)
class DeadLettersDocument:
    """Acknowledged requests of this project that the engine refuses, the oldest first, a thousand at most."""

    project: str
    items: list[DeadLetter]


@dataclass(frozen=True, kw_only=True)
class DeletedDocument:
    """How many are gone."""

    deleted: int


@dataclass(frozen=True, kw_only=True)
class ReplayedDocument:
    """How many are tried once more."""

    replayed: int


@dataclass(frozen=True, kw_only=True)
class ForgottenDocument:
    """What was deleted, or lost what it said of the customer; `mentions` are complaints of others.

    With `is_complete` false, telemetry still waited to be stored, or what was deleted is in files of the spool or the
    facts that could not be wiped now: ask again.
    """

    spans: int
    logs: int
    data_points: int
    dead_letters: int
    explanations: int
    verdicts: int
    backtests: int
    error_examples: int
    log_templates: int
    customer_counts: int
    complaints: int
    mentions: int
    is_complete: bool


@dataclass(frozen=True, kw_only=True)
class DoctorDocument:
    """What was looked at. Not `healthy` if there is a problem; warnings: what onejob could know, and does not."""

    healthy: bool
    findings: list[Finding]


@dataclass(frozen=True, kw_only=True)
class JobDocument:
    """A replay of history at work: `state` is running, done or failed; `done` of `of` services or placebos."""

    id: str
    kind: str
    started_at: datetime
    state: str
    done: int
    of: int
    what: str
    judged: int
    error: str


@dataclass(frozen=True, kw_only=True)
class BacktestDocument:
    """A report, once it is there, and the job that makes or made it, if this server remembers it."""

    job: JobDocument | None
    report: Backtest | None


@dataclass(frozen=True, kw_only=True)
class CalibrationsDocument:
    """What was measured of services; `running` is the replay at work."""

    items: list[Calibration]
    running: JobDocument | None


@dataclass(frozen=True, kw_only=True)
class FieldProblem:
    """What is wrong with one field."""

    field: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An RFC 9457 problem: `detail` says what to do."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None
