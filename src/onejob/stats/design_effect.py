"""How much less a request tells than an independent one would, and how much two instances differ for good.

Requests come in clusters and instances are not alike. `phi` (the design effect) is the variance of the within-bin
residual x_i - k n_i / N between control's own instances over what independent requests would give; evidence is divided
by it. `s_b` is the between-instance standard deviation of control's log odds beyond sampling noise (DerSimonian & Laird
1986, method of moments); theta_0 is the odds ratio that so many instances may show without any change.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PRIOR_PHI = 1.5  # what a cold start assumes ...
PRIOR_BLOCKS = 30.0  # ... and how many residuals it takes to be half convinced otherwise
_MOST_HISTORY = 360  # bins of 10 s in an hour
PRIOR_SD = 0.1  # log odds; two identical processes on one machine showed 0.96 to 1.37
PRIOR_DF = 30.0
_POOLED_DF = 4.0
_QUANTILE = 0.995
_LEAST_INSTANCES = 3
_LEAST_EVENTS = 5  # of each outcome, for an instance's log odds to have a usable variance


def residual_ratio(n_i: Ints, n: Ints, k: Ints, x_i: Ints) -> tuple[float, int]:
    """Sum of squared residuals over their hypergeometric variance, and how many there were.

    n_i, x_i: requests and events of one instance in a bin; n, k: of all of control in that bin.
    """
    usable = (n > 1) & (k > 0) & (k < n) & (n_i > 0) & (n_i < n)
    if not usable.any():
        return 0.0, 0
    n_i, n, k, x_i = (a[usable].astype(float) for a in (n_i, n, k, x_i))
    variance = k * (n_i / n) * (1 - n_i / n) * (n - k) / (n - 1)
    return float(((x_i - k * n_i / n) ** 2 / variance).sum()), len(n)


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
    usable = (events >= _LEAST_EVENTS) & (requests - events >= _LEAST_EVENTS)
    if int(usable.sum()) < _LEAST_INSTANCES:
        return None
    x, n = events[usable], requests[usable]
    log_odds = np.log(x / (n - x))
    weight = 1.0 / (1 / x + 1 / (n - x))
    mean = (weight * log_odds).sum() / weight.sum()
    q = (weight * (log_odds - mean) ** 2).sum()
    spread = weight.sum() - (weight**2).sum() / weight.sum()
    return float(np.sqrt(max(0.0, (q - (len(x) - 1)) / spread))), len(x)


def log_theta_0(between: tuple[float, int] | None, control_instances: int, treatment_instances: int) -> float:
    """Log of the odds ratio that instances may show without any change.

    An estimate from few instances is often 0 by chance, so it is pooled with the prior at the weight of four more.

    >>> round(float(np.exp(log_theta_0(None, 1, 1))), 2)
    1.48
    """
    s_b, df = PRIOR_SD, PRIOR_DF
    if between is not None:
        own_df = between[1] - 1.0
        df = _POOLED_DF + own_df
        s_b = float(np.sqrt((_POOLED_DF * PRIOR_SD**2 + own_df * between[0] ** 2) / df))
    spread = np.sqrt(1 / max(1, treatment_instances) + 1 / max(1, control_instances))
    return float(student_t.ppf(_QUANTILE, df) * s_b * spread)
