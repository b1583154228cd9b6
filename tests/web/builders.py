"""Deployments, verdicts, explanations and rollouts as the product makes them, and a product made of lists."""

import functools
import math
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from onejob.history.errors import HistoryBusyError
from onejob.history.jobs import Job
from onejob.known.catalogue import Detail, Listed
from onejob.model.access import Principal
from onejob.model.backtest import Backtest, BacktestedDeployment, Saved
from onejob.model.complaint import Complaint
from onejob.model.customer import ComparedCustomers, CustomerHistory
from onejob.model.deployment import Deployment, Source, Status, Strategy
from onejob.model.explanation import (
    AttributeValue,
    CallChange,
    CallKind,
    CarryingOperation,
    CauseKind,
    ExemplarTrace,
    Explanation,
    Relation,
    ServiceAtFault,
    SuspectedDeployment,
    TraceSpan,
)
from onejob.model.known_error import ErrorCount, ErrorKind, KnownError, SeenIn, StatusChange
from onejob.model.rollout import Mode, Rollout, RolloutPlan, RolloutState, Step, Transition
from onejob.model.verdict import ArmSummary, EffectKind, Missing, Reason, SignalResult, State, Verdict
from onejob.state.complaints import ComplaintFilter
from onejob.state.deployments import DeploymentFilter, DeploymentRecord, FilterChoices
from onejob.state.error_lists import ErrorFilter, Order
from onejob.state.errors import NotFoundError
from onejob.state.events import Event, Events
from onejob.state.paging import Page
from onejob.state.timeline import Mark
from onejob.store.rollup import SeriesPoint
from onejob.store.sessions import Sessions
from onejob.web.pages.data import Command, CommandRefused, SeenProject, Telemetry

NOW = datetime(2026, 11, 24, 14, 15, tzinfo=UTC)
START = datetime(2026, 11, 24, 14, 2, tzinfo=UTC)
_REQUESTS_PER_S = 40
QUERY = "SELECT price FROM prices WHERE product_id = ?"


def a_deployment(**changes: Any) -> Deployment:
    """A canary of checkout that was rolled back after 1 min 43 s."""
    values: dict[str, Any] = {
        "id": "dep_checkout1420",
        "service": "checkout",
        "environment": "production",
        "version": "1.42.0",
        "previous_version": "1.41.3",
        "strategy": Strategy.CANARY,
        "source": Source.REPORTED,
        "status": Status.ROLLED_BACK,
        "started_at": START,
        "first_seen_at": START,
        "finished_at": START + timedelta(seconds=103),
        "actor": "CI",
    }
    return Deployment(**(values | changes))


def a_signal(**changes: Any) -> SignalResult:
    """p95 of POST /orders, worse."""
    values: dict[str, Any] = {
        "operation": "POST /orders",
        "signal": "latency_p95",
        "state": State.WORSE,
        "effect_kind": EffectKind.RATIO,
        "control": 0.412,
        "treatment": 0.569,
        "effect": 1.38,
        "low": 1.27,
        "high": 1.51,
        "tolerance": 1.10,
        "missing": None,
        "log_evidence": 10.8,
        "log_evidence_better": -3.0,
        "weight": 0.2,
        "phi": 1.41,
        "theta_0": 1.48,
        "control_requests": 9412,
        "treatment_requests": 2106,
        "first_visible_at": START + timedelta(seconds=60),
    }
    return SignalResult(**(values | changes))


def an_error_signal(**changes: Any) -> SignalResult:
    """Errors of POST /orders, not decided yet."""
    values: dict[str, Any] = {
        "signal": "errors",
        "state": State.UNDECIDED,
        "effect_kind": EffectKind.DIFFERENCE,
        "control": 0.0012,
        "treatment": 0.0031,
        "effect": 0.0019,
        "low": -0.0006,
        "high": 0.011,
        "tolerance": 0.001,
        "missing": Missing(largest_excluded=0.011, requests=7300, seconds_p50=350.0, seconds_p90=600.0),
        "log_evidence": 0.4,
    }
    return a_signal(**(values | changes))


