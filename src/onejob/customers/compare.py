"""Is a version worse for one customer than what this customer had before?

Problem: among a thousand customers some always look bad, whoever looks again and again finds one, and the requests of
one customer fail together. Solution: an interval per customer that holds at every look (`stats/confidence.py`) and for
all customers at once (each gets its share of alpha, by Bonferroni), from as many requests as they are worth: their
number is divided by the design effect phi, how much more the ten-minute bins differ than independent requests would.

- errors: the difference of the rates lies between the ends of both rates' intervals;
- p95: the 0.95-quantile lies above every duration that surely more than 5 % of the requests exceed, and below every
  one that surely fewer exceed; the ratio lies between the ends of both quantiles' intervals.

Symbols: alpha_i = alpha / (customers * 2 signals * 2 sides); phi = (sum over bins of n (mean - mean of all)^2) /
((bins - 1) variance), of both sides together (Kish 1965); n_eff = (sum w)^2 / (sum w^2) / phi where a span stands for w
requests.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onejob.model.customer import (
    ComparedCustomer,
    CustomerChange,
    Rates,
    ServedCustomer,
    ServedSide,
    ServedStep,
)
from onejob.model.verdict import State
from onejob.stats import histogram
from onejob.stats.confidence import count_bounds, running_mean_interval

Floats = NDArray[np.float64]

_Q = 0.95
_SIGNALS, _SIDES = 2, 2
# Below, a customer's own bins say too little of how unlike they are: those of all are asked too, and at least that is
# taken which a page with a few requests, or somebody who tries again, makes of them.
_ENOUGH_FREEDOM = 5
_PHI_UNLESS_KNOWN = 3.0
_RANK = {State.WORSE: 0, State.UNDECIDED: 1, State.NO_WORSE: 2, State.BETTER: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """As for verdicts: a rise of the error rate, as a difference or as a ratio (the larger), and a ratio of the p95."""

    errors: float
    errors_ratio: float
    tail: float


def compare(
    found: Sequence[ServedCustomer], customers: int, tolerances: Tolerances, alpha: float
) -> list[ComparedCustomer]:
    """Most affected first: the worse, then the undecided, as they come in. `customers` is how many there are in all."""
    if not found:
        return []
    share = alpha / (max(customers, len(found)) * _SIGNALS * _SIDES)
    errors = _errors(found, tolerances, share)
    latency = _latency(found, tolerances, share)
    compared = [
        ComparedCustomer(
            customer=one.customer,
            state=_together(failed, slow),
            new=rates(one.new),
            old=rates(one.old),
            errors=failed,
            latency_p95=slow,
        )
        for one, failed, slow in zip(found, errors, latency, strict=True)
    ]
    return sorted(compared, key=lambda one: _RANK[one.state])


def rates(side: ServedSide | ServedStep) -> Rates:
    """What is shown of a side, or of a step."""
    counts = dense(side.buckets, side.zeros)
    return Rates(
        requests=round(side.adjusted),
        errors=round(side.adjusted_errors),
        error_rate=side.adjusted_errors / side.adjusted if side.adjusted else None,
        p50_s=histogram.quantile_s(counts, 0.5),
        p95_s=histogram.quantile_s(counts, _Q),
    )


def dense(buckets: Mapping[int, int], zeros: int) -> histogram.Counts:
    """A histogram of length `histogram.SIZE`."""
    counts = np.zeros(histogram.SIZE, dtype=np.int64)
    counts[0] = zeros
    if buckets:
        at = histogram.position(np.fromiter(buckets.keys(), dtype=np.int64))
        np.add.at(counts, at, np.fromiter(buckets.values(), dtype=np.int64))
    return counts


def _together(*changes: CustomerChange) -> State:
    states = {change.state for change in changes}
    for state in (State.WORSE, State.UNDECIDED, State.BETTER):
        if state in states:
            return state
    return State.NO_WORSE


def _errors(found: Sequence[ServedCustomer], tolerances: Tolerances, share: float) -> list[CustomerChange]:
    phi = _phi(found, lambda side: (side.errors, side.errors, side.failing, side.count))
    ends = []
    for side in ([one.new for one in found], [one.old for one in found]):
        rate = np.array([s.adjusted_errors / s.adjusted if s.adjusted else 0.0 for s in side])
        worth = np.array([_worth(s) for s in side]) / phi
        ends.append((rate, *running_mean_interval(rate * worth, worth, share), worth))
    (new, new_low, new_high, _), (old, old_low, old_high, past) = ends
    changes = []
    for i, one in enumerate(found):
        if past[i] <= 0 or _is_chosen(one):
            changes.append(_NOT_KNOWN)
            continue
        tolerance = max(tolerances.errors, (tolerances.errors_ratio - 1) * float(old[i]))
        low, high = float(new_low[i] - old_high[i]), float(new_high[i] - old_low[i])
        changes.append(_change(float(new[i] - old[i]), low, high, same=0.0, tolerance=tolerance))
    return changes


def _latency(found: Sequence[ServedCustomer], tolerances: Tolerances, share: float) -> list[CustomerChange]:
    phi = _phi(found, lambda side: (side.logs, _squares(side), side.between, side.count - side.zeros))
    ends = []
    for side in ([one.new for one in found], [one.old for one in found]):
        counts = np.stack([dense(s.buckets, s.zeros) for s in side])
        ends.append(_quantile_ends(counts, counts.sum(axis=1) / phi, share))
    (new_low, new_high), (old_low, old_high) = ends
    changes = []
    for i, one in enumerate(found):
        new, old = rates(one.new).p95_s, rates(one.old).p95_s
        if not new or not old or _is_chosen(one):
            changes.append(_NOT_KNOWN)
            continue
        low = float(new_low[i] / old_high[i])
        high = float(new_high[i] / old_low[i]) if old_low[i] > 0 else np.inf
        changes.append(_change(new / old, low, high, same=1.0, tolerance=tolerances.tail))
    return changes


def _quantile_ends(counts: histogram.Counts, worth: Floats, share: float) -> tuple[Floats, Floats]:
    """[low, high] of each row's 0.95-quantile in seconds; 0 and infinity where it may be anything."""
    total = np.maximum(counts.sum(axis=1), 1)
    beyond = (total[:, None] - counts.cumsum(axis=1)) * (worth / total)[:, None]
    fewest, most = count_bounds(worth, 1 - _Q, share)
    edges = 2.0 ** ((np.arange(histogram.SIZE) + histogram.LOWEST + 1) / histogram.PER_OCTAVE)
    above = (beyond > most[:, None]).sum(axis=1)  # falls along the buckets: so many of them come first
    below = (beyond >= fewest[:, None]).sum(axis=1)
    low = np.where(above > 0, edges[np.maximum(above - 1, 0)], 0.0)
    high = np.where(below < histogram.SIZE, edges[np.minimum(below, histogram.SIZE - 1)], np.inf)
    return low, high


