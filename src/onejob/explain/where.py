"""Where the damage is: which operations carry a `worse`, by what their requests lost.

The verdict says which signals of which operations are worse. To compare failures with slowness, both are counted in
seconds lost: a slower request by the time it took longer, a failed one as `FAILED_REQUEST_S`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import xlogy

from onejob.explain.reading import Requests
from onejob.explain.tables import Bools, Floats, Ints
from onejob.model.explanation import CarryingOperation
from onejob.model.verdict import SignalResult, State, Verdict
from onejob.verdict.signals import EVERYWHERE

# People leave or try again; any rate works that puts a failure above the slowness most services ever see.
FAILED_REQUEST_S = 1.0
MAX_OPERATIONS = 10
MIN_SHARE = 0.02
_BANDS = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
_WITHOUT_REQUESTS = ("kpi", "vitals", "novelty")  # families that entry requests cannot explain
_WINSORISED = 0.99  # one request that hung for a minute is not what made an operation slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """One signal of an operation that got worse; of several latency quantiles the one with most evidence."""

    result: SignalResult

    @property
    def operation(self) -> str:
        return self.result.operation

    @property
    def is_latency(self) -> bool:
        return self.result.signal.startswith("latency")

    @property
    def is_errors(self) -> bool:
        return self.result.signal == "errors"


def suspects(verdict: Verdict) -> list[Suspect]:
    """The signals that are `worse`; when only their sum is, those whose evidence points that way.

    What is about the arm as a whole (the router's counts) names no place to look, unless nothing else is worse.
    """
    signals = [s for s in verdict.signals if s.family not in _WITHOUT_REQUESTS]
    worse = [s for s in signals if s.state is State.WORSE]
    leaning = [s for s in signals if s.state is State.UNDECIDED and s.log_evidence > 0]
    named = [s for s in worse if s.operation != EVERYWHERE] or [s for s in leaning if s.operation != EVERYWHERE]
    worse = named or worse or leaning
    strongest: dict[tuple[str, bool, bool], Suspect] = {}
    for signal in sorted(worse, key=lambda s: -s.log_evidence):
        suspect = Suspect(result=signal)
        strongest.setdefault((suspect.operation, suspect.is_latency, suspect.is_errors), suspect)
    return list(strongest.values())[: 3 * MAX_OPERATIONS]


def carrying_operations(found: list[Suspect], requests: Mapping[str, Requests]) -> list[CarryingOperation]:
    """The suspects with their share of everything lost, the largest first."""
    lost = [_seconds_lost(suspect, requests.get(suspect.operation)) for suspect in found]
    whole = sum(lost)
    carriers = [
        CarryingOperation(
            operation=suspect.operation,
            signal=suspect.result.signal,
            share=seconds / whole if whole > 0 else 1 / len(found),
            effect=suspect.result.effect,
        )
        for suspect, seconds in zip(found, lost, strict=True)
    ]
    carriers.sort(key=lambda c: -c.share)
    return [c for c in carriers if c.share >= MIN_SHARE][:MAX_OPERATIONS] or carriers[:1]


def _seconds_lost(suspect: Suspect, requests: Requests | None) -> float:
    if requests is None or suspect.result.signal == "shortfall" or not _has_both_arms(requests):
        return _seconds_lost_by_verdict(suspect)
    if suspect.is_errors:
        per_request = _difference(requests, requests.is_failed * FAILED_REQUEST_S)
    else:
        seconds = requests.duration_ns / 1e9
        per_request = _difference(requests, np.minimum(seconds, np.quantile(seconds, _WINSORISED)))
    return max(0.0, per_request) * float(requests.weight[requests.is_treatment].sum())


def _seconds_lost_by_verdict(suspect: Suspect) -> float:
    result = suspect.result
    if result.control is None or result.treatment is None:
        return 0.0
    seconds = 1.0 if suspect.is_latency else FAILED_REQUEST_S
    return abs(result.treatment - result.control) * seconds * result.treatment_requests


def _difference(requests: Requests, values: Floats) -> float:
    is_treatment, weight = requests.is_treatment, requests.weight
    treatment = np.average(values[is_treatment], weights=weight[is_treatment])
    return float(treatment - np.average(values[~is_treatment], weights=weight[~is_treatment]))


def _has_both_arms(requests: Requests) -> bool:
    return bool(requests.is_treatment.any() and not requests.is_treatment.all())


@dataclass(frozen=True, slots=True, kw_only=True)
class Badness:
    """Which requests show the damage: those that failed, or that took longer than `above_ns`."""

    bad: Bools
    above_ns: int | None

    def at(self, rows: Ints) -> "Badness":
        """Of these rows."""
        return Badness(bad=self.bad[rows], above_ns=self.above_ns)


def ways_to_be_bad(requests: Requests, *, is_latency: bool) -> list[Badness]:
    """Readings of what a bad request is, the likeliest first; none when treatment has more of them by none."""
    if not _has_both_arms(requests):
        return []
    if is_latency:
        ways = [Badness(bad=requests.duration_ns > limit, above_ns=limit) for limit in _slow_above_ns(requests)]
    else:
        ways = [Badness(bad=requests.is_failed, above_ns=None)]
    return [way for way in ways if _difference(requests, way.bad * 1.0) > 0]


def _slow_above_ns(requests: Requests) -> list[int]:
    """Durations that part the arms, the surest first: above them treatment has more requests than control.

    By likelihood, not by the difference of shares: that one is as noisy as the middle of the distributions is crowded.
    One from each band of the durations, as slowness may hide among requests that are slow in both arms.
    """
    order = np.argsort(requests.duration_ns, kind="stable")
    duration = requests.duration_ns[order]
    is_treatment, weight = requests.is_treatment[order], requests.weight[order]
    treatment, control = weight * is_treatment, weight * ~is_treatment
    above_1, above_0 = treatment.sum() - np.cumsum(treatment), control.sum() - np.cumsum(control)
    evidence = _evidence_of_more(above_1, treatment.sum(), above_0, control.sum())
    evidence[:-1][duration[1:] == duration[:-1]] = 0.0
    bounds = np.searchsorted(np.cumsum(weight), np.multiply(_BANDS, weight.sum()))
    best = [low + int(np.argmax(evidence[low:high])) for low, high in pairwise(bounds.tolist()) if low < high]
    best.sort(key=lambda row: -evidence[row])
    return [int(duration[row]) for row in best if evidence[row] > 0]


def _evidence_of_more(k1: Floats, n1: float, k0: Floats, n0: float) -> Floats:
    """Log-likelihood ratio of two rates against one; 0 where treatment's is not the larger."""
    apart = _log_likelihood(k1, n1) + _log_likelihood(k0, n0)
    return np.where(k1 * n0 > k0 * n1, apart - _log_likelihood(k1 + k0, n1 + n0), 0.0)


def _log_likelihood(k: Floats, n: float) -> Floats:
    k = np.clip(k, 0, n)
    likelihood: Floats = xlogy(k, k / max(n, 1e-9)) + xlogy(n - k, 1 - k / max(n, 1e-9))
    return likelihood