def some_signals() -> tuple[SignalResult, ...]:
    """One of each kind of answer."""
    return (
        a_signal(),
        a_signal(signal="latency_p50", control=0.096, treatment=0.104, effect=1.08, low=1.06, high=1.13,
                 tolerance=1.05, log_evidence=6.0),
        an_error_signal(),
        a_signal(operation="GET /cart", state=State.NO_WORSE, control=0.088, treatment=0.086, effect=0.977, low=0.94,
                 high=1.04, log_evidence=-2.0),
        an_error_signal(operation="GET /cart", state=State.NO_WORSE, control=0.0002, treatment=0.0002, effect=0.0,
                        low=-0.0008, high=0.0008, log_evidence=-1.0, missing=None),
        a_signal(operation="GET /products", state=State.BETTER, control=0.061, treatment=0.052, effect=0.85, low=0.80,
                 high=0.90, log_evidence=-9.0, log_evidence_better=8.0),
    )  # fmt: skip


def a_verdict(**changes: Any) -> Verdict:
    """Worse, with one of each kind of signal."""
    values: dict[str, Any] = {
        "deployment_id": "dep_checkout1420",
        "state": State.WORSE,
        "reason": None,
        "sentence": "checkout 1.42.0 is worse: POST /orders p95 rose 38 % (27 % to 51 %) for tenant.size = large, "
        f"because 1 of {QUERY} became 41; undecided: its error rate (about 6 minutes more).",
        "judged_at": START + timedelta(seconds=100),
        "decided_at": START + timedelta(seconds=100),
        "first_visible_at": START + timedelta(seconds=62),
        "control": ArmSummary(kind="concurrent", versions=("1.41.3",), instances=("a", "b", "c"), requests=9412),
        "treatment": ArmSummary(kind="concurrent", versions=("1.42.0",), instances=("d",), requests=2106),
        "signals": some_signals(),
        "log_evidence": 10.78,
        "alpha": 0.01,
        "window_start": START,
        "window_end": START + timedelta(seconds=100),
        "left_out": ("The first 30 s of instance d are left out of latency: it was starting.",),
        "engine_version": "0.1.0",
    }
    return Verdict(**(values | changes))


def a_rollout(**changes: Any) -> Rollout:
    """10 % for a minute, 50 % for 40 seconds, then back."""
    times = [START, START + timedelta(seconds=60), START + timedelta(seconds=103)]
    transitions = (
        Transition(at=times[0], from_state=RolloutState.PENDING, to_state=RolloutState.HOLDING, step=0, share=0.1,
                   reason="The rollout starts."),
        Transition(at=times[1], from_state=RolloutState.HOLDING, to_state=RolloutState.HOLDING, step=1, share=0.5,
                   reason="Held 60 s; errors +30 points and latency ×3 are excluded."),
        Transition(at=times[2], from_state=RolloutState.HOLDING, to_state=RolloutState.ABORTED, step=1, share=0.0,
                   reason="The verdict is worse."),
    )  # fmt: skip
    values: dict[str, Any] = {
        "id": "rol_1",
        "deployment_id": "dep_checkout1420",
        "plan": RolloutPlan(driver="envoy", settings={}, steps=steps(), mode=Mode.ACT),
        "state": RolloutState.ABORTED,
        "step": 1,
        "share": 0.0,
        "step_started_at": times[1],
        "transitions": transitions,
    }
    return Rollout(**(values | changes))


def a_running_rollout(**changes: Any) -> Rollout:
    """At 10 %, holding."""
    whole = a_rollout()
    values = {"state": RolloutState.HOLDING, "step": 0, "share": 0.1, "transitions": whole.transitions[:1]}
    return replace(whole, **(values | changes))


def steps() -> tuple[Step, ...]:
    """The usual three."""
    return (
        Step(share=0.1, hold_s=60, error_limit=0.3, latency_limit=3, timeout_s=600),
        Step(share=0.5, hold_s=90, error_limit=0.05, latency_limit=1.5, timeout_s=600),
        Step(share=1.0, hold_s=0, error_limit=0.05, latency_limit=1.5, timeout_s=600),
    )


def _call(path: tuple[str, ...], service: str, added_s: float, **changes: Any) -> CallChange:
    values: dict[str, Any] = {
        "kind": CallKind.UNCHANGED, "calls_control": 1.0, "calls_treatment": 1.0, "each_control_s": 0.0036,
        "each_treatment_s": 0.0036,
    }  # fmt: skip
    return CallChange(path=path, service=service, added_s=added_s, **(values | changes))


