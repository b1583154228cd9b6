"""What a series would have done if nothing had changed, from its own past.

Problem: without a control that serves at the same moment, the past is all there is to compare with, and the past has
days, weeks, growth and outages in it.

Solution: the expectation at time t is the median over 1, 2, 3, 7 and 14 days back of what was seen at the same clock
time (+-15 minutes), carried to the present level by the last two hours before the change. The median forgives an outage
on one of the days; the level follows growth, and a Monday that is no Sunday. Where no day back is known, the season is
flat, and the level is all the expectation rests on. How good an expectation is is never assumed: `scan` measures it
on moments of the past at which nothing changed.

A series is events over an exposure, in equal steps: failed requests over requests, slow requests over requests, or a
value over 1. Where the exposure is 0, nothing is known. Of counts, the level is a factor; of values, a shift.

Symbols: x = events, n = exposure, s = season (expected events per exposure), c = level, e = c n s (counts) or
n (s + c) (values), r = x - e, v = variance of r if steps were independent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_S = 86_400
DAYS_BACK = (1, 2, 3, 7, 14)
CLOCK_S = 900  # the same clock time is +- so much: a step is noisy, an hour is another hour
LEVEL_S = 7_200
# What the last two hours say of the level of counts is weighed against "no change" as so many events would: with
# five, two hours without an error do not make the next error impossible.
_LEVEL_PRIOR = 5.0


@dataclass(frozen=True, slots=True)
class Series:
    """`events`, `exposure` of shape (steps,); `variance`: of a value per step if not 1, None for counts.

    The steps to be judged are part of the arrays, with exposure 0 while they are to come.
    """

    events: Floats
    exposure: Floats
    step_s: int
    is_count: bool = True
    variance: Floats | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """What control series did meanwhile (`stats.controls`): per width of windows, in steps, their factor and its
    spread, each of shape (moments, windows).
    """

    moved: Mapping[int, tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True)
class Residuals:
    """r, v and e of windows that begin at different moments: shape (moments, horizon).

    `least` is the least variance of a sum: 1 for counts, whose expectation is never known to be zero. With `beside`,
    sums are of what is beyond it.
    """

    r: Floats
    v: Floats
    expected: Floats
    least: float
    beside: Beside | None = None


def seasonal(series: Series) -> Floats:
    """s at every step; NaN where no day back is known. Shape (steps,)."""
    x, n = (_around(a, round(CLOCK_S / series.step_s)) for a in (series.events, series.exposure))
    rates = _shrunk(x, n, series) if series.is_count else _ratio(x, n)
    back = [_days_ago(rates, days * DAY_S // series.step_s) for days in DAYS_BACK]
    return median_of_known(np.array(back))


def days_known(series: Series, at: int) -> tuple[int, ...]:
    """Which days back tell of the step `at`."""
    n = _around(series.exposure, round(CLOCK_S / series.step_s))
    lags = [(days, at - days * DAY_S // series.step_s) for days in DAYS_BACK]
    return tuple(days for days, then in lags if then >= 0 and n[then] > 0)


def flat(series: Series) -> Floats:
    """s where no season is known: the same at every step."""
    x, n = (np.array([a.sum()]) for a in (series.events, series.exposure))
    rate = _shrunk(x, n, series) if series.is_count else np.nan_to_num(_ratio(x, n))
    return np.full(len(series.events), float(rate[0]))


def residuals(series: Series, season: Floats, starts: Ints, *, gap: int, horizon: int) -> Residuals:
    """What was seen beyond what was expected, had a change begun at each of `starts`.

    The level is that of the two hours before a start; the `horizon` steps judged begin `gap` steps after it. Raises
    IndexError when a window does not lie within the series.
    """
    if len(starts) and (starts.min() < 0 or starts.max() + gap + horizon > len(series.events)):
        raise IndexError(f"a window of {gap} + {horizon} steps does not fit into {len(series.events)}")
    level = _levels(series, season, starts)
    at = starts[:, None] + gap + np.arange(horizon)[None, :]
    x, n, s = series.events[at], series.exposure[at], np.nan_to_num(season[at])
    if series.is_count:
        e = level[:, None] * n * s
        return Residuals(x - e, e * (1 - np.minimum(level[:, None] * s, 0.99)), e, least=1.0)
    e = n * (s + level[:, None])
    v = (np.ones(at.shape) if series.variance is None else series.variance[at]) * (n > 0)
    return Residuals((x - e) * (n > 0), v, e, least=0.0)


def _levels(series: Series, season: Floats, starts: Ints) -> Floats:
    """c of each start; no change where nothing is known."""
    steps = round(LEVEL_S / series.step_s)
    known = (series.exposure > 0) & np.isfinite(season)
    x = np.where(known, series.events, 0.0)
    n = np.where(known, series.exposure, 0.0)
    e = np.where(known, season, 0.0) * n
    seen, expected, exposure = (_before(a, starts, steps) for a in (x, e, n))
    if series.is_count:
        return (seen + _LEVEL_PRIOR) / (expected + _LEVEL_PRIOR)
    return np.where(exposure > 0, (seen - expected) / np.maximum(exposure, 1e-300), 0.0)


def _before(values: Floats, starts: Ints, steps: int) -> Floats:
    total = np.concatenate([[0.0], np.cumsum(values)])
    result: Floats = total[starts] - total[np.maximum(starts - steps, 0)]
    return result


def _around(values: Floats, half: int) -> Floats:
    """Centred moving sums over 2 half + 1 steps, shorter at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    result: Floats = total[np.minimum(at + half + 1, len(values))] - total[np.maximum(at - half, 0)]
    return result


def _ratio(x: Floats, n: Floats) -> Floats:
    return np.where(n > 0, x / np.maximum(n, 1e-300), np.nan)


def _shrunk(x: Floats, n: Floats, series: Series) -> Floats:
    """Rates of a few minutes lean on the rate of all the past with the weight of one event; none seen is not never."""
    total = float(series.exposure.sum())
    overall = max(float(series.events.sum()), 0.5) / max(total, 1.0)
    return np.where(n > 0, (x + 1) / (n + 1 / overall), np.nan)


def _days_ago(values: Floats, lag: int) -> Floats:
    out = np.full(len(values), np.nan)
    if 0 < lag < len(values):
        out[lag:] = values[:-lag]
    return out


def median_of_known(rows: Floats) -> Floats:
    """Median of the known values per column; NaN where there is none. numpy's own is slow and warns."""
    ordered = np.sort(rows, axis=0)  # NaN go last
    known = np.isfinite(rows).sum(axis=0)
    columns = np.arange(rows.shape[1])
    low, high = ordered[np.maximum(known - 1, 0) // 2, columns], ordered[known // 2, columns]
    return np.where(known > 0, (low + high) / 2, np.nan)


def moments(known: Sequence[bool] | NDArray[np.bool_], first: int, last: int, stride: int) -> Ints:
    """Every `stride`-th step in [first, last], counted back from the last, at which `known` holds."""
    at = np.arange(last, first - 1, -stride, dtype=np.int64)[::-1]
    result: Ints = at[np.asarray(known, dtype=bool)[at]] if len(at) else at
    return result
