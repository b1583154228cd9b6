"""The core test: is an event likelier in treatment than in control? Valid at every look.

In a bin with N = n0 + n1 requests, k of them events, the number x1 of events in treatment is, given the margins,
Fisher's noncentral hypergeometric with odds ratio theta. For a grid of ratios r_j > 1 the likelihood ratio of
theta_0 r_j against theta_0,

    log E_j = x1 log r_j - C_j,    C_j = log Z(theta_0 r_j) - log Z(theta_0),    Z(t) = sum_x C(n1,x) C(n0,k-x) t^x

has expectation 1 at theta_0 and, by the monotone likelihood ratio, at most 1 at every smaller theta. Products over
bins are therefore e-processes for "odds at most theta_0" (Turner, Ly, Grunwald 2024; Ville 1939), whatever the base
rate does from bin to bin. C_j is exact where that is cheap; else it is the smaller of two upper bounds, from
Hoeffding's (1963, section 6) comparison of sampling without and with replacement, taken from either margin.

Symbols: n0, n1, k, x1 as above; `log_ratios` = log r_j; `log_theta_0` = log theta_0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from onejob.stats.mixture import log_sum

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Ratios of odds looked for, beyond theta_0: from "10 % likelier" to "150 times as likely". Twelve points keep
# the loss against the best single point under log(12) nats, and it shrinks as neighbours share the evidence.
LOG_RATIOS: Floats = np.array([0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.3, 1.7, 2.2, 3.0, 4.0, 5.0])

EXACT_TERMS = 2_000  # beyond this many terms a bin has evidence to spare, and the bounds cost nothing
_EXACT_SHARE = 0.2  # below this share of events the bounds keep 90 % of the evidence (in the design's simulations)
_SMALL_K = 500
_CHUNK = 2_000_000
_DENSE = 20_000_000  # entries of a lookup table that still beats sorting


@dataclass(frozen=True, slots=True)
class Bins:
    """Bins to test, all of shape (bins,): requests of both arms, events of both together and of treatment."""

    n0: Ints
    n1: Ints
    k: Ints
    x1: Ints
    log_theta_0: Floats

    def at(self, rows: Ints) -> "Bins":
        """Some of them."""
        return Bins(self.n0[rows], self.n1[rows], self.k[rows], self.x1[rows], self.log_theta_0[rows])


def log_evidence(
    bins: Bins, groups: Ints, size: int, *, log_ratios: Floats = LOG_RATIOS, exact_terms: int = EXACT_TERMS
) -> Floats:
    """Log E_j, summed over the bins of each group: shape (2, size, ratios).

    Side 0 looks for events likelier in treatment, side 1 for events likelier in control. `groups` says in 0..size-1
    whose a bin is. Bins without events, without a control or without a treatment say nothing. Bins are never merged;
    only their evidence is added up.
    """
    used = np.flatnonzero((bins.k > 0) & (bins.k < bins.n0 + bins.n1) & (bins.n0 > 0) & (bins.n1 > 0))
    if not len(used):
        return np.zeros((2, size, len(log_ratios)))
    some, group = bins.at(used), groups[used]
    costs = _summed_costs(some, group, size, log_ratios, exact_terms)
    events = np.stack([np.bincount(group, weights=x, minlength=size) for x in (some.x1, some.k - some.x1)])
    result: Floats = events[:, :, None] * log_ratios - costs
    return result


def _summed_costs(bins: Bins, group: Ints, size: int, log_ratios: Floats, exact_terms: int) -> Floats:
    """Sum of C_j per side and group. C_j is computed once per distinct margin, as small bins repeat a lot."""
    first, which = _distinct(bins.n0, bins.n1, bins.k, bins.log_theta_0)
    one = bins.at(first)
    costs = np.stack(
        [_cost(*arms, one.k, one.log_theta_0, log_ratios, exact_terms) for arms in ((one.n0, one.n1), (one.n1, one.n0))]
    )
    if size * len(first) > _DENSE:
        out = np.zeros((2, size, len(log_ratios)))
        for side in (0, 1):
            np.add.at(out[side], group, costs[side, which])
        return out
    times = np.bincount(group * len(first) + which, minlength=size * len(first)).reshape(size, len(first))
    result: Floats = times.astype(float) @ costs
    return result


def _distinct(n0: Ints, n1: Ints, k: Ints, log_theta_0: Floats) -> tuple[Ints, Ints]:
    """A bin of each distinct margin, and which of them each bin has; without sorting where a table will do."""
    thetas, theta = log_theta_0[:1], np.zeros(len(n0), dtype=np.int64)
    if log_theta_0.min() < log_theta_0.max():
        thetas, theta = np.unique(log_theta_0, return_inverse=True)
    sizes = (int(n0.max()) + 1, int(n1.max()) + 1, int(k.max()) + 1, len(thetas))
    if float(np.prod([float(s) for s in sizes])) > _DENSE:
        keys = np.stack([n0, n1, k, theta], axis=1)
        _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        return first, which.reshape(-1)
    key = ((n0 * sizes[1] + n1) * sizes[2] + k) * sizes[3] + theta
    place = np.full(int(np.prod(sizes)), -1, dtype=np.int64)
    place[key] = np.arange(len(key))
    present = np.flatnonzero(place >= 0)
    rank = np.empty_like(place)
    rank[present] = np.arange(len(present))
    return place[present], rank[key]


def _cost(n0: Ints, n1: Ints, k: Ints, log_theta_0: Floats, log_ratios: Floats, exact_terms: int) -> Floats:
    """C_j: exact where that is cheap or worth it, else bounded; shape (bins, ratios)."""
    cost = _bounds(n0, n1, k, log_theta_0, log_ratios)
    terms = np.minimum(k, n1) - np.maximum(0, k - n0) + 1
    is_exact = (terms <= exact_terms) & ((k > _EXACT_SHARE * (n0 + n1)) | (k <= _SMALL_K))
    exact = np.flatnonzero(is_exact)
    if len(exact):
        cost[exact] = _exact(n0[exact], n1[exact], k[exact], log_theta_0[exact], log_ratios)
    return cost


def _bounds(n0: Ints, n1: Ints, k: Ints, log_theta_0: Floats, log_ratios: Floats) -> Floats:
    """The smaller of the two upper bounds on C_j; shape (bins, ratios)."""
    theta_0, gain = np.exp(log_theta_0), np.expm1(log_ratios)[None, :]
    total = n0 + n1
    pi = theta_0 * n1 / (theta_0 * n1 + n0)
    kappa = theta_0 * k / (theta_0 * k + total - k)
    by_events = k[:, None] * np.log1p(pi[:, None] * gain)
    by_requests = n1[:, None] * np.log1p(kappa[:, None] * gain)
    smaller: Floats = np.minimum(by_events, by_requests)
    return smaller


def _exact(n0: Ints, n1: Ints, k: Ints, log_theta_0: Floats, log_ratios: Floats) -> Floats:
    """C_j by summing over the support; bins of like support are summed together to waste no memory."""
    out = np.empty((len(n0), len(log_ratios)))
    low, high = np.maximum(0, k - n0), np.minimum(k, n1)
    order = np.argsort(high - low, kind="stable")
    start = 0
    while start < len(order):
        stop = _chunk_end(order, high - low + 1, start)
        rows = order[start:stop]
        out[rows] = _exact_chunk(n0[rows], n1[rows], k[rows], low[rows], high[rows], log_theta_0[rows], log_ratios)
        start = stop
    return out


def _chunk_end(order: Ints, terms: Ints, start: int) -> int:
    """Where a chunk ends that starts at `start`: before memory, or before rows of more than twice the width."""
    width = int(terms[order[start]])
    limit = min(len(order), start + max(1, _CHUNK // (2 * width + 8)))
    return int(np.searchsorted(terms[order[start:limit]], 2 * width + 8, side="right")) + start


def _exact_chunk(n0: Ints, n1: Ints, k: Ints, low: Ints, high: Ints, log_theta_0: Floats, log_ratios: Floats) -> Floats:
    x = low[:, None] + np.arange(int((high - low).max()) + 1)[None, :]
    inside = x <= high[:, None]
    x = np.minimum(x, high[:, None])
    log_w = _log_choose(n1[:, None], x) + _log_choose(n0[:, None], k[:, None] - x) + x * log_theta_0[:, None]
    log_w = np.where(inside, log_w, -np.inf)
    null = log_sum(log_w, axis=1)
    return np.stack([log_sum(log_w + r * x, axis=1) - null for r in log_ratios], axis=1)


def _log_choose(n: Ints, x: Ints) -> Floats:
    result: Floats = gammaln(n + 1.0) - gammaln(x + 1.0) - gammaln(n - x + 1.0)
    return result
