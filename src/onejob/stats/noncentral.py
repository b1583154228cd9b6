"""How much a likelihood ratio costs under Fisher's noncentral hypergeometric distribution: C = log Z(t r) - log Z(t).

The core test needs C for every bin, ratio and side. Summing over the support is exact and takes as long as the bin has
events; the usual bounds (Hoeffding 1963, section 6: sampling with replacement, from either margin) give away half of
the evidence when both arms are equally large. What is done here instead: few terms are summed, and for more, C is
bounded by an integral that loses at most a few percent in bins of 50 requests and nothing that matters beyond.

The bound. d log Z / d log t is the mean M(t), so C is the integral of M from log t to log t r. With V the variance, the
ratio of neighbouring terms gives exactly  M (n0 - k + M) + V = t ((n1 - M)(k - M) + V).  Z has real roots only
(Vatutin & Mikhailov 1982), so X - lo is a sum of hi - lo independent yes/no variables, whatever t is, and by
Cauchy-Schwarz  V <= (M - lo)(hi - M) / (hi - lo).  For t >= 1 that makes M at most the smaller root of a quadratic.

Symbols: n0, n1 requests of the arms, k events in both, X events in arm 1; lo = max(0, k - n0), hi = min(k, n1).
"""

from functools import cache

import numpy as np
from numpy.polynomial.legendre import leggauss, legint, legval, legvander
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MOST_TERMS = 32  # cheaper to sum than to integrate up to here, and e^(5 * 32) is far from the end of floats
_ERROR = 1e-8  # of the interpolated mean, relative to its largest value
_SAFETY = 1e-7  # C is raised by this part of itself, as the mean is up to 60 times smaller where t is small
_CHUNK = 512  # bins at once: arrays stay in the processor's cache, products too small for more than one thread


def log_normaliser_growth(n0: Ints, n1: Ints, k: Ints, log_theta_0: Floats, log_ratios: Floats) -> Floats:
    """C for each bin and ratio, exact or slightly more; shape (bins,), (ratios,) -> (bins, ratios).

    Needs log_theta_0 >= 0 and rising log_ratios > 0.
    """
    low, high = np.maximum(0, k - n0), np.minimum(k, n1)
    out = np.empty((len(k), len(log_ratios)))
    terms = np.argsort(high - low, kind="stable")  # bins of like support together waste no memory
    few = int(np.searchsorted((high - low)[terms], _MOST_TERMS))
    for rows, compute in ((terms[:few], _summed), (terms[few:], _integrated)):
        for start in range(0, len(rows), _CHUNK):
            some = rows[start : start + _CHUNK]
            a, b, c, d, e = (column[some].astype(float) for column in (n0, n1, k, low, high))
            out[some] = compute(a, b, c, d, e, log_theta_0[some], log_ratios)
    return out


def _summed(
    n0: Floats, n1: Floats, k: Floats, low: Floats, high: Floats, log_theta_0: Floats, log_ratios: Floats
) -> Floats:
    """By adding up the terms of Z, each from the one before it."""
    steps = np.arange(int((high - low).max(initial=0)))[None, :]
    x = low[:, None] + steps
    upper = np.maximum(0.0, n1[:, None] - x) * np.maximum(0.0, k[:, None] - x)
    with np.errstate(divide="ignore"):
        growth = np.log(upper / ((x + 1) * (n0[:, None] - k[:, None] + x + 1)).clip(min=1.0))
    log_w = np.zeros((len(k), steps.shape[1] + 1))
    np.cumsum(growth + log_theta_0[:, None], axis=1, out=log_w[:, 1:])
    w = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    powers = np.exp(np.arange(log_w.shape[1])[:, None] * np.concatenate([[0.0], log_ratios])[None, :])
    log_z = np.log(w @ powers)
    result: Floats = low[:, None] * log_ratios + (log_z[:, 1:] - log_z[:, :1])
    return result


def _integrated(
    n0: Floats, n1: Floats, k: Floats, low: Floats, high: Floats, log_theta_0: Floats, log_ratios: Floats
) -> Floats:
    """By integrating the bound of the mean over log theta."""
    at, weights = _nodes(tuple(log_ratios.tolist()))
    t = np.exp(log_theta_0[:, None] + at[None, :])
    width = (high - low)[:, None]
    gain = t - 1
    a = gain * (1 - 1 / width)
    minus_b = t * (n1 + k)[:, None] + (n0 - k)[:, None] - gain * ((high + low)[:, None] / width)
    c = t * (n1 * k)[:, None] - gain * ((low * high)[:, None] / width)
    mean = 2 * c / (minus_b + np.sqrt(np.maximum(0.0, minus_b * minus_b - 4 * a * c)))
    result: Floats = (mean @ weights) * (1 + _SAFETY)
    return result


@cache
def _nodes(log_ratios: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Where to evaluate a mean, and with which weights, to integrate it from 0 to each ratio: (n,), (n, ratios).

    As a function of u = log t it has no singularity within pi of the real axis (t would be negative there), so that
    interpolation at Gauss-Legendre nodes converges like rho^-n, rho being the size of the ellipse that touches there
    (Trefethen 2013, chapter 8).
    """
    half = log_ratios[-1] / 2
    rho = np.pi / half + np.sqrt((np.pi / half) ** 2 + 1)
    size = int(np.ceil(-np.log(_ERROR) / np.log(rho))) + 1
    x, _ = leggauss(size)
    to_series = np.linalg.inv(legvander(x, size - 1))  # values at the nodes -> Legendre coefficients
    ends = np.array(log_ratios) / half - 1
    integrals = np.stack([legval(ends, legint(row, lbnd=-1)) for row in np.eye(size)])  # of each polynomial
    return half * (x + 1), half * (to_series.T @ integrals)
