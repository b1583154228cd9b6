"""A time-uniform confidence sequence for the running mean of yes/no outcomes.

For any lambda, exp(lambda S - n log(1 + p (e^lambda - 1))) stays, with p the running mean of the outcomes' own
probabilities, below a non-negative supermartingale that starts at 1 (log is concave: Jensen). The average over a fixed
grid of lambdas exceeds 1/alpha at some time with probability at most alpha (Ville), so the p for which it has not are
a confidence set at every look at once. Cf. Howard, Ramdas, McAuliffe, Sekhon (2021), sub-Bernoulli case.

Symbols: S = events, n = requests (both divided by the design effect phi), p = the running mean.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# From differences that need 10^5 requests to be seen, to "never happens": e^-12 is no event at all.
_STEPS = np.geomspace(0.01, 12.0, 28)
_PRECISE = 1e-7  # a ten-thousandth of the smallest tolerance anybody sets
_HALVINGS = 40
_STEPS_OF_NEWTON = 8  # four are usual; few requests may stay a little further out


def running_mean_interval(events: Floats, requests: Floats, alpha: float) -> tuple[Floats, Floats]:
    """[low, high] in 0..1 for each pair; [0, 1] where there are no requests. Shapes (n,) -> (n,), (n,)."""
    return running_mean_low(events, requests, alpha), running_mean_high(events, requests, alpha)


def running_mean_low(events: Floats, requests: Floats, alpha: float) -> Floats:
    """The low end of `running_mean_interval` alone, which takes half the time."""
    return _boundary(events, requests, alpha, _STEPS, upper=False)


def running_mean_high(events: Floats, requests: Floats, alpha: float) -> Floats:
    """The high end of `running_mean_interval` alone, which takes half the time."""
    return _boundary(events, requests, alpha, -_STEPS, upper=True)


def count_bounds(requests: Floats, probability: float, alpha: float) -> tuple[Floats, Floats]:
    """[fewest, most] events of so many requests that leave the probability in `running_mean_interval`; shape (n,) each.

    Real numbers. Where no number of events would exclude it, the bound is infinite: that is so for few requests.
    """
    fewest = _turning(requests, probability, alpha, -_STEPS, np.zeros_like(requests))
    return fewest, _turning(requests, probability, alpha, _STEPS, requests)


def _turning(n: Floats, probability: float, alpha: float, lambdas: Floats, outside: Floats) -> Floats:
    """The number of events, between the expected one and `outside`, at which the evidence reaches the limit."""
    p, limit = np.full_like(n, probability), np.log(2.0 / alpha)
    inside = n * probability
    never = (n <= 0) | (_excess(outside, n, p, lambdas, limit)[0] < 0)
    end = np.copysign(np.inf, lambdas[0])
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        is_beyond = _excess(middle, n, p, lambdas, limit)[0] >= 0
        inside, outside = np.where(is_beyond, inside, middle), np.where(is_beyond, middle, outside)
    return np.where(never, end, inside)


def _boundary(events: Floats, requests: Floats, alpha: float, lambdas: Floats, *, upper: bool) -> Floats:
    """The outermost p that is not excluded, or a little further out.

    The log of the mixture is convex in p and grows outward, so Newton's steps come from outside and never pass the
    boundary; a start inside is thrown outside by the first step.
    """
    end, seen = (1.0 if upper else 0.0), requests > 0
    n = np.where(seen, requests, 1.0)
    limit = np.log(2.0 / alpha)  # half of alpha for each end
    p = _start(np.clip(events / n, 0.0, 1.0), (limit + np.log(len(lambdas))) / n, upper=upper)
    for _ in range(_STEPS_OF_NEWTON):
        excess, slope = _excess(events, n, p, lambdas, limit)
        moved = np.clip(p - excess / slope, 0.0, 1.0)
        if np.abs(moved - p).max(initial=0.0) < _PRECISE:
            break
        p = moved
    return np.where(seen, p, end)


def _start(mean: Floats, scaled: Floats, *, upper: bool) -> Floats:
    """Where the best single lambda would exclude: KL(mean, p) >= (mean - p)^2 / (2 v), v the largest q(1-q) between."""
    if not upper:
        return 1.0 - _start(1.0 - mean, scaled, upper=True)
    falling = np.sqrt(2 * mean * (1 - mean) * scaled)  # q(1-q) falls beyond a half
    rising = np.minimum(scaled + np.sqrt(scaled**2 + 2 * mean * scaled), np.sqrt(scaled / 2))  # it is under q, and 1/4
    return np.minimum(1.0, mean + np.where(mean >= 0.5, falling, rising))


def _excess(events: Floats, n: Floats, p: Floats, lambdas: Floats, limit: float) -> tuple[Floats, Floats]:
    """Log of the mixture at p less the limit, and its derivative."""
    gain = np.expm1(lambdas)
    growth = p[:, None] * gain
    log_e = events[:, None] * lambdas - n[:, None] * np.log1p(growth)
    highest = log_e.max(axis=1)
    e = np.exp(log_e - highest[:, None])
    total = e.sum(axis=1)
    slope = -n * (e * (gain / (1 + growth))).sum(axis=1) / total
    return highest + np.log(total / len(lambdas)) - limit, slope
