"""Which of many hypotheses to call false, given an e-value for each: the e-BH procedure.

Wang & Ramdas, "False discovery rate control with e-values" (JRSS-B 2022), section 4: with K e-values sorted from the
largest, e_(1) >= e_(2) >= ..., reject the k largest for the greatest k with e_(k) >= K / (alpha k). The expected share
of false ones among the rejected is then at most alpha, however the e-values depend on one another. It must be given
e-values as they are now: the maximum of an e-process over time is no e-value.

Symbols: `log_e` = log e_k; K = their number; alpha = the rate of false discoveries.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def discoveries(log_e: Floats, alpha: float) -> NDArray[np.bool_]:
    """Which are rejected; shape (K,) -> (K,). NaN is no evidence.

    >>> discoveries(np.log([100.0, 1.0, 45.0, 30.0]), 0.1).tolist()
    [True, False, True, True]
    >>> discoveries(np.array([]), 0.1).tolist()
    []
    """
    known = np.where(np.isnan(log_e), -np.inf, log_e)
    if not len(known):
        return np.zeros(0, dtype=bool)
    order = np.argsort(-known, kind="stable")
    bars = np.log(len(known) / (alpha * np.arange(1, len(known) + 1)))
    passing = np.flatnonzero(known[order] >= bars)
    rejected = np.zeros(len(known), dtype=bool)
    if len(passing):
        rejected[order[: passing[-1] + 1]] = True
    return rejected
