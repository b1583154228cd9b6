"""The rows of a verdict: per operation and signal, how big the effect is and what the evidence says of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from onejob.model.evidence import JudgeSettings
from onejob.model.kpi import Direction
from onejob.model.verdict import EffectKind, Missing, NewThing, SignalResult, State
from onejob.stats import design_effect, histogram, mixture
from onejob.stats.confidence import running_mean_interval
from onejob.verdict import adjusted, missing, tolerances
from onejob.verdict.counts import CONTROL, TREATMENT
from onejob.verdict.evidence import ERRORS, Evidence
from onejob.verdict.harm import Harm, harm
from onejob.verdict.intervals import LatencyIntervals
from onejob.verdict.router import LOG_THETA_0, RouterEvidence, ShareEvidence

Floats = NDArray[np.float64]

WORSE, BETTER = 0, 1  # sides of the evidence
EVERYWHERE = "*"  # the operation of signals that are about the arm as a whole
# Evidence of a reported quantile: the thresholds from the one reported below it up to its own.
_AROUND = {0: (1,), 1: (2, 3, 4), 2: (5, 6)}


@dataclass(frozen=True, slots=True)
class Row:
    """A signal before its state is known. `family` names its share of alpha, `log_e` is (worse, better)."""

    family: str
    operation: str
    signal: str
    kind: EffectKind
    control: float | None
    treatment: float | None
    effect: float | None
    low: float | None
    high: float | None
    tolerance: float
    log_e: tuple[float, float]
    own_log_e: tuple[float, float]  # of the thresholds around a reported quantile; else the same as log_e
    weight: float
    phi: float
    theta_0: float
    requests: tuple[int, int]  # that evidence rests on: spans, where those are sampled
    events: tuple[float, float]
    floor: float = 0.0
    answered: tuple[int, int] | None = None  # requests that sampled spans stand for
    share: float | None = None  # of all requests, what treatment was declared to get, where the row is about that
    unit: str = "1"
    direction: Direction = Direction.LOWER_IS_BETTER
    exploratory: bool = False
    stream: str = ""  # whose evidence it is, where that is not the operation's
    novelty: NewThing | None = None
    says_what_is_missing: bool = True
    rate_per_s: float | None = None  # of what the row counts, where that is not the operation's requests

    @property
    def shown(self) -> tuple[int, int]:
        """Requests of control and treatment."""
        return self.requests if self.answered is None else self.answered

    @property
    def harm(self) -> Harm:
        """Effect and interval, turned so that larger is worse."""
        return harm(self.kind, self.direction, self.effect, self.low, self.high)

    def is_beyond(self, side: int) -> bool:
        """Is the estimate beyond the tolerance, on the bad (WORSE) or the good (BETTER) side?"""
        effect = self.harm.effect
        if effect is None:
            return False
        if side == WORSE:
            return effect > self.tolerance
        good = -self.tolerance if self.kind is EffectKind.DIFFERENCE else 1 / self.tolerance
        return effect < good

    def is_clear(self, side: int) -> bool:
        """Does the interval exclude that nothing changed?"""
        same = 0.0 if self.kind is EffectKind.DIFFERENCE else 1.0
        seen = self.harm
        if side == WORSE:
            return seen.low is not None and seen.low > same
        return seen.high is not None and seen.high < same

    @property
    def is_surely_worse(self) -> bool:
        """Is an effect within the tolerance excluded, by the size alone?"""
        low = self.harm.low
        return low is not None and low > self.tolerance

    @property
    def is_within(self) -> bool:
        """Is an effect beyond the tolerance excluded?"""
        high = self.harm.high
        return high is not None and high <= self.tolerance


def error_rows(evidence: Evidence, operations: Sequence[tuple[int, str, float]], settings: JudgeSettings) -> list[Row]:
    """Errors of the operations, given as (number, name, weight)."""
    phi, theta = evidence.phi()[:, ERRORS], np.exp(evidence.log_theta_0()[:, ERRORS])
    outcomes = [
        _Outcome(
            family="errors",
            operation=name,
            signal="errors",
            events=_pair(evidence.errors[:, op]),
            requests=_pair(evidence.requests[:, op]),
            log_e=_log_e(evidence, op, [ERRORS]),
            weight=weight,
            phi=float(phi[op]),
            theta_0=float(theta[op]),
            sampled=_sampled(evidence, op),
        )
        for op, name, weight in operations
    ]
    return _rate_rows(outcomes, settings)


def latency_rows(
    evidence: Evidence, intervals: LatencyIntervals, op: int, name: str, weight: float, settings: JudgeSettings
) -> list[Row]:
    """The reported quantiles of one operation; the median always, the others once control has enough requests."""
    noise = evidence.phi()[op], evidence.log_theta_0()[op]
    return [
        duration_row(
            evidence,
            intervals,
            (op, i),
            noise,
            family="latency",
            operation=name,
            signal=f"latency_p{q * 100:g}",
            tolerance=tolerances.of_latency(settings, f"latency_p{q * 100:g}", name),
            weight=weight,
            around=_AROUND[i],
        )
        for i, q in enumerate(intervals.reported)
        if not i or intervals.edges[op, i] >= 0
    ]


def duration_row(
    evidence: Evidence,
    intervals: LatencyIntervals,
    place: tuple[int, int],
    noise: tuple[Floats, Floats],
    *,
    family: str,
    operation: str,
    signal: str,
    tolerance: float,
    weight: float,
    around: Sequence[int],
) -> Row:
    """One reported quantile: `place` is (operation, which of the reported), `noise` is (phi, log theta_0) per signal.

    `around` are the thresholds whose evidence is the quantile's own.
    """
    op, i = place
    column, q = 1 + intervals.columns[i], intervals.reported[i]
    likely = [_likely(evidence.histogram[arm, op], intervals.coarse_edges) for arm in (CONTROL, TREATMENT)]
    control, treatment = (histogram.quantile_s(durations, q) for durations in likely)
    effect = _ratio_at(evidence, op, int(intervals.edges[op, i]), likely[TREATMENT])
    low, high = _around(effect, *intervals.bounds(op, i))
    phi, log_theta_0 = (float(values[column]) for values in noise)
    return Row(
        family=family,
        operation=operation,
        signal=signal,
        kind=EffectKind.RATIO,
        control=control,
        treatment=treatment,
        effect=effect,
        low=low,
        high=high,
        tolerance=tolerance,
        log_e=_log_e(evidence, op, list(range(1, 1 + len(evidence.edges[op])))),
        own_log_e=_log_e(evidence, op, list(around)),
        weight=weight,
        phi=phi,
        theta_0=float(np.exp(log_theta_0)),
        requests=_pair(evidence.timed[:, op]),
        answered=_answered(evidence, op),
        events=(0, 0),
        floor=_floor(evidence, op, int(intervals.edges[op, i]), log_theta_0),
        unit="s",
    )


def router_rows(router: RouterEvidence, settings: JudgeSettings) -> list[Row]:
    """What the router saw of the arms as a whole."""
    outcomes = [
        _Outcome(
            family=family,
            operation=EVERYWHERE,
            signal=signal,
            events=(seen.events[CONTROL], seen.events[TREATMENT]),
            requests=(seen.requests[CONTROL], seen.requests[TREATMENT]),
            log_e=(seen.log_evidence(WORSE), seen.log_evidence(BETTER)),
            weight=1.0,
            phi=design_effect.PRIOR_PHI,
            theta_0=float(np.exp(LOG_THETA_0)),
        )
        for family, signal, seen in (
            ("router", "errors", router.failed),
            ("shortfall", "shortfall", router.unanswered),
        )
    ]
    return _rate_rows(outcomes, settings)


def share_row(share: ShareEvidence, settings: JudgeSettings) -> Row:
    """Treatment's missing answers against its declared share of traffic, as a fraction of what was expected."""
    absent = 1 - share.answered / share.expected if share.expected else None
    low, high = share.interval(settings.alpha)
    log_e = share.log_evidence()
    return Row(
        family="shortfall",
        operation=EVERYWHERE,
        signal="shortfall",
        kind=EffectKind.DIFFERENCE,
        control=0.0,
        treatment=absent,
        effect=absent,
        low=low,
        high=high,
        tolerance=0.2,
        log_e=(log_e, 0.0),
        own_log_e=(log_e, 0.0),
        weight=1.0,
        phi=share.phi,
        theta_0=1.0,
        requests=(round(share.total - share.answered), round(share.answered)),
        events=(0, 0),
        share=share.expected / share.total if share.total else None,
    )


