"""What an undecided signal lacks: how many more requests, and how long that takes at the present traffic.

p50 assumes that there is no difference at all, p90 that the present estimate is unlucky by 1.28 standard errors. Both
are forecasts of when the interval will lie inside the tolerance, not promises; None means that more of the same
traffic will not do it (the estimate is beyond the tolerance, or so few instances may differ by more than that).
"""

import math

import numpy as np
from numpy.typing import NDArray

from onejob.model.verdict import Missing
from onejob.stats.confidence import running_mean_interval

Floats = NDArray[np.float64]

_FACTORS = np.geomspace(1.05, 2e4, 24)
_Z90 = 1.28


def missing_for_rate(
    events: tuple[int, int],
    requests: tuple[int, int],
    tolerance: float,
    *,
    high: float | None,
    alpha: float,
    phi: float,
    rate_per_s: float,
) -> Missing:
    """For a difference of rates; pairs are (control, treatment)."""
    pooled = sum(events) / max(1, sum(requests))
    typical = _factor_for_rate((pooled, pooled), requests, tolerance, alpha, phi)
    spread = _Z90 * math.sqrt(max(pooled, 1 / max(1, sum(requests))) * (1 - pooled) * phi / max(1, min(requests)))
    unlucky = _factor_for_rate((pooled, pooled + min(spread, tolerance / 2)), requests, tolerance, alpha, phi)
    return _missing(high, typical, unlucky, requests[1], rate_per_s)


def _factor_for_rate(
    rates: tuple[float, float], requests: tuple[int, int], tolerance: float, alpha: float, phi: float
) -> float | None:
    """By which factor traffic must grow until the interval of treatment - control lies under the tolerance."""
    n0, n1 = (np.maximum(1, n) * _FACTORS / phi for n in requests)
    low0, _ = running_mean_interval(n0 * rates[0], n0, alpha / 2)
    _, high1 = running_mean_interval(n1 * rates[1], n1, alpha / 2)
    enough = np.flatnonzero(high1 - low0 <= tolerance)
    return float(_FACTORS[enough[0]]) if len(enough) else None


def missing_for_ratio(
    effect: float | None, high: float | None, tolerance: float, *, floor: float, requests: int, rate_per_s: float
) -> Missing:
    """For a ratio of durations. `floor` is the log half width that instances' differences leave for good."""
    if effect is None or high is None or effect <= 0:
        return _missing(high, None, None, requests, rate_per_s)
    width = max(math.log(high / effect), 1e-9)
    room = math.log(tolerance)
    typical = _factor_for_ratio(width, room, floor)
    unlucky = _factor_for_ratio(width, room - max(0.0, math.log(effect)), floor)
    return _missing(high, typical, unlucky, requests, rate_per_s)


def _factor_for_ratio(width: float, room: float, floor: float) -> float | None:
    """The part of the width beyond the floor shrinks with the root of the requests."""
    if room <= floor:
        return None
    return max(1.05, ((max(width - floor, 1e-9)) / (room - floor)) ** 2)


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
