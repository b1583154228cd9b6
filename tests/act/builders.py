"""Verdicts, plans and routers for tests of what follows from a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from onejob.act.drivers import ArmCounters
from onejob.act.errors import DriverUnreachableError
from onejob.act.plan import make_plan
from onejob.model.deployment import Deployment, Source, Status, Strategy
from onejob.model.evidence import Arm
from onejob.model.rollout import Mode, RolloutPlan, Step
from onejob.model.verdict import EffectKind, Reason, SignalResult, State, Verdict
from onejob.state.ids import new_id

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def a_deployment(version: str = "2", service: str = "checkout", **fields: object) -> Deployment:
    made = Deployment(
        id=new_id("dep", T0),
        service=service,
        environment="production",
        version=version,
        previous_version="1",
        strategy=Strategy.CANARY,
        source=Source.REPORTED,
        status=Status.IN_PROGRESS,
        started_at=T0,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def a_plan(
    mode: Mode = Mode.ACT, steps: Sequence[Step] | None = None, on_timeout: str = "pause", driver: str = "fake"
) -> RolloutPlan:
    return make_plan(driver, {}, mode=mode, steps=steps, on_timeout=on_timeout)


def a_signal(
    operation: str = "GET /x",
    signal: str = "errors",
    high: float | None = 0.01,
    effect: float | None = 0.0,
    control_requests: int = 9000,
    treatment_requests: int = 1000,
    tolerance: float | None = None,
) -> SignalResult:
    is_latency = signal.startswith("latency")
    return SignalResult(
        operation=operation,
        signal=signal,
        state=State.UNDECIDED,
        effect_kind=EffectKind.RATIO if is_latency else EffectKind.DIFFERENCE,
        control=None,
        treatment=None,
        effect=effect,
        low=None if high is None else 0.5 if is_latency else -0.5,
        high=high,
        tolerance=tolerance if tolerance is not None else 1.1 if is_latency else 0.001,
        missing=None,
        log_evidence=0.0,
        log_evidence_better=0.0,
        weight=0.1,
        phi=1.0,
        theta_0=1.0,
        control_requests=control_requests,
        treatment_requests=treatment_requests,
    )


def a_verdict(
    state: State = State.UNDECIDED,
    reason: Reason | None = Reason.TOO_EARLY,
    signals: Sequence[SignalResult] = (),
    judged_at: datetime = T0,
    deployment_id: str = "dep_x",
    sentence: str | None = None,
) -> Verdict:
    return Verdict(
        deployment_id=deployment_id,
        state=state,
        reason=reason if state is State.UNDECIDED else None,
        sentence=sentence or f"checkout 2 is {state}.",
        judged_at=judged_at,
        decided_at=None if state is State.UNDECIDED else judged_at,
        first_visible_at=None,
        control=None,
        treatment=None,
        signals=tuple(signals),
        log_evidence=0.0,
        alpha=0.01,
        window_start=T0,
        window_end=judged_at,
        left_out=(),
        engine_version="test",
    )


def all_excluded(judged_at: datetime = T0, deployment_id: str = "dep_x") -> Verdict:
    """Undecided, with every effect beyond any step's limits excluded."""
    signals = (a_signal(), a_signal(signal="latency_p50", high=1.02))
    return a_verdict(signals=signals, judged_at=judged_at, deployment_id=deployment_id)


class FakeRouter:
    """A router in memory; `log` has every share it was told, `is_down` makes it unreachable."""

    def __init__(self) -> None:
        self.share: float | None = None
        self.log: list[float] = []
        self.is_down = False
        self.is_closed = False
        self.counts = {arm: ArmCounters(requests=0, answered=0, failed=0, resets=0, timeouts=0) for arm in Arm}

    def __call__(self, settings: Mapping[str, str]) -> "FakeRouter":
        return self

    def serve(self, control: int = 0, treatment: int = 0, failed: int = 0, resets: int = 0, timeouts: int = 0) -> None:
        """Requests since the last call; failures are treatment's."""
        for arm, requests in ((Arm.CONTROL, control), (Arm.TREATMENT, treatment)):
            before, is_new = self.counts[arm], int(arm is Arm.TREATMENT)
            self.counts[arm] = ArmCounters(
                requests=before.requests + requests,
                answered=before.answered + requests - timeouts * is_new,
                failed=before.failed + failed * is_new,
                resets=before.resets + resets * is_new,
                timeouts=before.timeouts + timeouts * is_new,
            )

    def check(self) -> None:
        self._answer()

    def set_share(self, share: float) -> None:
        self._answer()
        self.share = share
        self.log.append(share)

    def read_share(self) -> float | None:
        self._answer()
        return self.share

    def read_counts(self) -> Mapping[Arm, ArmCounters]:
        self._answer()
        return dict(self.counts)

    def close(self) -> None:
        self.is_closed = True

    def _answer(self) -> None:
        if self.is_down:
            raise DriverUnreachableError("Envoy's admin interface does not answer")
