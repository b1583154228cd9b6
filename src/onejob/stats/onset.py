"""When did a change begin, and has it ended? The likelihood of every moment at which it may have.

Problem: an hour after a deployment that differs from what was expected says that something changed, not that it was at
the deployment: what began ten minutes earlier shows as well. Solution: events are counts whose mean is e as long as
nothing changes and rho e from the change on. The likelihood of "it began with step t", rho chosen for it, is compared
between all t; those that are not much less likely than the likeliest are where it may have begun. That the set holds
the true step with 99 % follows from the law of the maximum of a two-sided random walk with drift (Yao 1987; Hansen
2000, theorem 2, in the form used here).

Symbols: x = events, e = expected ones, X, E = their sums from t on, phi = how much more sums vary than independent
events do; log likelihood ratio l(t) = (X log(X / E) - (X - E)) / phi, 0 where the change is to the other side.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onejob.stats.scan import UP

Floats = NDArray[np.float64]

# 2 (l(best) - l(true)) <= c with probability (1 - exp(-c / 2))^2: 0.99 at c = 10.6.
_WITHIN = 5.3
_HALF = 0.5  # added to both sums: none expected is not never


@dataclass(frozen=True, slots=True)
class Onset:
    """The step at which a change most likely began, and the first and last at which it may have."""

    best: int
    earliest: int
    latest: int


def onset(events: Floats, expected: Floats, *, side: int, phi: float) -> Onset | None:
    """Where the change to `side` (`scan.UP`, `scan.DOWN`) began, that lasts to the end of the arrays, shape (steps,).

    None where there is none to this side. Of equally likely steps, as those of which nothing is known, the last one.
    """
    gain = _gain(_from_here_on(events), _from_here_on(expected), side) / phi
    if not len(gain) or gain.max() <= 0:
        return None
    likely = np.flatnonzero(gain >= gain.max() - _WITHIN)
    best = np.flatnonzero(gain >= gain.max() - 1e-9)[-1]
    return Onset(int(best), int(likely[0]), int(likely[-1]))


def ending(events: Floats, expected: Floats, *, side: int) -> int:
    """The step before which a change that was there at the first one most likely ended; their number if it did not."""
    gain = _gain(np.cumsum(events), np.cumsum(expected), side)
    return int(np.argmax(gain)) + 1 if len(gain) and gain.max() > 0 else len(gain)


def _from_here_on(values: Floats) -> Floats:
    result: Floats = np.cumsum(values[::-1])[::-1]
    return result


def _gain(x: Floats, e: Floats, side: int) -> Floats:
    is_to_side = x > e if side == UP else x < e
    return np.where(is_to_side, (x + _HALF) * np.log((x + _HALF) / (e + _HALF)) - (x - e), 0.0)
