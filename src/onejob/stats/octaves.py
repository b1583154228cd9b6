"""Values in octaves, and what lies far out put down to where control's tail ends.

Problem: one order of a million among orders of fifty decides a mean, and no sum can be undone afterwards. Solution:
values are counted and summed per octave, k for sizes in [2^(k - 1100), 2^(k - 1099)), so that extremes can be
winsorised at any octave later, the same for both arms.
"""

from collections.abc import Mapping

import numpy as np

ZERO = 0
MIDDLE = 1100  # of sizes in [1, 2): all of a double's range is above 0
_HIGHEST = MIDDLE + 1023  # the octave of the largest double
_ROUNDED = 1e-6  # sums are added up in any order
_LEAST_BEYOND = 20
_QUANTILES = (0.999, 0.99, 0.95)


def octave(value: float) -> int:
    """The octave of a finite value.

    >>> octave(1.0), octave(-3.0), octave(0.0)
    (1100, -1101, 0)
    """
    if value == 0:
        return ZERO
    size = int(np.frexp(abs(value))[1]) - 1 + MIDDLE
    return size if value > 0 else -size


def can_be_sum(k: int, n: int, total: float | None) -> bool:
    """Can so many values of octave k have this sum? None is a sum that was not asked for (of yes and no).

    >>> can_be_sum(1100, 2, 3.0), can_be_sum(1100, 2, 5.0), can_be_sum(1100, 2, float("nan")), can_be_sum(0, 2, None)
    (True, False, False, True)
    """
    if abs(k) > _HIGHEST or (total is not None and not np.isfinite(total)):
        return False
    if k == ZERO or n == 0 or total is None:
        return not total
    size = total / n * (1 if k > 0 else -1)
    low = np.ldexp(1.0, abs(k) - MIDDLE)
    return bool(low * (1 - _ROUNDED) <= size and size / 2 <= low * (1 + _ROUNDED))


def cap(counts: Mapping[int, int]) -> int | None:
    """Octave of sizes beyond which values are cut off, from counts per octave of control; None with fewer than 20.

    It is that of the highest of the quantiles 0.999, 0.99 and 0.95 of what is not zero that 20 values lie beyond; with
    fewer, one octave more than the largest there was.
    """
    if sum(counts.values()) < _LEAST_BEYOND:
        return None
    sizes: dict[int, int] = {}
    for k, n in counts.items():
        if k != ZERO:
            sizes[abs(k)] = sizes.get(abs(k), 0) + n
    if not sizes:
        return 2 * MIDDLE
    total, ordered = sum(sizes.values()), sorted(sizes)
    q = next((q for q in _QUANTILES if total * (1 - q) >= _LEAST_BEYOND * (1 - 1e-9)), None)
    if q is None:
        return ordered[-1] + 1
    return ordered[int(np.searchsorted(np.cumsum([sizes[k] for k in ordered]), q * total))]


def capped_sum(counts: Mapping[int, int], sums: Mapping[int, float], limit: int) -> float:
    """Sum of all values, those beyond the limit taken as the outer edge of the limit's octave."""
    inside = sum(value for k, value in sums.items() if abs(k) <= limit)
    beyond = sum(n if k > 0 else -n for k, n in counts.items() if abs(k) > limit)
    return inside + beyond * 2.0 ** (limit + 1 - MIDDLE) if beyond else inside
