"""How much slower or faster: a time-uniform interval for the ratio of durations at one of control's quantiles.

Control's bucket edge c near the quantile is fixed before the bins it is used for. For rho = 2^(s/32) the hypothesis
H_s: P(treatment > rho c) = P(control > c) is tested by the core test on bucket counts shifted by s. While treatment
is slower than rho says, H_s is refuted by "likelier"; while it is faster, by the test with arms swapped. The interval
holds every rho not yet refuted, and ends at the nearest refuted ones (rounded outward by a bucket). It is the ratio
*at c*, widened by what instances may differ (theta_0).

Bins of like share are merged before they are tested: the interval is about size, and merging depends on the arms'
request counts alone, never on outcomes. When load has carried control away from c, c is fixed anew and the evidence
starts again; epoch k has 6 / (pi k)^2 of alpha, so that all of them together have alpha.
"""

import numpy as np
from numpy.typing import NDArray

from onejob.stats import histogram
from onejob.stats.core_test import Bins, log_evidence
from onejob.stats.mixture import log_mean
from onejob.verdict.counts import CONTROL, TREATMENT, Counts, histograms, table
from onejob.verdict.evidence import QUANTILES, Evidence

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

REPORTED = (0.5, 0.95, 0.99)
COLUMNS = tuple(QUANTILES.index(q) for q in REPORTED)
# Bucket by bucket up to x2, then coarser up to x8: nobody needs to know whether it was x5.1 or x5.2.
_STEPS = np.concatenate([np.arange(0, 33), np.arange(34, 65, 2), np.arange(68, 97, 4)])
SHIFTS: Ints = np.unique(np.concatenate([-_STEPS, _STEPS]))
_LOG_RATIOS: Floats = np.array([0.2, 0.5, 1.2, 3.0])
_LEAST_BEYOND = 20  # control requests beyond a quantile, for it to be a quantile
_SHARE_SD = 3.0  # shares further apart than this many binomial sd are not merged