def a_service_at_fault(**changes: Any) -> ServiceAtFault:
    """checkout, with its N+1 query."""
    values: dict[str, Any] = {
        "operation": "POST /orders",
        "service": "checkout",
        "kind": CauseKind.CALLS,
        "share": 0.94,
        "own_s": 0.009,
        "calls_s": 0.148,
        "way_s": 0.0,
        "failures": 0.0,
    }
    return ServiceAtFault(**(values | changes))


def an_explanation(**changes: Any) -> Explanation:
    """Large tenants, because of an N+1 query."""
    top = ("POST /orders",)
    lines = (*top, "price_lines")
    calls = (
        _call(top, "checkout", 0.157, kind=CallKind.SLOWER, each_control_s=0.096, each_treatment_s=0.253),
        _call(lines, "checkout", 0.009, kind=CallKind.SLOWER, each_control_s=0.006, each_treatment_s=0.163),
        _call((*lines, QUERY), "postgresql", 0.148, kind=CallKind.MORE, calls_treatment=41.0, is_cause=True),
        _call((*top, "POST /charge"), "payments", 0.0001),
        _call((*top, "reserve"), "inventory", -0.001),
    )
    attributes = (
        _attribute("tenant.size", "large", 5.5, 0.94, 0.17),
        _attribute("tenant.id", "t-0041", 7.8, 0.31, 0.04),
        _attribute("feature.bulk_prices", "on", 5.2, 0.94, 0.18, is_new=True),
    )
    values: dict[str, Any] = {
        "deployment_id": "dep_checkout1420",
        "made_at": START + timedelta(seconds=101),
        "operations": (CarryingOperation(operation="POST /orders", signal="latency_p95", share=0.97, effect=1.38),),
        "attributes": attributes,
        "calls": calls,
        "traces": (a_trace("control"), a_trace("treatment"), a_trace("control", "b"), a_trace("treatment", "b")),
        "services": (a_service_at_fault(),),
    }
    return Explanation(**(values | changes))


def a_suspect(**changes: Any) -> SuspectedDeployment:
    """payments 1.8, called by checkout, began 40 seconds before it and fits better."""
    values: dict[str, Any] = {
        "deployment_id": "dep_payments18",
        "service": "payments",
        "version": "1.8",
        "relation": Relation.CALLED,
        "steps": 1,
        "began_at": START - timedelta(seconds=40),
        "posterior": 0.997,
        "separable": True,
        "reasons": (
            "31 % of 1,204 requests through it took over 412 ms, 1.1 % of the 9,800 others",
            "checkout calls it",
        ),
    }
    return SuspectedDeployment(**(values | changes))


def itself(**changes: Any) -> SuspectedDeployment:
    """checkout 1.42.0 among the suspects."""
    values = {
        "deployment_id": "dep_checkout1420",
        "service": "checkout",
        "version": "1.42.0",
        "relation": Relation.ITSELF,
        "steps": 0,
        "began_at": START,
        "posterior": 0.002,
        "reasons": ("4.4 % of 2,106 requests through it took over 412 ms, 4.1 % of the 8,898 others",),
    }
    return a_suspect(**(values | changes))


def _attribute(name: str, value: str, lift: float, coverage: float, rest: float, **more: Any) -> AttributeValue:
    return AttributeValue(
        operation="POST /orders", signal="latency_p95", name=name, value=value, lift=lift, coverage=coverage,
        rest_share=rest, bad=round(212 * coverage), total=2106, **more,
    )  # fmt: skip


def a_trace(arm: str, name: str = "a") -> ExemplarTrace:
    """One query in control, 41 in treatment."""
    queries = 1 if arm == "control" else 41
    top, lines = ("POST /orders",), ("POST /orders", "price_lines")
    priced = 0.006 + 0.0115 * (queries - 1)
    rest = priced + 0.01
    spans = [
        _span("1", top, 0.0, rest + 0.09), _span("2", lines, 0.003, priced),
        *(_span(f"q{n}", (*lines, QUERY), 0.004 + n * 0.0115, 0.0036, "postgresql") for n in range(queries)),
        _span("3", (*top, "POST /charge"), rest, 0.062, "payments"),
        _span("4", (*top, "reserve"), rest + 0.064, 0.013, "inventory"),
    ]  # fmt: skip
    return ExemplarTrace(
        arm=arm,
        trace_id=("4bf92f3577b34da6a3ce929d0e0e4736" if name == "a" else "7b0292e7a9b24da6a3ce929d0e0e0001"),
        started_at=START + timedelta(seconds=80),
        duration_s=rest + 0.09,
        is_error=False,
        spans=tuple(spans),
    )