def _change(effect: float, low: float, high: float, *, same: float, tolerance: float) -> CustomerChange:
    if low > tolerance:
        state = State.WORSE
    elif high < same:
        state = State.BETTER
    else:
        state = State.NO_WORSE if high <= tolerance else State.UNDECIDED
    ends = (low if low > -np.inf else None, high if high < np.inf else None)
    return CustomerChange(state=state, effect=effect, low=ends[0], high=ends[1])


_NOT_KNOWN = CustomerChange(state=State.UNDECIDED, effect=None, low=None, high=None)


def _is_chosen(one: ServedCustomer) -> bool:
    """Were spans kept by how they ended? Then their rates are not those of the requests."""
    return one.new.tail_sampled > 0 or one.old.tail_sampled > 0


def _worth(side: ServedSide) -> float:
    """As many equally weighted spans."""
    return side.adjusted**2 / side.adjusted_sq if side.adjusted_sq else 0.0


def _squares(side: ServedSide) -> float:
    """Sum of the squares of log2 of the durations, from the middles of their buckets."""
    return sum(count * ((bucket + 0.5) / histogram.PER_OCTAVE) ** 2 for bucket, count in side.buckets.items())


Sums = Callable[[ServedSide], tuple[float, float, float, int]]  # sum, sum of squares, sum of (bin's sum)^2 / n, n


def _phi(found: Sequence[ServedCustomer], sums: Sums) -> Floats:
    """The design effect per customer: at least 1."""
    excess, expected, freedom = np.array([_spread(one, sums) for one in found]).T
    of_all = excess.sum() / expected.sum() if expected.sum() > 0 else 1.0
    own = np.divide(excess, expected, out=np.ones_like(excess), where=expected > 0)
    unless_known = np.maximum(own, max(of_all, _PHI_UNLESS_KNOWN))
    phi: Floats = np.maximum(1.0, np.where(freedom < _ENOUGH_FREEDOM, unless_known, own))
    return phi


def _spread(one: ServedCustomer, sums: Sums) -> tuple[float, float, float]:
    """Between the bins of each side, and what independent requests would have; with the degrees of freedom."""
    excess = expected = freedom = 0.0
    for side in (one.new, one.old):
        total, squares, between, n = sums(side)
        if n == 0 or side.bins < 2:
            continue
        variance = max(squares / n - (total / n) ** 2, 0.0)
        excess += max(between - total**2 / n, 0.0)
        expected += variance * (side.bins - 1)
        freedom += side.bins - 1 if variance > 0 else 0
    return excess, expected, freedom
