"""Averaging e-processes in log space; an average of e-processes is one."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Floats = NDArray[np.float64]


def log_mean(log_e: Floats, axis: int | tuple[int, ...] = -1) -> Floats:
    """Log of the plain average of exp(log_e) along `axis`."""
    axes = (axis,) if isinstance(axis, int) else axis
    size = np.prod([log_e.shape[a] for a in axes])
    result: Floats = np.asarray(logsumexp(log_e, axis=axes) - np.log(size))
    return result


def log_weighted(log_e: Floats, weights: Floats) -> float:
    """Log of sum w_i E_i. Weights are >= 0 and sum to at most 1; what is missing is a bet on nothing (E = 1).

    >>> round(log_weighted(np.array([0.0, 0.0]), np.array([0.4, 0.3])), 12)
    0.0
    """
    rest = max(0.0, 1.0 - float(weights.sum()))
    return float(logsumexp(np.append(log_e, 0.0), b=np.append(weights, rest)))