def _span(
    span_id: str, path: tuple[str, ...], offset_s: float, duration_s: float, service: str = "checkout"
) -> TraceSpan:
    return TraceSpan(
        span_id=span_id, parent_span_id="", label=path[-1], path=path, service=service, kind="SERVER",
        offset_s=offset_s, duration_s=duration_s, is_error=False,
    )  # fmt: skip


def a_record(**parts: Any) -> DeploymentRecord:
    """A deployment with its verdict, explanation and rollout."""
    values: dict[str, Any] = {
        "deployment": a_deployment(), "verdict": a_verdict(), "explanation": an_explanation(), "rollout": a_rollout()
    }  # fmt: skip
    return DeploymentRecord(**(values | parts))


def a_row(number: int, service: str, version: str, previous: str, state: State | None, sentence: str, **changes: Any):
    """A record for the list; `number` makes its id."""
    deployment_id = f"dep_{number:04}"
    deployment = a_deployment(id=deployment_id, service=service, version=version, previous_version=previous, **changes)
    verdict = None
    if state is not None:
        text = f"{service} {version} is {state.value.replace('_', ' ')}: {sentence}."
        verdict = a_verdict(deployment_id=deployment_id, state=state, sentence=text, decided_at=None, reason=None)
    return DeploymentRecord(deployment=deployment, verdict=verdict, explanation=None, rollout=None)


def some_history() -> list[DeploymentRecord]:
    """A week of six services, newest first."""
    ago = timedelta
    running = {"status": Status.IN_PROGRESS, "finished_at": None}
    done = {"status": Status.FINISHED}
    rows = [
        a_row(1, "search", "88", "87", State.UNDECIDED, "nothing beyond errors +1.2 points and median +9 % is possible "
              "any more; about 6 minutes more at this traffic would settle it", started_at=NOW - ago(minutes=3),
              traffic_share=0.1, **running),
        a_record(),
        a_row(3, "payments", "2.3.0", "2.2.9", State.NO_WORSE, "all 7 signals of 4 operations within tolerance",
              started_at=NOW - ago(hours=1), finished_at=NOW - ago(minutes=45), **done),
        a_row(4, "catalog", "5.0.1", "5.0.0", State.BETTER, "GET /products p95 fell 15 % (10 % to 20 %); nothing is "
              "worse so far", started_at=NOW - ago(hours=2), finished_at=NOW - ago(minutes=95), **done),
        a_row(5, "storefront", "a41f0c2", "9d2be77", State.WORSE, "GET / p95 rose 22 % (14 % to 31 %)",
              started_at=NOW - ago(hours=5), finished_at=NOW - ago(hours=4.7)),
        a_row(6, "checkout", "1.41.3", "1.41.2", State.NO_WORSE, "all 7 signals of 12 operations within tolerance",
              started_at=NOW - ago(hours=7), finished_at=NOW - ago(hours=6.9), **done),
        a_row(7, "reports", "14", "13", None, "", started_at=NOW - ago(hours=9), environment="staging", actor=None,
              source=Source.DETECTED, **running),
    ]  # fmt: skip
    return [*rows, *_older(100)]


def _older(first: int) -> Iterable[DeploymentRecord]:
    chance = random.Random(5)
    services = ["checkout", "payments", "catalog", "search", "storefront", "reports"]
    at = NOW - timedelta(hours=12)
    number = first
    while at > NOW - timedelta(days=6.6):
        service = chance.choice(services)
        state = chance.choices([State.NO_WORSE, State.WORSE, State.BETTER, State.UNDECIDED], [70, 12, 10, 8])[0]
        status = Status.ROLLED_BACK if state is State.WORSE else Status.FINISHED
        words = "all 7 signals of 4 operations within tolerance"
        end = at + timedelta(minutes=4)
        yield a_row(number, service, f"3.{number}", f"3.{number - 1}", state, words, started_at=at, status=status,
                    finished_at=end)  # fmt: skip
        if state is State.WORSE:
            yield a_row(number + 500, service, f"3.{number - 1}", f"3.{number}", None, "", status=Status.FINISHED,
                        started_at=end, finished_at=end, rollback_of=f"dep_{number:04}")  # fmt: skip
        number += 1
        at -= timedelta(hours=chance.expovariate(1 / 2.2))