def result(row: Row, state: State, seen_at: datetime | None, lacking: Missing | None) -> SignalResult:
    """The row as the verdict carries it."""
    return SignalResult(
        operation=row.operation,
        signal=row.signal,
        state=state,
        effect_kind=row.kind,
        control=row.control,
        treatment=row.treatment,
        effect=row.effect,
        low=row.low,
        high=row.high,
        tolerance=row.tolerance,
        missing=lacking,
        log_evidence=row.own_log_e[WORSE],
        log_evidence_better=row.own_log_e[BETTER],
        weight=row.weight,
        phi=row.phi,
        theta_0=row.theta_0,
        control_requests=row.shown[CONTROL],
        treatment_requests=row.shown[TREATMENT],
        treatment_spans=None if row.answered is None else row.requests[TREATMENT],
        first_visible_at=seen_at,
        family=row.family,
        unit=row.unit,
        direction=row.direction,
        exploratory=row.exploratory,
        novelty=row.novelty,
    )


def lacking(rows: Sequence[Row], settings: JudgeSettings, rates_per_s: Sequence[float]) -> list[Missing]:
    """What each row needs until it can be called no worse."""
    is_rate = [row.kind is EffectKind.DIFFERENCE and row.share is None and row.says_what_is_missing for row in rows]
    rated = [row for row, is_it in zip(rows, is_rate, strict=True) if is_it]
    columns = missing.Rates(
        events=np.array([_harmful(row) for row in rated], dtype=float).reshape(-1, 2),
        requests=np.array([row.requests for row in rated], dtype=float).reshape(-1, 2),
        tolerance=np.array([row.tolerance for row in rated]),
        phi=np.array([row.phi for row in rated]),
        shown=np.array([row.shown[TREATMENT] for row in rated], dtype=float),
    )
    per_s = [rate for rate, is_it in zip(rates_per_s, is_rate, strict=True) if is_it]
    for_rates = iter(missing.missing_for_rates(columns, [row.harm.high for row in rated], per_s, settings.alpha))
    return [
        next(for_rates) if is_it else _lacking_other(row, rate, settings.alpha)
        for row, rate, is_it in zip(rows, rates_per_s, is_rate, strict=True)
    ]


