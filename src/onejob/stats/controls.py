"""What other series did meanwhile: a change that they share is not one of the series' own.

Problem: the database that all services use gets slow a minute after one of them was deployed, and compared with its
own past that service is worse. Solution: difference in differences, window by window. Control series that the
deployment did not touch say by which factor they are off their own expectations; the expectation is carried by their
median, and the spread between them counts as noise, since the series may stray from them as they stray from each other
(Card & Krueger 1994 for the difference; the median and its spread as in a synthetic control without weights, so that
one control in trouble of its own moves neither). How well controls predict a series is not assumed: the same is done at
every moment without a change, and goes into scales and heights as everything else does (`scan`).

Symbols: X_c, E_c = events and expected ones of control c in a window; f_c = (X_c + 1) / (E_c + 1); m = median of f_c;
s = 1.4826 median |f_c - m|, or what counting alone does to a median of n controls, sqrt(pi / 2n) median of
sqrt(X_c + 1) / (E_c + 1), if that is more; r' = r - e (m - 1), v' = v max(1, m) + (e s)^2.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onejob.stats.expectation import Beside, median_of_known

Floats = NDArray[np.float64]

# Of three, the median bears one that has a bad hour of its own; of two that differ, nobody knows which to trust.
FEWEST = 3
# None seen of none expected is a factor of 1. More would hold a factor of few events so close to 1 that part of what
# all suffer stays with the series.
_PRIOR = 1.0
_NORMAL = 1.4826  # median absolute deviation to standard deviation


def beside(events: Floats, expected: Floats, widths: Sequence[int]) -> Beside:
    """What controls did at some moments: `events`, `expected` of shape (controls, moments, steps).

    Where nothing is expected of a control, nothing is known of it; fewer than three say nothing.
    """
    return Beside({width: _moved(events, expected, width) for width in widths})


def beyond(r: Floats, sd: Floats, expected: Floats, moved: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """r' and its standard deviation of windows of a width: what is beyond what controls did."""
    middle, spread = moved
    changed: Floats = r - expected * (middle - 1)
    return changed, np.sqrt(sd**2 * np.maximum(middle, 1.0) + (expected * spread) ** 2)


def factors(events: Floats, expected: Floats) -> Floats:
    """f_c; NaN where nothing is known."""
    return np.where(expected > 0, (events + _PRIOR) / (expected + _PRIOR), np.nan)


def windows(values: Floats, width: int) -> Floats:
    """Sums over all windows of a width along the last axis."""
    total = np.cumsum(values, axis=-1)
    total = np.concatenate([np.zeros((*values.shape[:-1], 1)), total], axis=-1)
    result: Floats = total[..., width:] - total[..., :-width]
    return result


def _moved(events: Floats, expected: Floats, width: int) -> tuple[Floats, Floats]:
    """m and s, shape (moments, windows): 1 and 0 where too few controls are known."""
    x, e = windows(events, width), windows(expected, width)
    shape = x.shape[1:]
    rows, by_chance = (a.reshape(len(x), -1) for a in (factors(x, e), np.sqrt(factors(x, e) / (e + _PRIOR))))
    known = np.isfinite(rows).sum(axis=0)
    middle = median_of_known(rows)
    of_median = np.sqrt(np.pi / 2 / np.maximum(known, 1)) * median_of_known(by_chance)
    spread = np.maximum(_NORMAL * median_of_known(np.abs(rows - middle)), of_median)
    is_known = known >= FEWEST
    return (
        np.where(is_known, middle, 1.0).reshape(shape),
        np.where(is_known, spread, 0.0).reshape(shape),
    )
