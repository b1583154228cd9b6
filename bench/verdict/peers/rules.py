"""When each peer would have called the deployment worse, looking once a minute; None for never.

Each is run as its users run it: on the whole service, its metrics being p50, p95, p99 and the error rate of a minute.
"""

from collections.abc import Callable

import numpy as np
from bench.verdict.peers.kayenta import CONFIDENCE, Class, Rule
from bench.verdict.peers.series import MINUTE, Series
from numpy.typing import NDArray
from scipy.special import betaln
from scipy.stats import norm

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Peer = Callable[[Series], int | None]

ALPHA = 0.01
QUANTILES = (0.5, 0.95, 0.99)
TOLERANCES = (1.05, 1.10, 1.10, 1.5)  # ours, for those that need one
LEAST_MINUTES = 10  # before that Kayenta's users would not ask it
FAILURE_LIMIT = 3


def metrics(series: Series) -> list[Floats]:
    """Shape (arm, minute) each."""
    return [*(series.quantile_ms(q) for q in QUANTILES), series.error_rate()]


def kayenta(series: Series, effect_sizes: tuple[float, ...] = (1.0,) * 4) -> int | None:
    """Kayenta's rule on all minutes so far, at each minute: the first at which any metric is High."""
    found = [
        _kayenta_on(values, Rule(direction="Increase", effect_sizes=(1 / size, size)))
        for values, size in zip(metrics(series), effect_sizes, strict=True)
    ]
    return min((at for at in found if at is not None), default=None)


def kayenta_sized(series: Series) -> int | None:
    """The same, but only differences beyond our tolerances count."""
    return kayenta(series, TOLERANCES)


def _kayenta_on(values: Floats, rule: Rule) -> int | None:
    control, experiment = values
    z = running_z(experiment, control)
    level = float(norm.ppf((1 + CONFIDENCE) / 2))
    # High needs the shift's interval above a quarter of the estimate. z falls from its value here to 0 at the estimate,
    # so a quarter of the way it has lost a quarter, give or take: below 1.1 times the level there is no need to look.
    minutes = np.arange(len(z))
    near = (z > level) & (minutes + 1 >= LEAST_MINUTES) & ((z > 1.1 * level) | (minutes < 200))
    near &= ~(_running_ratio(experiment, control) < rule.effect_sizes[1])
    for at in np.flatnonzero(near):
        if rule.classify(control[: at + 1], experiment[: at + 1]) is Class.HIGH:
            return int(at + 1) * MINUTE
    return None


def _running_ratio(x: Floats, y: Floats) -> Floats:
    """Ratio of the means of all values so far; NaN where either is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [np.nancumsum(v) / np.cumsum(~np.isnan(v)) for v in (x, y)]
        return np.where(means[0] * means[1] == 0, np.nan, means[0] / means[1])


def running_z(x: Floats, y: Floats) -> Floats:
    """Mann-Whitney's z (with continuity and tie correction) of x against y, of all their first n values, for each n."""
    seen_x, seen_y = (np.cumsum(~np.isnan(v)).astype(float) for v in (x, y))
    with np.errstate(invalid="ignore"):
        wins = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    both = np.tril(wins).sum(axis=1) + np.triu(wins, 1).sum(axis=0)  # x_n against y_1..n, and x_1..n-1 against y_n
    surplus = np.cumsum(both) - seen_x * seen_y / 2
    total = seen_x + seen_y
    ties = _running_ties(x, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = seen_x * seen_y / 12 * (total + 1 - ties / (total * (total - 1)))
        z = (surplus - np.sign(surplus) / 2) / np.sqrt(variance)
    return np.where(variance > 0, z, 0.0)


def _running_ties(x: Floats, y: Floats) -> Floats:
    """Sum of t^3 - t over groups of t equal values, among the first n of both."""
    values = np.stack([x, y], axis=1).ravel()
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    group = np.maximum.accumulate(np.where(first, np.arange(len(values)), 0))
    before = np.empty(len(values))
    before[order] = np.arange(len(values)) - group  # how many equal ones came earlier
    growth = np.where(np.isnan(values), 0.0, 3 * before**2 + 3 * before)
    return np.cumsum(growth)[1::2]


def argo(series: Series) -> int | None:
    """A threshold on the last minute, relative to control, as an Argo Rollouts analysis with failureLimit 3.

    Fails at the fourth failed measurement: a metric beyond our tolerance, the error rate by 0.1 points at least.
    """
    with np.errstate(invalid="ignore"):
        failed = [
            values[1] > np.maximum(values[0] * tolerance, values[0] + (0.001 if tolerance == TOLERANCES[-1] else 0.0))
            for values, tolerance in zip(metrics(series), TOLERANCES, strict=True)
        ]
    over = [np.flatnonzero(np.cumsum(each) > FAILURE_LIMIT) for each in failed]
    return min((int(at[0] + 1) * MINUTE for at in over if len(at)), default=None)


def mann_whitney(series: Series, alpha: float = ALPHA) -> int | None:
    """Mann-Whitney on all requests' durations so far, and a z-test on errors, one-sided at alpha / 2 each, repeated."""
    level = float(norm.ppf(1 - alpha / 2))
    below = np.cumsum(series.durations, axis=1).astype(float)
    (n0, n1), ties = below.sum(axis=2), below.sum(axis=0)
    smaller = np.cumsum(below[0], axis=1) - below[0] / 2
    surplus = (below[1] * smaller).sum(axis=1) - n0 * n1 / 2
    total = n0 + n1
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = n0 * n1 / 12 * (total + 1 - (ties**3 - ties).sum(axis=1) / (total * (total - 1)))
        z = np.where(variance > 0, surplus / np.sqrt(variance), 0.0)
    return _first((z > level) | (_errors_z(series) > level))


def _errors_z(series: Series) -> Floats:
    n, x = (np.cumsum(v, axis=1).astype(float) for v in (series.requests, series.errors))
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = x.sum(axis=0) / n.sum(axis=0)
        z = (x[1] / n[1] - x[0] / n[0]) / np.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1]))
    return np.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0)