@functools.cache
def some_series(since: int, until: int, step_s: int, moved: bool = True) -> list[SeriesPoint]:
    """Log-normal durations around 96 ms; the new version has a second hump around half a second."""
    chance = random.Random(since)
    points = []
    start, end = START.timestamp(), START.timestamp() + 103
    for at in range(since, until, step_s):
        points.append(_point(chance, "1.41.3", at, _REQUESTS_PER_S * step_s, 0.04))
        if start <= at < end:
            share = 0.1 if at < start + 60 else 0.9
            points.append(
                _point(chance, "1.42.0", at, round(_REQUESTS_PER_S * step_s * share), 0.14 if moved else 0.04)
            )
    return points


def _point(chance: random.Random, version: str, at: int, count: int, slow: float) -> SeriesPoint:
    buckets: dict[int, int] = {}
    total = 0.0
    for _ in range(count):
        is_slow = chance.random() < slow
        duration = chance.lognormvariate(math.log(0.53 if is_slow else 0.096), 0.13 if is_slow else 0.45)
        index = math.ceil(math.log2(duration) * 32) - 1
        buckets[index] = buckets.get(index, 0) + 1
        total += duration
    errors = sum(chance.random() < 0.002 for _ in range(count))
    return SeriesPoint(
        version=version, build="", bin_start=at, count=count, errors=errors, sum_s=total, zeros=0, buckets=buckets
    )


class Lists:
    """`PageData` made of lists."""

    def __init__(self, records: Iterable[DeploymentRecord] = (), spans: int = 0, services: Sequence[str] = ()) -> None:
        self.records = sorted(records, key=lambda one: one.deployment.started_at, reverse=True)
        self.spans, self.services = spans, tuple(services)
        self.events = Events()
        self.commands: list[tuple[str, str]] = []
        self.audited: list[tuple[str, str, str]] = []
        self.refusal = ""
        self.is_same = True
        self.report: Backtest | None = None
        self.job: Job | None = None
        self.backtests: list[timedelta] = []
        self.known = ErrorLists()
        self.user_sessions: list[Sessions] = []
        self.compared: ComparedCustomers | None = None
        self.served: CustomerHistory | None = None
        self.complained: list[Complaint] = []
        self.seen_projects: list[SeenProject] = []

    def change(self, record: DeploymentRecord) -> None:
        """Add or replace a deployment and tell everyone."""
        others = [one for one in self.records if one.deployment.id != record.deployment.id]
        self.records = sorted([record, *others], key=lambda one: one.deployment.started_at, reverse=True)
        self.events.publish(record.deployment.id)

    def now(self) -> datetime:
        return NOW

    def bin_width_s(self) -> int:
        return 1

    def _wanted(self, wanted: DeploymentFilter) -> list[DeploymentRecord]:
        return [one for one in self.records if _fits(one, wanted)]

    def page(
        self, wanted: DeploymentFilter, limit: int, cursor: str | None, whole: bool = False
    ) -> Page[DeploymentRecord]:
        found = self._wanted(wanted)
        start = int(cursor or 0)
        following = str(start + limit) if start + limit < len(found) else None
        return Page(tuple(found[start : start + limit]), following)

    def marks(self, wanted: DeploymentFilter, limit: int) -> list[Mark]:
        return [_mark(one) for one in self._wanted(wanted)[:limit]]

    def has_deployments(self) -> bool:
        return bool(self.records)

    def choices(self) -> FilterChoices:
        all_of = [one.deployment for one in self.records]
        return FilterChoices(
            services=tuple(sorted({one.service for one in all_of})),
            environments=tuple(sorted({one.environment for one in all_of})),
            actors=tuple(sorted({one.actor for one in all_of if one.actor})),
        )

    def record(self, deployment_id: str) -> DeploymentRecord | None:
        return next((one for one in self.records if one.deployment.id == deployment_id), None)

    def series(self, deployment: Deployment, operation: str, since: int, until: int, step_s: int) -> list[SeriesPoint]:
        moved = operation == "POST /orders"
        points = some_series(since, until, step_s, moved)
        old, new = deployment.previous_version or "", deployment.version
        return [replace(one, version=new if one.version == "1.42.0" else old) for one in points]

    def sessions(self, deployment: Deployment) -> list[Sessions]:
        return self.user_sessions

    def telemetry(self) -> Telemetry:
        return Telemetry(
            spans=self.spans,
            services=self.services,
            otlp_grpc="http://127.0.0.1:4317",
            otlp_http="http://127.0.0.1:4318",
        )

    def audit(self, *, actor: str, action: str, object: str, source: str, detail: str = "") -> None:
        self.audited.append((actor, action, object))

    def command(self, rollout_id: str, command: Command, actor: str, *, router_is_gone: bool = False) -> None:
        if self.refusal:
            raise CommandRefused(self.refusal)
        self.commands.append((rollout_id, f"{command}, the router is gone" if router_is_gone else command))

    def recompute(self, deployment_id: str) -> bool:
        return self.is_same

    def backtest(self, backtest_id: str | None = None) -> Backtest | None:
        return self.report if self.report and backtest_id in (None, self.report.id) else None

    def replaying(self) -> Job | None:
        return self.job

    def start_backtest(self, back: timedelta) -> None:
        if self.refusal:
            raise HistoryBusyError(self.refusal)
        self.backtests.append(back)

    def customers_of(self, deployment: Deployment) -> ComparedCustomers | None:
        return self.compared

    def customer(self, customer: str, back: timedelta) -> CustomerHistory | None:
        return self.served

    def complaints(self, wanted: ComplaintFilter, limit: int) -> list[Complaint]:
        return [
            one
            for one in self.complained
            if wanted.customer in (None, one.customer)
            and wanted.deployment_id in (None, *(each.deployment_id for each in one.deployments))
        ][:limit]

    @property
    def errors(self) -> "ErrorLists":
        return self.known

    def projects(self, who: Principal | None) -> list[SeenProject]:
        return self.seen_projects

    def follow(self, heartbeat_s: float) -> AsyncIterator[Event | None]:
        return self.events.follow(heartbeat_s)


