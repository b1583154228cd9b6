"""A time-uniform confidence sequence for the running mean of yes/no outcomes.

For any lambda, exp(lambda S - n log(1 + p (e^lambda - 1))) stays, with p the running mean of the outcomes' own
probabilities, below a non-negative supermartingale that starts at 1 (log is concave: Jensen). The average over a fixed
grid of lambdas exceeds 1/alpha at some time with probability at most alpha (Ville), so the p for which it has not are
a confidence set at every look at once. Cf. Howard, Ramdas, McAuliffe, Sekhon (2021), sub-Bernoulli case.

Symbols: S = events, n = requests (both divided by the design effect phi), p = the running mean.
"""

import numpy as np
from numpy.typing import NDArray

from onejob.stats.mixture import log_mean

Floats = NDArray[np.float64]

# From differences that need 10^5 requests to be seen, to "never happens": e^-12 is no event at all.
_STEPS = np.geomspace(0.01, 12.0, 28)
_BISECTIONS = 26  # to 1.5e-8


def running_mean_interval(events: Floats, requests: Floats, alpha: float) -> tuple[Floats, Floats]:
    """[low, high] in 0..1 for each pair; [0, 1] where there are no requests. Shapes (n,) -> (n,), (n,)."""
    low = _boundary(events, requests, alpha, _STEPS[None, :], upper=False)
    high = _boundary(events, requests, alpha, -_STEPS[None, :], upper=True)
    return low, high


def _boundary(events: Floats, requests: Floats, alpha: float, lambdas: Floats, *, upper: bool) -> Floats:
    """The outermost p that is not excluded, by bisection between the observed mean and the end of 0..1."""
    seen = requests > 0
    mean = np.where(seen, events / np.where(seen, requests, 1.0), 1.0 if upper else 0.0)
    inside, outside = mean.copy(), np.full_like(mean, 1.0 if upper else 0.0)
    limit = np.log(2.0 / alpha)  # half of alpha for each end
    for _ in range(_BISECTIONS):
        middle = (inside + outside) / 2
        excluded = _log_mixture(events, requests, middle, lambdas) >= limit
        inside, outside = np.where(excluded, inside, middle), np.where(excluded, middle, outside)
    return np.where(seen, outside, 1.0 if upper else 0.0)


def _log_mixture(events: Floats, requests: Floats, p: Floats, lambdas: Floats) -> Floats:
    log_growth = np.log1p(p[:, None] * np.expm1(lambdas))
    log_e = lambdas * events[:, None] - requests[:, None] * log_growth
    return log_mean(log_e, axis=1)