class LatencyIntervals:
    """Which shifts are refuted, per operation, reported quantile, shift and side; grows with the operations."""

    def __init__(self, alpha: float) -> None:
        self._alpha = alpha
        self._epoch: Ints = np.ones((0, len(REPORTED)), dtype=np.int64)
        self.edges: Ints = np.full((0, len(REPORTED)), -1, dtype=np.int64)
        self._log_e: Floats = np.zeros((2, 0, len(REPORTED), len(SHIFTS), len(_LOG_RATIOS)))
        self._refuted: NDArray[np.bool_] = np.zeros((2, 0, len(REPORTED), len(SHIFTS)), dtype=bool)

    def grow(self, operations: int) -> None:
        """Make room for new operations."""
        more = operations - len(self.edges)
        if more > 0:
            quantiles, shifts = len(REPORTED), len(SHIFTS)
            self.edges = np.concatenate([self.edges, np.full((more, quantiles), -1, dtype=np.int64)])
            log_e = np.zeros((2, more, quantiles, shifts, len(_LOG_RATIOS)))
            self._log_e = np.concatenate([self._log_e, log_e], axis=1)
            self._epoch = np.concatenate([self._epoch, np.ones((more, quantiles), dtype=np.int64)])
            refuted = np.zeros((2, more, quantiles, shifts), dtype=bool)
            self._refuted = np.concatenate([self._refuted, refuted], axis=1)

    def fix_edges(self, evidence: Evidence) -> None:
        """Fix c where there is none yet, and anew where control has left it while both arms served."""
        self.edges = np.where(self.edges < 0, evidence.edges[:, COLUMNS], self.edges)
        control = evidence.histogram[CONTROL]
        total = control.sum(axis=1)
        for row, q in enumerate(REPORTED):
            for op in np.flatnonzero((self.edges[:, row] >= 0) & (total * (1 - q) >= _LEAST_BEYOND)):
                if _has_left(control[op], int(self.edges[op, row]), q):
                    self._start_again(int(op), row, histogram.quantile_position(control[op], q))

    def _start_again(self, op: int, row: int, edge: int) -> None:
        self.edges[op, row] = edge
        self._epoch[op, row] += 1
        self._log_e[:, op, row] = 0.0
        self._refuted[:, op, row] = False

    def _bars(self) -> Floats:
        """What refutes, per operation and row: half of the epoch's alpha for each end."""
        bars: Floats = np.log(2.0 / self._alpha * (np.pi * self._epoch) ** 2 / 6)
        return bars

    def consume(self, rows: Counts, evidence: Evidence) -> None:
        """Add the evidence of a run of bins, merged where their shares are alike."""
        for first, last in _runs_of_like_share(rows):
            self._add(rows.select(first, last), evidence)

    def bounds(self, operation: int, row: int) -> tuple[float | None, float | None]:
        """(low, high) of the ratio; None where nothing is refuted on that side yet."""
        slower, faster = self._refuted[:, operation, row]
        low = np.flatnonzero(slower)
        high = np.flatnonzero(faster)
        return (
            float(2.0 ** (SHIFTS[low[-1]] / histogram.PER_OCTAVE)) if len(low) else None,
            float(2.0 ** (SHIFTS[high[0]] / histogram.PER_OCTAVE)) if len(high) else None,
        )

    def _add(self, rows: Counts, evidence: Evidence) -> None:
        operations = len(self.edges)
        timed = table(rows, rows.timed, operations)
        both = (timed[CONTROL] > 0) & (timed[TREATMENT] > 0)
        usable = np.flatnonzero(both.any(axis=1) & (self.edges >= 0).any(axis=1))
        if not len(usable):
            return
        merged = histograms(rows, operations, both[rows.operation, rows.bin])[:, usable]
        # beyond[arm, op, p] = requests in buckets after position p
        beyond = merged.sum(axis=2, keepdims=True) - np.cumsum(merged, axis=2)
        n0, n1 = merged.sum(axis=2)
        self._test(usable, n0, n1, beyond, evidence)
        self._refuted |= log_mean(self._log_e, axis=4) >= self._bars()[None, :, :, None]

    def _test(self, usable: Ints, n0: Ints, n1: Ints, beyond: Ints, evidence: Evidence) -> None:
        phi, log_theta_0 = evidence.phi()[:, 1:], evidence.log_theta_0()[:, 1:]
        shape = (len(usable), len(SHIFTS))
        for row, column in enumerate(COLUMNS):
            edge = self.edges[usable, row]
            x0 = np.take_along_axis(beyond[CONTROL], np.maximum(edge, 0)[:, None], axis=1)
            at = np.clip(edge[:, None] + SHIFTS[None, :], 0, histogram.SIZE - 1)
            x1 = np.take_along_axis(beyond[TREATMENT], at, axis=1)
            n, m, x, y, theta = (
                np.ascontiguousarray(np.broadcast_to(a, shape).reshape(-1))
                for a in (n0[:, None], n1[:, None], x0, x1, log_theta_0[usable, column][:, None])
            )
            bins, fixed = Bins(n, m, x + y, y, theta), (edge >= 0)[:, None, None]
            added = log_evidence(bins, np.arange(n.size), n.size, log_ratios=_LOG_RATIOS)
            self._log_e[:, usable, row] += added.reshape(2, *shape, -1) / phi[usable, column, None, None] * fixed


def _has_left(control: Ints, edge: int, q: float) -> bool:
    """Are control's odds of being beyond the edge more than doubled or less than half of the quantile's?"""
    total = int(control.sum())
    beyond = float(control[edge + 1 :].sum()) + 0.5
    odds = beyond / (total + 1 - beyond)
    return not 0.5 <= odds / ((1 - q) / q) <= 2.0


def _runs_of_like_share(rows: Counts) -> list[tuple[int, int]]:
    """Maximal runs of bins in which treatment's share of requests stays within sampling noise of the run's."""
    per_bin = np.stack(
        [np.bincount(rows.bin, weights=rows.count * (rows.arm == a), minlength=rows.bins) for a in (0, 1)]
    )
    runs: list[tuple[int, int]] = []
    start, seen, treated = 0, 0.0, 0.0
    for at in range(rows.bins):
        n1, n = float(per_bin[TREATMENT, at]), float(per_bin[:, at].sum())
        share = (treated + 1.0) / (seen + 2.0)
        sd = np.sqrt(share * (1 - share) * n * (1 + n / (seen + 2.0)))
        if seen and n and abs(n1 - n * share) > _SHARE_SD * sd + 1.0:
            runs.append((start, at))
            start, seen, treated = at, 0.0, 0.0
        seen, treated = seen + n, treated + n1
    return [*runs, (start, rows.bins)]