class ErrorLists:
    """`ErrorData` made of a list."""

    def __init__(self, *details: Detail) -> None:
        self.details = list(details)
        self.said: list[tuple[str, ...]] = []
        self.counts: dict[str, int] | None = {one.error.id: 1234 for one in details}

    def _wanted(self, wanted: ErrorFilter) -> list[KnownError]:
        errors = [one.error for one in self.details]
        return [
            one
            for one in errors
            if wanted.service in (None, one.service)
            and wanted.new_in in (None, one.first_version)
            and wanted.status in (None, one.status_at(NOW))
            and one.severity >= wanted.least_severity
            and (wanted.text or "") in one.title
        ]

    def page(
        self, wanted: ErrorFilter, *, limit: int = 50, cursor: str | None = None, order: Order = "last_seen"
    ) -> Listed:
        found, start = self._wanted(wanted), int(cursor or 0)
        following = str(start + limit) if start + limit < len(found) else None
        return Listed(page=Page(tuple(found[start : start + limit]), following), counts=self.counts)

    def how_many(self, wanted: ErrorFilter) -> int:
        return len(self._wanted(wanted))

    def places(self) -> list[tuple[str, str]]:
        return sorted({(one.error.service, one.error.environment) for one in self.details})

    def detail(self, error_id: str) -> Detail:
        for one in self.details:
            if one.error.id == error_id:
                return one
        raise NotFoundError(error_id)

    def resolve(
        self, error_id: str, by: str, version: str | None = None, *, in_next_version: bool = False
    ) -> KnownError:
        self.said.append(("resolve", error_id, by, "next" if in_next_version else ""))
        return self.detail(error_id).error

    def reopen(self, error_id: str, by: str) -> KnownError:
        self.said.append(("reopen", error_id, by))
        return self.detail(error_id).error


