"""The information limit: Wald's sequential test that knows what the new version does, and spends as much alpha.

It knows the distribution of either arm and waits until the likelihood ratio passes 1 / (its share of alpha). It is
conditional, as ours is: durations are given and the arms they came from are random, so nothing is learned from
how much traffic or how slow a moment was. No test that holds its alpha whatever the traffic does is faster on average
(Wald & Wolfowitz 1948).

Symbols: r(b) = treatment's chance of a duration bucket b over control's, pi = treatment's share of the bin's requests;
a request of bucket b is treatment's with chance pi r / (pi r + 1 - pi).
"""

import numpy as np
from bench.verdict.peers.series import Series
from numpy.typing import NDArray
from scipy.special import ndtr

from onejob.stats import core_test, histogram
from onejob.verdict.counts import CONTROL, TREATMENT

Floats = NDArray[np.float64]

_MEDIAN_S, _SD = 0.03, 0.4  # of `traffic.lognormal`


def errors_path(series: Series, rates: tuple[float, float]) -> Floats:
    """Log likelihood ratio after each step, given the margins, of error rates (control, treatment)."""
    odds = [rate / (1 - rate) for rate in rates]
    (n0, n1), (x0, x1) = series.requests, series.errors
    bins = core_test.Bins(n0, n1, x0 + x1, x1, np.zeros(len(n0)))
    ratio = np.array([np.log(odds[1] / odds[0])])
    added = core_test.log_evidence(bins, np.arange(len(n0)), len(n0), log_ratios=ratio)
    path: Floats = np.cumsum(added[0, :, 0])
    return path


def durations_path(series: Series, slower: float) -> Floats:
    """Log likelihood ratio after each step, of lognormal durations that are so many times as long in treatment."""
    index = np.arange(series.durations.shape[2] + 1) + series.lowest + histogram.LOWEST
    edges = np.log(2.0) * index / histogram.PER_OCTAVE - np.log(_MEDIAN_S)
    control, treatment = (np.diff(ndtr((edges - shift) / _SD)) for shift in (0.0, np.log(slower)))
    ratio = np.maximum(treatment, 1e-300) / np.maximum(control, 1e-300)
    n = series.durations.sum(axis=2)
    share = n[TREATMENT] / np.maximum(n.sum(axis=0), 1)
    mixed = np.log(share[:, None] * ratio + 1 - share[:, None])
    total = series.durations.sum(axis=0)
    added = series.durations[TREATMENT] @ np.log(ratio) - (total * mixed).sum(axis=1)
    path: Floats = np.cumsum(np.where(n[CONTROL] * n[TREATMENT] > 0, added, 0.0))
    return path


def first(path: Floats, share_of_alpha: float, alpha: float = 0.01) -> int | None:
    """The first step at which the path is at the bar."""
    at = np.flatnonzero(path >= -np.log(alpha * share_of_alpha))
    return int(at[0] + 1) if len(at) else None
