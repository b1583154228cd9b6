"""How much less a request tells than an independent one would, and how much two instances differ for good.

Requests come in clusters and instances are not alike. `phi` (the design effect) is the variance of the within-bin
residual x_i - k n_i / N between control's own instances over what independent requests would give; evidence is divided
by it. `s_b` is the between-instance standard deviation of control's log odds beyond sampling noise (DerSimonian & Laird
1986, method of moments); theta_0 is the odds ratio that so many instances may show without any change.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PRIOR_PHI = 1.5  # what a cold start assumes ...
PRIOR_BLOCKS = 30.0  # ... and how many residuals it takes to be half convinced otherwise
_MOST_HISTORY = 360  # bins of 10 s in an hour
PRIOR_SD = 0.1  # log odds; two identical processes on one machine showed 0.96 to 1.37
PRIOR_DF = 30.0
_POOLED_DF = 4.0
_QUANTILE = 0.995
LEAST_INSTANCES = 3
LEAST_DF = 1.0  # below it, what control's instances show of s_b is as good as nothing
_LEAST_EVENTS = 5  # of each outcome, for an instance's log odds to have a usable variance


def residual_ratios(n_i: Ints, n: Ints, k: Ints, x_i: Ints) -> tuple[Floats, NDArray[np.bool_]]:
    """Squared residuals over their hypergeometric variance, 0 where there is none, and where there is one.

    n_i, x_i: requests and events of one instance in a bin; n, k: of all of control in that bin. Any shape.
    """
    usable = (n > 1) & (k > 0) & (k < n) & (n_i > 0) & (n_i < n)
    share = n_i / np.maximum(n, 1)
    variance = np.where(usable, k * share * (1 - share) * (n - k) / np.maximum(n - 1, 1), 1.0)
    return np.where(usable, (x_i - k * share) ** 2 / variance, 0.0), usable


def phi(sum_of_ratios: float, blocks: float, history: tuple[float, int] | None = None) -> float:
    """Posterior mean of the design effect; never below 1.

    `history` is (phi, blocks) of the past. It counts as so many residuals seen before, but as no more than an hour
    of them, so that noise which is new today is believed within the day.

    >>> phi(0.0, 0), round(phi(0.0, 0, (4.0, 100_000)), 2)
    (1.5, 3.81)
    """
    total, weight = PRIOR_PHI * PRIOR_BLOCKS, PRIOR_BLOCKS
    if history is not None:
        known = float(min(history[1], _MOST_HISTORY))
        total, weight = total + history[0] * known, weight + known
    return max(1.0, (total + sum_of_ratios) / (weight + blocks))


def between_instances(events: Floats, requests: Floats) -> tuple[float, int] | None:
    """(s_b, instances used) from each control instance's totals; None with fewer than three usable ones."""
    s_b, used, _ = between_instances_each(events[:, None], requests[:, None])
    return (float(s_b[0]), int(used[0])) if used[0] >= LEAST_INSTANCES else None


def between_instances_each(events: Floats, requests: Floats) -> tuple[Floats, Ints, Floats]:
    """s_b, the instances used, and what s_b is worth in degrees of freedom, of many signals: (instances, ...) -> (...).

    With fewer than three used, s_b and its worth are 0. Totals of few events vary by chance more than instances do,
    and then say as good as nothing of s_b, least of all that it is 0: of the m - 1 degrees of freedom count
    (u / (u + v))^2, v being the mean sampling variance (Satterthwaite 1946, of a variance that is known by a
    difference). u is s_b^2 less its own standard error, lest what is large by chance be believed more, and no less than
    what a cold start assumes.
    """
    usable = (events >= _LEAST_EVENTS) & (requests - events >= _LEAST_EVENTS)
    used = usable.sum(axis=0)
    x, n = np.where(usable, events, 1.0), np.where(usable, requests, 2.0)
    log_odds = np.log(x / (n - x))
    weight = usable / (1 / x + 1 / (n - x))
    total = np.where(used, weight.sum(axis=0), 1.0)
    mean = (weight * log_odds).sum(axis=0) / total
    q = (weight * (log_odds - mean) ** 2).sum(axis=0)
    enough = used >= LEAST_INSTANCES
    spread = np.where(enough, total - (weight**2).sum(axis=0) / total, 1.0)
    s_sq = np.maximum(0.0, np.where(enough, q - (used - 1), 0.0) / spread)
    v = (used - 1) / spread
    error = (s_sq + v) * np.sqrt(2 / np.maximum(used - 1, 1))
    u = np.maximum(s_sq - error, PRIOR_SD**2)
    return np.sqrt(s_sq), used, np.where(enough, (used - 1) * (u / (u + v)) ** 2, 0.0)


def log_theta_0_each(s_b: Floats, df: Floats, control_instances: int, treatment_instances: int) -> Floats:
    """Log theta_0 of many signals at once; NaN where s_b is worth less than `LEAST_DF`.

    What a cold start assumes can raise an s_b from few instances, which is often 0 by chance, and never lowers one.
    """
    known = df >= LEAST_DF
    all_df = _POOLED_DF + np.where(known, df, 0.0)
    pooled = np.maximum(s_b, np.sqrt((_POOLED_DF * PRIOR_SD**2 + df * s_b**2) / all_df))
    theta: Floats = stdtrit(all_df, _QUANTILE) * pooled * _spread(control_instances, treatment_instances)
    return np.where(known, theta, np.nan)


def log_theta_0(
    between: tuple[float, int] | None, control_instances: int, treatment_instances: int, *, prior_sd: float = PRIOR_SD
) -> float:
    """Log of the odds ratio that instances may show without any change.

    An estimate from few instances is often 0 by chance, so it is pooled with the prior at the weight of four more.

    >>> round(float(np.exp(log_theta_0(None, 1, 1))), 2)
    1.48
    """
    s_b, df = prior_sd, PRIOR_DF
    if between is not None:
        own_df = between[1] - 1.0
        df = _POOLED_DF + own_df
        s_b = float(np.sqrt((_POOLED_DF * prior_sd**2 + own_df * between[0] ** 2) / df))
    return _t_quantile(df) * s_b * _spread(control_instances, treatment_instances)


def _spread(control_instances: int, treatment_instances: int) -> float:
    return float(np.sqrt(1 / max(1, treatment_instances) + 1 / max(1, control_instances)))


@cache
def _t_quantile(df: float) -> float:
    return float(stdtrit(df, _QUANTILE))