def a_known_error(**changes: Any) -> KnownError:
    """A KeyError that checkout 1.42.0 brought."""
    values: dict[str, Any] = {
        "id": "err_0123456789abcdef0123",
        "service": "checkout",
        "environment": "production",
        "kind": ErrorKind.ERROR,
        "fingerprint": "0123456789abcdef",
        "title": "KeyError in price (checkout/pricing.py)",
        "message": "'sku-17'",
        "severity": 17,
        "first_seen_at": START,
        "last_seen_at": NOW - timedelta(minutes=2),
        "first_version": "1.42.0",
        "last_version": "1.42.0",
        "sample": 'Traceback (most recent call last):\n  File "/app/checkout/pricing.py", line 42, in price\nKeyError',
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
    }
    return KnownError(**(values | changes))


def a_detail(**parts: Any) -> Detail:
    """Everything known of it."""
    step = int(NOW.timestamp()) // 3600 * 3600
    seen = {"first_seen_at": START, "last_seen_at": NOW}
    values: dict[str, Any] = {
        "error": a_known_error(),
        "seen_in": [SeenIn(version="1.42.0", **seen), SeenIn(version="1.41.3", **seen)],
        "history": [StatusChange(at=START, what="resolved", actor="mo", version="1.41.3")],
        "since": NOW - timedelta(days=7),
        "until": NOW + timedelta(hours=1),
        "step_s": 3600,
        "counts": [
            ErrorCount(version="1.41.3", bin_start=step - 3600, count=7),
            ErrorCount(version="1.41.3", bin_start=step, count=1),
            ErrorCount(version="1.42.0", bin_start=step, count=41),
        ],
    }
    return Detail(**(values | parts))


def _fits(record: DeploymentRecord, wanted: DeploymentFilter) -> bool:
    one = record.deployment
    state = record.verdict.state.value if record.verdict else None
    return (
        (not wanted.service or one.service == wanted.service)
        and (not wanted.environment or one.environment == wanted.environment)
        and (not wanted.verdict or state == wanted.verdict)
        and (not wanted.actor or one.actor == wanted.actor)
        and (not wanted.text or wanted.text.lower() in f"{one.service} {one.version}".lower())
        and (wanted.since is None or one.started_at >= wanted.since)
        and (wanted.until is None or one.started_at < wanted.until)
    )


def _mark(record: DeploymentRecord) -> Mark:
    one = record.deployment
    return Mark(
        id=one.id, service=one.service, environment=one.environment, version=one.version, started_at=one.started_at,
        finished_at=one.finished_at, state=record.verdict.state.value if record.verdict else "",
        status=one.status.value, rollback_of=one.rollback_of,
    )  # fmt: skip


def an_undecided_record(**changes: Any) -> DeploymentRecord:
    """At 10 % and too early to tell."""
    deployment = a_deployment(status=Status.IN_PROGRESS, finished_at=None, **changes)
    verdict = a_verdict(
        deployment_id=deployment.id,
        state=State.UNDECIDED,
        reason=Reason.TOO_EARLY,
        sentence="checkout 1.42.0 is undecided: too few requests so far; about 6 minutes more at this traffic would "
        "settle it.",
        signals=(an_error_signal(),),
        decided_at=None,
        first_visible_at=None,
    )
    rollout = a_running_rollout(deployment_id=deployment.id)
    return DeploymentRecord(deployment=deployment, verdict=verdict, explanation=None, rollout=rollout)


def a_backtested(**changes: Any) -> BacktestedDeployment:
    """The canary of `a_deployment`, judged again: worse after 95 s, and it served on."""
    values: dict[str, Any] = {
        "deployment": a_deployment(),
        "verdict": a_verdict(),
        "decided_after_s": 95.0,
        "looks": 12,
        "saved": Saved(
            since=START, until=START + timedelta(hours=1), ended="rolled_back", requests=1200, failed=31, waited_s=480.0
        ),
        "said_then": State.WORSE,
    }
    return BacktestedDeployment(**(values | changes))


def a_backtest(**changes: Any) -> Backtest:
    """A month in which one deployment was found."""
    values: dict[str, Any] = {
        "id": "bkt_1",
        "made_at": NOW,
        "since": NOW - timedelta(days=30),
        "until": NOW,
        "source": "this server's own store",
        "services": ("checkout", "prices"),
        "deployments": (a_backtested(),),
        "notes": (),
        "took_s": 4.2,
        "engine_version": "onejob 0.1.0",
    }
    return Backtest(**(values | changes))
