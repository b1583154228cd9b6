"""A verdict: did the deployment make it better or worse for users, how sure is that, and what is missing."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from onejob.model.kpi import Direction


class State(StrEnum):
    """The answer, for a signal or for the whole deployment."""

    WORSE = "worse"
    BETTER = "better"
    NO_WORSE = "no_worse"
    UNDECIDED = "undecided"


class Reason(StrEnum):
    """Which kind of nothing an `undecided` is; each has its own policy."""

    NO_DATA = "no_data"
    NO_CONTROL = "no_control"
    TOO_EARLY = "too_early"
    NOT_COMPARABLE = "not_comparable"


class EffectKind(StrEnum):
    """`ratio`: treatment / control, 1 is no change. `difference`: treatment - control, 0 is no change."""

    RATIO = "ratio"
    DIFFERENCE = "difference"


class DecidedBy(StrEnum):
    """What made a signal's state.

    `interval`: all of it lies beyond the tolerance, or within. `evidence`: chance is excluded and the estimate is
    beyond the tolerance, but the interval, a wider test of its own, still reaches into it: that there is an effect is
    known, how large it is not yet.
    """

    INTERVAL = "interval"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What an undecided signal lacks: the largest effect excluded so far, and what it takes to exclude `tolerance`.

    `largest_excluded` has the unit of the signal's effect. `requests` are further treatment requests;
    `seconds_*` are at the current traffic, None when there is none.
    """

    largest_excluded: float | None
    requests: int | None
    seconds_p50: float | None
    seconds_p90: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewThing:
    """What a novelty is: `kind` is `error` or `log_template`; `sample` is a stack or a line of `trace_id`.

    `count` is of treatment's requests that showed it, `rate` its share of treatment's requests since it was first seen;
    `control_requests` is how many of control's showed nothing of it meanwhile.
    """

    kind: str
    fingerprint: str
    title: str
    sample: str
    trace_id: str
    first_seen_at: datetime
    count: int
    rate: float
    control_requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MixShift:
    """How much of a measure's overall change is other traffic, and how much is change within operations.

    `measure` is `errors` (a fraction) or `latency` (mean seconds); `change` = `within` + `mix`.
    """

    measure: str
    control: float
    treatment: float
    change: float
    within: float
    mix: float
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalResult:
    """One signal of one operation. `signal` is `errors`, `latency_p50`, `latency_p95`, `latency_p99`, `shortfall`,
    `lcp_p75`, `inp_p75`, `cls_p75`, `new_error`, or the name of a KPI.

    `control` and `treatment` are the arms' values: seconds for latency, fractions in 0..1 for rates, else in `unit`.
    [`low`, `high`] covers `effect` at every look at once with probability 1 - alpha; None where nothing is known.
    `tolerance` has the effect's unit and kind: a ratio above 1, or a difference above 0.
    `log_evidence` is the natural log of the e-process against "no worse than theta_0": of the thresholds up to the
    reported quantile for latency, which the operation's own evidence averages.
    `family` names the share of alpha it has: `errors`, `latency`, `router`, `shortfall`, `vitals`, `kpi` or `novelty`.
    `unit` is `s`, `1` for a fraction, or whatever the KPI's is. An `exploratory` signal has no share of alpha: it can
    hold a rollout, and never rolls back.
    """

    operation: str
    signal: str
    state: State
    effect_kind: EffectKind
    control: float | None
    treatment: float | None
    effect: float | None
    low: float | None
    high: float | None
    tolerance: float
    missing: Missing | None
    log_evidence: float
    log_evidence_better: float
    weight: float
    phi: float
    theta_0: float
    control_requests: int
    treatment_requests: int
    first_visible_at: datetime | None = None
    family: str = ""
    unit: str = ""
    direction: Direction = Direction.LOWER_IS_BETTER
    exploratory: bool = False
    novelty: NewThing | None = None
    treatment_spans: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSummary:
    """One side of the comparison as it was. `kind` says which control it is: `concurrent` or `before_after`."""

    kind: str
    versions: tuple[str, ...]
    instances: tuple[str, ...]
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """Of `placebos` deployments of nothing, `alarms` were called worse: the rate, with its 95 % interval [low, high].

    Measured on the service's own past with every design effect times `phi_factor`.
    """

    placebos: int
    alarms: int
    rate: float
    low: float
    high: float
    phi_factor: float
    measured_at: datetime


# Of a field that documents hold only where it is given: to all others it is as if it did not exist.
ONLY_IF_GIVEN = {"only_if_given": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstPast:
    """The course of a change that was found by comparing with the past: of the signal the verdict leads with.

    It most likely began at `began_at`, and within [`began_from`, `began_to`] with 99 %; None where that is not known.
    `is_earlier`: that is before the deployment. `recovered_at`: since then all that was worse is as usual again, which
    makes it transient; None while it is not. `controls` are services the deployment did not touch, which it was
    compared with too; `elsewhere` those of them that changed alike, where that is why it is not held against it.
    """

    began_at: datetime | None = None
    began_from: datetime | None = None
    began_to: datetime | None = None
    is_earlier: bool = False
    recovered_at: datetime | None = None
    controls: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The whole document; immutable, and recomputable from the evidence batches stored beside it.

    `first_visible_at` is the end of the first bin in which the decisive evidence began to rise for good.
    `left_out` are sentences: what was not compared and why. `false_alarms` is what a calibration of the service had
    measured when judging began, None where there was none. `past` is of what the past was compared with only.
    """

    deployment_id: str
    state: State
    reason: Reason | None
    sentence: str
    judged_at: datetime
    decided_at: datetime | None
    first_visible_at: datetime | None
    control: ArmSummary | None
    treatment: ArmSummary | None
    signals: tuple[SignalResult, ...]
    log_evidence: float
    alpha: float
    window_start: datetime | None
    window_end: datetime | None
    left_out: tuple[str, ...]
    engine_version: str
    mix: tuple[MixShift, ...] = ()
    false_alarms: FalseAlarms | None = None
    past: AgainstPast | None = field(default=None, metadata=ONLY_IF_GIVEN)
