"""How much instances of one version differ for good in a mean, beyond the noise of each.

Symbols: d_it = relative deviation of instance i from all instances in bin t; y_i = its mean over bins, v_i = the
variance of that mean; s_b = the between-instance standard deviation, by the method of moments (DerSimonian & Laird
1986), as for odds in `design_effect`.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEAST_INSTANCES = 3
_LEAST_BINS = 8  # for the variance of an instance's mean to be usable


def between_means(bins: Floats, sums: Floats, squares: Floats) -> tuple[float, int] | None:
    """(s_b, instances used) from the number, sum and sum of squares of each instance's d_it; None with fewer than
    three.

    >>> between_means(np.array([9.0, 9.0]), np.zeros(2), np.ones(2)) is None
    True
    """
    usable = bins >= _LEAST_BINS
    if int(usable.sum()) < _LEAST_INSTANCES:
        return None
    n, y = bins[usable], sums[usable] / bins[usable]
    v = np.maximum((squares[usable] / n - y**2) / (n - 1), 1e-12)
    weight = 1 / v
    mean = (weight * y).sum() / weight.sum()
    q = (weight * (y - mean) ** 2).sum()
    spread = weight.sum() - (weight**2).sum() / weight.sum()
    return float(np.sqrt(max(0.0, (q - (len(y) - 1)) / spread))), len(y)
