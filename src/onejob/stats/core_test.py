"""The core test: is an event likelier in treatment than in control? Valid at every look.

In a bin with N = n0 + n1 requests, k of them events, the number x1 of events in treatment is, given the margins,
Fisher's noncentral hypergeometric with odds ratio theta. For a grid of ratios r_j > 1 the likelihood ratio of
theta_0 r_j against theta_0,

    log E_j = x1 log r_j - C_j,    C_j = log Z(theta_0 r_j) - log Z(theta_0),    Z(t) = sum_x C(n1,x) C(n0,k-x) t^x

has expectation 1 at theta_0 and, by the monotone likelihood ratio, at most 1 at every smaller theta. Products over
bins are therefore e-processes for "odds at most theta_0" (Turner, Ly, Grunwald 2024; Ville 1939), whatever the base
rate does from bin to bin. C_j comes from `noncentral`.

Symbols: n0, n1, k, x1 as above; `log_ratios` = log r_j; `log_theta_0` = log theta_0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onejob.stats.noncentral import log_normaliser_growth

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Ratios of odds looked for, beyond theta_0: from "10 % likelier" to "150 times as likely". Twelve points keep
# the loss against the best single point under log(12) nats, and it shrinks as neighbours share the evidence.
LOG_RATIOS: Floats = np.array([0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.3, 1.7, 2.2, 3.0, 4.0, 5.0])

_DENSE = 20_000_000  # entries of a table of margins; busier bins hardly ever have equal ones
_MOST_KNOWN = 50_000  # margins of one theta_0: 10 MB
_FEW = 4_096  # bins that are not worth looking for equal margins in


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


def log_evidence(bins: Bins, groups: Ints, size: int, *, log_ratios: Floats = LOG_RATIOS) -> Floats:
    """Log E_j, summed over the bins of each group: shape (2, size, ratios).

    Side 0 looks for events likelier in treatment, side 1 for events likelier in control. `groups` says in 0..size-1
    whose a bin is. Bins without events, without a control or without a treatment say nothing. Bins are never merged;
    only their evidence is added up.
    """
    used = np.flatnonzero((bins.k > 0) & (bins.k < bins.n0 + bins.n1) & (bins.n0 > 0) & (bins.n1 > 0))
    if not len(used):
        return np.zeros((2, size, len(log_ratios)))
    some, group = bins.at(used), groups[used]
    costs = _added(_costs(some, log_ratios), group, size)
    events = np.stack([np.bincount(group, weights=x, minlength=size) for x in (some.x1, some.k - some.x1)])
    result: Floats = events[:, :, None] * log_ratios - costs
    return result


class Costs:
    """C_j of margins that were seen before: a day of small bins has a few thousand distinct ones."""

    def __init__(self, log_ratios: Floats = LOG_RATIOS) -> None:
        self.log_ratios = log_ratios
        self._known: dict[float, tuple[Ints, Floats]] = {}  # per log theta_0: packed margins, rising, and their C_j

    def of(self, bins: Bins) -> Floats:
        """C_j of bins, no two of them alike: shape (2, bins, ratios)."""
        out = np.empty((2, len(bins.k), len(self.log_ratios)))
        for theta in np.unique(bins.log_theta_0):
            mine = np.flatnonzero(bins.log_theta_0 == theta)
            out[:, mine] = self._of(float(theta), bins.at(mine))
        return out

    def _of(self, theta: float, bins: Bins) -> Floats:
        keys = (bins.n0 << 42) | (bins.n1 << 21) | bins.k
        known, costs = self._known.get(theta, (keys[:0], np.empty((2, 0, len(self.log_ratios)))))
        new = np.flatnonzero(~np.isin(keys, known, assume_unique=True))
        if len(new):
            known = np.concatenate([known, keys[new]])
            costs = np.concatenate([costs, _costs(bins.at(new), self.log_ratios)], axis=1)
            order = np.argsort(known)
            known, costs = known[order], costs[:, order]
            self._known[theta] = (known, costs) if len(known) <= _MOST_KNOWN else (known[:0], costs[:, :0])
        found: Floats = costs[:, np.searchsorted(known, keys)]
        return found


def log_evidence_of_series(
    n0: Ints, n1: Ints, k: Ints, x1: Ints, log_theta_0: Floats, costs: Costs | None = None
) -> Floats:
    """`log_evidence` where each group is a row of bins: (groups, bins), log_theta_0 (groups,) -> (2, groups, ratios).

    Small bins repeat a lot: C_j is computed once per distinct margin, and multiplied by how often a group has it.
    """
    costs = costs or Costs()
    log_ratios = costs.log_ratios
    size, bins = k.shape
    thetas, theta = np.unique(log_theta_0, return_inverse=True)
    sizes = (int(n0.max(initial=0)) + 1, int(n1.max(initial=0)) + 1, int(k.max(initial=0)) + 1, len(thetas))
    if k.size <= _FEW or max(sizes) >= 2**21 or float(np.prod([float(s) for s in sizes])) > _DENSE:
        columns = Bins(n0.reshape(-1), n1.reshape(-1), k.reshape(-1), x1.reshape(-1), np.repeat(log_theta_0, bins))
        return log_evidence(columns, np.repeat(np.arange(size), bins), size, log_ratios=log_ratios)
    key = n0 * sizes[1]
    for radix, digit in ((1, n1), (sizes[2], k), (sizes[3], theta.reshape(-1, 1))):
        key *= radix
        key += digit
    margins, times = _margins(key, sizes, thetas)
    events = np.stack([x1.sum(axis=1), (k - x1).sum(axis=1)]).astype(float)
    result: Floats = events[:, :, None] * log_ratios - times @ costs.of(margins)
    return result


def _margins(key: Ints, sizes: tuple[int, int, int, int], thetas: Floats) -> tuple[Bins, Floats]:
    """The distinct margins of packed `key` (groups, bins), and how often each group has each."""
    is_present = np.zeros(np.prod(sizes), dtype=bool)
    is_present[key] = True
    present = np.flatnonzero(is_present)
    rank = np.zeros(len(is_present), dtype=np.int64)
    rank[present] = np.arange(len(present))
    which = rank[key]
    which += np.arange(len(key))[:, None] * len(present)
    times = np.bincount(which.reshape(-1), minlength=len(key) * len(present)).reshape(len(key), -1)
    n0, n1, k, theta = np.unravel_index(present, sizes)
    return Bins(n0, n1, k, np.zeros_like(k), thetas[theta]), times.astype(float)


def log_evidence_per_bin(bins: Bins, *, log_ratios: Floats = LOG_RATIOS) -> Floats:
    """Log E_j of every bin by itself, for one who wants to see it grow: shape (2, bins, ratios)."""
    out = np.zeros((2, len(bins.k), len(log_ratios)))
    used = np.flatnonzero((bins.k > 0) & (bins.k < bins.n0 + bins.n1) & (bins.n0 > 0) & (bins.n1 > 0))
    if not len(used):
        return out
    some = bins.at(used)
    events = np.stack([some.x1, some.k - some.x1])
    out[:, used] = events[:, :, None] * log_ratios - _costs(some, log_ratios)
    return out


def _added(costs: Floats, group: Ints, size: int) -> Floats:
    """Costs of shape (2, bins, ratios) added up per group."""
    order = np.argsort(group, kind="stable")
    present, start = np.unique(group[order], return_index=True)
    out = np.zeros((2, size, costs.shape[2]))
    out[:, present] = np.add.reduceat(costs[:, order], start, axis=1)
    return out


def _costs(bins: Bins, log_ratios: Floats) -> Floats:
    """C_j of each bin, for both sides: shape (2, bins, ratios)."""
    arms = ((bins.n0, bins.n1), (bins.n1, bins.n0))
    return np.stack([log_normaliser_growth(n0, n1, bins.k, bins.log_theta_0, log_ratios) for n0, n1 in arms])
