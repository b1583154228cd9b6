"""Is something that control never showed really new? Occurrences as Poisson processes of both arms.

Problem: an error seen for the first time in the new version may be as old as the service, and rare; and thousands of
errors may be seen for the first time. Solution: the first occurrence names the fingerprint and is no evidence. From
then on, occurrences are Poisson in both arms, at rates mu r1 and mu r0 per request; given that there is one, it is the
treatment's with probability pi = n1 / (n1 + n0) if it is no likelier there. With likelihood ratios for "theta_j times
as likely", for theta_j on a grid up to 150,

    log E_j = x1 log theta_j - (x1 + x0) log(1 + pi (theta_j - 1)),    E = mean over j,

summed over bins with the pi of each, is an e-process, whatever mu does over time. Control's exposure is what makes
it grow: at a share of a tenth an occurrence counts nine times what it does at a half.

Symbols: n0, n1 = requests of a bin; x0, x1 = requests that showed it, of control and treatment; pi, theta_j as above.
"""

import numpy as np
from numpy.typing import NDArray

from onejob.stats.core_test import LOG_RATIOS
from onejob.stats.mixture import log_mean

Floats = NDArray[np.float64]


def added_evidence(n0: Floats, n1: Floats, x0: Floats, x1: Floats) -> Floats:
    """Log E_j of bins, summed; shape (bins,) each -> (ratios,). Bins without both arms say nothing.

    >>> float(added_evidence(np.array([5.0]), np.array([0.0]), np.array([0.0]), np.array([0.0])).sum())
    0.0
    """
    used = (n0 > 0) & (n1 > 0)
    pi, k, x = (n1 / np.where(used, n0 + n1, 1.0))[used], (x0 + x1)[used], x1[used].sum()
    cost = (k[:, None] * np.log1p(pi[:, None] * np.expm1(LOG_RATIOS))).sum(axis=0)
    result: Floats = x * LOG_RATIOS - cost
    return result


def log_evidence(log_e: Floats, phi: float) -> float:
    """Log of the average over ratios, of evidence divided by the design effect: one bug makes one client retry."""
    return float(log_mean(log_e / phi))
