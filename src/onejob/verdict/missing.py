"""What an undecided signal lacks: how many more requests, and how long that takes at the present traffic.

p50 assumes that there is no difference at all, p90 that the present estimate is unlucky by 1.28 standard errors. Both
are forecasts of when the interval will lie inside the tolerance, not promises; None means that more of the same
traffic will not do it (the estimate is beyond the tolerance, or so few instances may differ by more than that).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onejob.model.verdict import Missing
from onejob.stats.confidence import running_mean_high, running_mean_low

Floats = NDArray[np.float64]

# Factors by which traffic may have to grow, looked for in two steps: to within a factor of 3, then to within 20 %.
_COARSE = np.geomspace(1.05, 2e4, 10)
_FINE = np.geomspace(1 / 3, 1.0, 7)
_EACH = np.geomspace(1.05, 2e4, 55)  # the same, where there is one row only
_Z90 = 1.28


@dataclass(frozen=True, slots=True)
class Rates:
    """Rows of yes/no signals as columns; `events` and `requests` have shape (rows, 2): control, treatment.

    `shown` are treatment's requests; where spans are sampled, `requests` are those that stand for them.
    """

    events: Floats
    requests: Floats
    tolerance: Floats
    phi: Floats
    shown: Floats


def missing_for_rates(
    rates: Rates, highs: Sequence[float | None], rates_per_s: Sequence[float], alpha: float
) -> list[Missing]:
    """For differences of rates, all rows at once."""
    if not len(rates.tolerance):
        return []
    total = np.maximum(1.0, rates.requests.sum(axis=1))
    pooled = rates.events.sum(axis=1) / total
    variance = np.maximum(pooled, 1 / total) * (1 - pooled) * rates.phi / np.maximum(1.0, rates.requests.min(axis=1))
    unlucky = np.minimum(1.0, pooled + np.minimum(_Z90 * np.sqrt(variance), rates.tolerance / 2))
    factors = _factors_for_rates(_twice(rates), np.tile(pooled, 2), np.concatenate([pooled, unlucky]), alpha)
    typical, most = factors[: len(pooled)], factors[len(pooled) :]
    return [
        _missing(high, likely, at_most, int(n1), rate)
        for high, likely, at_most, n1, rate in zip(highs, typical, most, rates.shown, rates_per_s, strict=True)
    ]


def _twice(rates: Rates) -> Rates:
    """For both forecasts: asked for at once they take half the time, as a look has few rows."""
    columns = (rates.events, rates.requests, rates.tolerance, rates.phi, rates.shown)
    return Rates(*(np.concatenate([values, values]) for values in columns))


def _factors_for_rates(rates: Rates, control: Floats, treatment: Floats, alpha: float) -> list[float | None]:
    """By which factor traffic must grow until the interval of treatment - control lies under the tolerance."""
    coarse = np.broadcast_to(_COARSE, (len(control), len(_COARSE)))
    is_enough = _excludes(rates, control, treatment, coarse, alpha)
    found = np.where(is_enough.any(axis=1), _COARSE[is_enough.argmax(axis=1)], np.nan)
    known = np.flatnonzero(np.isfinite(found))
    if len(known):
        fine = np.maximum(_COARSE[0], found[known, None] * _FINE)
        some = Rates(
            *(values[known] for values in (rates.events, rates.requests, rates.tolerance, rates.phi, rates.shown))
        )
        is_enough = _excludes(some, control[known], treatment[known], fine, alpha)
        is_enough[:, -1] = True  # the coarse step found it so
        found[known] = fine[np.arange(len(known)), is_enough.argmax(axis=1)]
    return [float(factor) if np.isfinite(factor) else None for factor in found]


def _excludes(rates: Rates, control: Floats, treatment: Floats, factors: Floats, alpha: float) -> NDArray[np.bool_]:
    """With so many times the requests, does the interval of treatment - control lie under the tolerance?"""
    n0, n1 = (np.maximum(1.0, rates.requests[:, arm, None]) * factors / rates.phi[:, None] for arm in (0, 1))
    low = running_mean_low((n0 * control[:, None]).ravel(), n0.ravel(), alpha / 2)
    high = running_mean_high((n1 * treatment[:, None]).ravel(), n1.ravel(), alpha / 2)
    result: NDArray[np.bool_] = (high - low).reshape(factors.shape) <= rates.tolerance[:, None]
    return result


def missing_for_share(
    share: float,
    requests: tuple[int, int],
    high: float | None,
    tolerance: float,
    *,
    phi: float,
    rate_per_s: float,
    alpha: float,
) -> Missing:
    """For answers missing from a declared share of all requests; `requests` are those of control and treatment."""
    total, answered = sum(requests), requests[1]
    if answered / total < share * (1 - tolerance):
        return _missing(high, None, None, answered, rate_per_s)
    error = math.sqrt(share * (1 - share) * phi / total)
    unlucky = share - min(_Z90 * error, share * tolerance / 2)
    typical, most = (_factor_for_share(p, share, total / phi, tolerance, alpha) for p in (share, unlucky))
    return _missing(high, typical, most, answered, rate_per_s)


def _factor_for_share(p: float, share: float, total: float, tolerance: float, alpha: float) -> float | None:
    """By which factor traffic must grow to exclude that more than the tolerance is missing, if p of it is answered."""
    low = running_mean_low(p * total * _EACH, total * _EACH, alpha)
    is_enough = 1 - low / share <= tolerance
    return float(_EACH[is_enough.argmax()]) if is_enough.any() else None


def missing_for_ratio(
    effect: float | None, high: float | None, tolerance: float, *, floor: float, requests: int, rate_per_s: float
) -> Missing:
    """For a ratio of durations. `floor` is the log half width that instances' differences leave for good."""
    if effect is None or high is None or not 0 < effect < math.inf:
        return _missing(high, None, None, requests, rate_per_s)
    width = max(math.log(high / effect), 1e-9)
    room = math.log(tolerance)
    typical = _factor_for_ratio(width, room, floor)
    unlucky = _factor_for_ratio(width, room - max(0.0, math.log(effect)), floor)
    return _missing(high, typical, unlucky, requests, rate_per_s)


def _factor_for_ratio(width: float, room: float, floor: float) -> float | None:
    found = factor_for_ratio(width, room, floor)
    return None if found is None else max(1.05, found)


def factor_for_ratio(width: float, room: float, floor: float) -> float | None:
    """By which factor traffic must grow (below 1: it is more than enough) for a log half width to fit into the room.

    The part of the width beyond the floor shrinks with the root of the requests.
    """
    return None if room <= floor else (max(width - floor, 1e-9) / (room - floor)) ** 2


def _missing(
    high: float | None, typical: float | None, unlucky: float | None, requests: int, rate_per_s: float
) -> Missing:
    more = None if typical is None else math.ceil(max(1, requests) * (typical - 1))
    most = None if unlucky is None else math.ceil(max(1, requests) * (unlucky - 1))
    return Missing(
        largest_excluded=high,
        requests=more,
        seconds_p50=None if more is None or rate_per_s <= 0 else more / rate_per_s,
        seconds_p90=None if most is None or rate_per_s <= 0 else max(most, more or 0) / rate_per_s,
    )