def quantile_band(series: Series, alpha: float = ALPHA) -> int | None:
    """Time-uniform bands of both arms' distributions, as in Lindon et al. (KDD 2022); a multinomial test for errors.

    Worse once treatment's band lies wholly right of control's at some duration. Half of alpha for durations, half of
    that for each band; half for errors.
    """
    below = np.cumsum(series.durations, axis=1)
    n = below.sum(axis=2)
    distribution = np.cumsum(below, axis=2) / np.maximum(n, 1)[:, :, None]
    gap = (distribution[0] - distribution[1]).max(axis=1)
    width = band(n[0], alpha / 4) + band(n[1], alpha / 4)
    return _first((gap > width) | (_multinomial(series) >= np.log(2 / alpha)))


def band(n: Ints, alpha: float, since: int = 32) -> Floats:
    """Half width of a band that holds the distribution at all n >= since with probability 1 - alpha.

    Howard & Ramdas (2022), the closed form after Theorem 2, with A = 0.85: sqrt(A^2 (log log(e n / m) + 0.8 log(1612 /
    alpha)) / n), m = `since`. Infinite before.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        inner = np.log(np.log(np.e * np.maximum(n, since) / since)) + 0.8 * np.log(1612 / alpha)
        return np.where(n >= since, 0.85 * np.sqrt(inner / np.maximum(n, 1)), np.inf)


def _multinomial(series: Series) -> Floats:
    """Log Bayes factor of a Beta(2 pi, 2 (1 - pi)) prior for treatment's share of errors against its share pi of
    requests (Lindon & Malek 2022), where that share is the larger one."""
    n, x = (np.cumsum(v, axis=1).astype(float) for v in (series.requests, series.errors))
    k = x.sum(axis=0)
    share = np.clip(n[1] / np.maximum(n.sum(axis=0), 1), 1e-6, 1 - 1e-6)
    a, b = 2 * share, 2 * (1 - share)
    factor = betaln(a + x[1], b + x[0]) - betaln(a, b) - x[1] * np.log(share) - x[0] * np.log1p(-share)
    return np.where(x[1] > k * share, factor, -np.inf)


def _first(flags: NDArray[np.bool_]) -> int | None:
    at = np.flatnonzero(flags)
    return int(at[0] + 1) * MINUTE if len(at) else None


PEERS: dict[str, Peer] = {
    "Kayenta each minute": kayenta,
    "Kayenta with effect sizes": kayenta_sized,
    "threshold, failureLimit 3": argo,
    "repeated Mann-Whitney": mann_whitney,
    "quantile band (KDD'22)": quantile_band,
}