def _lacking_other(row: Row, rate_per_s: float, alpha: float) -> Missing:
    if row.share is None:
        return _lacking_ratio(row, rate_per_s)
    return missing.missing_for_share(
        row.share, row.requests, row.high, row.tolerance, phi=row.phi, rate_per_s=rate_per_s, alpha=alpha
    )


def _harmful(row: Row) -> tuple[float, ...]:
    """Events that are bad: of what had better be frequent, those that did not happen."""
    if row.direction is Direction.HIGHER_IS_BETTER:
        return tuple(n - x for n, x in zip(row.requests, row.events, strict=True))
    return row.events


def _lacking_ratio(row: Row, rate_per_s: float) -> Missing:
    seen = row.harm
    if not row.says_what_is_missing:
        return Missing(largest_excluded=seen.high, requests=None, seconds_p50=None, seconds_p90=None)
    return missing.missing_for_ratio(
        seen.effect,
        seen.high,
        row.tolerance,
        floor=row.floor,
        requests=row.shown[TREATMENT],
        rate_per_s=rate_per_s,
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Counts of a yes/no signal; pairs are (control, treatment), or (worse, better) for the evidence."""

    family: str
    operation: str
    signal: str
    events: tuple[int, int]
    requests: tuple[int, int]
    log_e: tuple[float, float]
    weight: float
    phi: float
    theta_0: float
    sampled: adjusted.Sampled | None = None


def _rate_rows(outcomes: Sequence[_Outcome], settings: JudgeSettings) -> list[Row]:
    if not outcomes:
        return []
    phi = np.array([o.phi * adjusted.spread(o.sampled) for o in outcomes])
    events, requests = (
        np.array(values, dtype=float) / phi for values in ([o.events for o in outcomes], [o.requests for o in outcomes])
    )
    low, high = running_mean_interval(events.ravel(), requests.ravel(), settings.alpha / 2)
    ends = zip(low.reshape(-1, 2), high.reshape(-1, 2), strict=True)
    return [_rate_row(o, lows, highs, settings) for o, (lows, highs) in zip(outcomes, ends, strict=True)]


def _rate_row(o: _Outcome, lows: Floats, highs: Floats, settings: JudgeSettings) -> Row:
    control, treatment = (x / n if n else None for x, n in zip(o.events, o.requests, strict=True))
    is_seen = control is not None and treatment is not None
    events: tuple[float, float] = o.events
    if o.sampled is not None and is_seen:
        control, treatment = o.sampled.rates
        lows, highs = o.sampled.undone(lows, is_low=True), o.sampled.undone(highs, is_low=False)
        events = control * o.requests[CONTROL], treatment * o.requests[TREATMENT]
    return Row(
        family=o.family,
        operation=o.operation,
        signal=o.signal,
        kind=EffectKind.DIFFERENCE,
        control=control,
        treatment=treatment,
        effect=treatment - control if control is not None and treatment is not None else None,
        low=float(lows[TREATMENT] - highs[CONTROL]) if is_seen else None,
        high=float(highs[TREATMENT] - lows[CONTROL]) if is_seen else None,
        tolerance=tolerances.of_errors(settings, o.signal, o.operation, control),
        log_e=o.log_e,
        own_log_e=o.log_e,
        weight=o.weight,
        phi=o.phi,
        theta_0=o.theta_0,
        requests=o.requests,
        answered=None if o.sampled is None else o.sampled.requests,
        events=events,
    )


def without_size(row: Row) -> Row:
    """The row of spans that were chosen by outcome: what they show is no rate of all requests."""
    return replace(row, control=None, treatment=None, effect=None, low=None, high=None, says_what_is_missing=False)


def _sampled(evidence: Evidence, op: int) -> adjusted.Sampled | None:
    if not evidence.is_sampled:
        return None
    return adjusted.sampled(evidence.requests[:, op], evidence.errors[:, op], evidence.adjusted[:, :, op])


def _answered(evidence: Evidence, op: int) -> tuple[int, int] | None:
    if not evidence.is_sampled:
        return None
    return adjusted.requests(evidence.timed[:, op], evidence.requests[:, op], evidence.adjusted[0, :, op])


def _log_e(evidence: Evidence, op: int, signals: Sequence[int]) -> tuple[float, float]:
    worse, better = (float(mixture.log_mean(evidence.log_e[side, op, signals], (0, 1))) for side in (WORSE, BETTER))
    return worse, better


def _around(effect: float | None, low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """When the ratio changed on the way, no single one fits all bins: the interval then reaches to the estimate."""
    if effect is None:
        return low, high
    return None if low is None else min(low, effect), None if high is None else max(high, effect)


def _likely(durations: NDArray[np.int64], coarse_edges: Sequence[int]) -> histogram.Counts | Floats:
    return histogram.spread(durations, coarse_edges) if coarse_edges else durations


def _ratio_at(evidence: Evidence, op: int, edge: int, treatment: histogram.Counts | Floats) -> float | None:
    """Estimate of rho in P(treatment > rho c) = P(control > c)."""
    control = evidence.histogram[CONTROL, op]
    n0, n1 = int(control.sum()), int(treatment.sum())
    if edge < 0 or not n0 or not n1:
        return None
    q = 1 - float(control[edge + 1 :].sum()) / n0
    if not 0.01 < q < 1.0:
        return None  # control has left the edge altogether: there is no ratio at it
    at = histogram.quantile_s(treatment, q)
    return None if at is None else at / histogram.upper_edge_s(edge + histogram.LOWEST)


def _floor(evidence: Evidence, op: int, edge: int, log_theta_0: float) -> float:
    """Log ratio of durations that shifts control's odds beyond its own edge by theta_0: what instances may differ."""
    control = evidence.histogram[CONTROL, op]
    n0 = int(control.sum())
    beyond = float(control[edge + 1 :].sum()) if edge >= 0 else 0.0
    if not n0 or not 0 < beyond < n0:
        return 0.0
    odds = beyond / (n0 - beyond) * float(np.exp(log_theta_0))
    at = histogram.quantile_s(control, 1 - odds / (1 + odds))
    here = histogram.upper_edge_s(edge + histogram.LOWEST)
    return 0.0 if at is None or at <= 0 else abs(float(np.log(here / at)))


def _pair(values: NDArray[np.int64]) -> tuple[int, int]:
    return int(values[CONTROL]), int(values[TREATMENT])
