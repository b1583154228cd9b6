"""How much slower or faster: a time-uniform interval for the ratio of durations at one of control's quantiles.

Control's bucket edge c near the quantile is fixed before the bins it is used for. For rho = 2^(s/32) the hypothesis
H_s: P(treatment > rho c) = P(control > c) is tested by the core test on bucket counts shifted by s. While treatment
is slower than rho says, H_s is refuted by "likelier"; while it is faster, by the test with arms swapped. The interval
holds every rho not yet refuted, and ends at the nearest refuted ones (rounded outward to the next that was tested). It
is the ratio *at c*, widened by what instances may differ (theta_0).

Evidence of one side falls along s: a request less beyond rho c takes log r from it and returns less than that. So one
true s is enough to keep all beyond it from being refuted, and those outside the interval need not be tested any more.

Bins are tested in merged runs: see `merging`. When load has carried control away from c, c is fixed anew and the
evidence starts again; epoch k has 6 / (pi k)^2 of alpha, so that all of them together have alpha.
"""

import numpy as np
from numpy.typing import NDArray

from onejob.stats import histogram
from onejob.stats.core_test import Bins, log_evidence_per_bin
from onejob.stats.mixture import log_mean
from onejob.verdict.counts import CONTROL, TREATMENT, Counts, histograms, table
from onejob.verdict.evidence import QUANTILES, Evidence
from onejob.verdict.merging import Runs

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

REPORTED = (0.5, 0.95, 0.99)
# Bucket by bucket where tolerances are, then a fifth further each time, up to x8.
_STEPS = np.array([0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 27, 32, 40, 48, 64, 96])
SHIFTS: Ints = np.unique(np.concatenate([-_STEPS, _STEPS]))
# From "7 % likelier", which is 5 % of a duration where durations spread over a factor of ten, to "20 times".
_LOG_RATIOS: Floats = np.array([0.07, 0.2, 0.5, 1.2, 3.0])
_LEAST_BEYOND = 20  # control requests beyond a quantile, for it to be a quantile
_NONE = -1


class LatencyIntervals:
    """Which shifts are refuted, per operation, reported quantile, shift and side; grows with the operations.

    `coarse_edges`: see `RequestMetrics.edges`.
    """

    def __init__(
        self, alpha: float, reported: tuple[float, ...] = REPORTED, coarse_edges: tuple[int, ...] = ()
    ) -> None:
        self._alpha = alpha
        self.reported = reported
        self.coarse_edges = coarse_edges
        self.columns = tuple(QUANTILES.index(q) for q in reported)
        quantiles, shifts = len(reported), len(SHIFTS)
        self.edges: Ints = np.full((0, quantiles), _NONE, dtype=np.int64)
        self._epoch: Ints = np.ones((0, quantiles), dtype=np.int64)
        self._log_e: Floats = np.zeros((2, 0, quantiles, shifts, len(_LOG_RATIOS)))
        self._refuted: Bools = np.zeros((2, 0, quantiles, shifts), dtype=bool)
        self._runs = Runs()
        self._gathered: Ints = np.zeros((2, 0, histogram.SIZE), dtype=np.int64)
        self._noise: tuple[Floats, Floats] | None = None  # phi and log theta_0 as they were when the run began

    def grow(self, operations: int) -> None:
        """Make room for new operations."""
        more = operations - len(self.edges)
        if more <= 0:
            return
        self.edges = np.pad(self.edges, ((0, more), (0, 0)), constant_values=_NONE)
        self._epoch = np.pad(self._epoch, ((0, more), (0, 0)), constant_values=1)
        self._log_e = np.pad(self._log_e, ((0, 0), (0, more), (0, 0), (0, 0), (0, 0)))
        self._refuted = np.pad(self._refuted, ((0, 0), (0, more), (0, 0), (0, 0)))
        self._gathered = np.pad(self._gathered, ((0, 0), (0, more), (0, 0)))
        self._runs.grow(operations)

    def fix_edges(self, evidence: Evidence) -> None:
        """Fix c where there is none yet; what was gathered before is not tested with it."""
        self.close(evidence)
        self.edges = np.where(self.edges == _NONE, evidence.edges[:, self.columns], self.edges)

    def consume(self, rows: Counts, evidence: Evidence) -> None:
        """Gather a run of bins, and test what is due."""
        requests = table(rows, rows.timed, len(self.edges))
        requests *= (requests[CONTROL] > 0) & (requests[TREATMENT] > 0)
        at = 0
        while at < rows.bins:
            if self._noise is None or len(self._noise[0]) < len(self.edges):
                self._noise = evidence.phi(), evidence.log_theta_0()
            cut = self._runs.gather(requests[:, :, at:])
            end = rows.bins if cut is None else at + cut.at
            self._gather(rows.select(at, end), requests[CONTROL, :, at:end] > 0)
            if cut is not None:
                self.close(evidence, is_break=cut.is_break)
            at = end

    def close(self, evidence: Evidence, *, is_break: bool = False) -> None:
        """Test what was gathered."""
        if self._noise is not None and self._gathered.any():
            self._test(*self._noise)
            self._follow(evidence)
            self._gathered[:] = 0
        self._noise = None
        self._runs.close(is_break=is_break)

    def bounds(self, operation: int, row: int) -> tuple[float | None, float | None]:
        """(low, high) of the ratio; None where nothing is refuted on that side yet."""
        low, high = self._ends(self._refuted[:, operation, row])
        return (
            self._lowest(int(self.edges[operation, row]), int(SHIFTS[low])) if low >= 0 else None,
            float(2.0 ** (SHIFTS[high] / histogram.PER_OCTAVE)) if high < len(SHIFTS) else None,
        )

    def _lowest(self, edge: int, shift: int) -> float:
        """The ratio that a shift refuted as too low leaves. Durations put at the upper edges of coarse buckets may have
        been anywhere in the bucket of rho c.
        """
        at = edge + shift
        if self.coarse_edges and at + histogram.LOWEST not in self.coarse_edges:
            at = int(histogram.below(self.coarse_edges)[np.clip(at, 0, histogram.SIZE - 1)])
        return float(2.0 ** ((at - edge) / histogram.PER_OCTAVE))

    @staticmethod
    def _ends(refuted: Bools) -> tuple[Ints, Ints]:
        """Indices of the highest shift refuted as too low, or -1, and the lowest refuted as too high, or the end."""
        slower, faster = refuted
        size = len(SHIFTS)
        low = np.where(slower.any(axis=-1), size - 1 - slower[..., ::-1].argmax(axis=-1), -1)
        high = np.where(faster.any(axis=-1), faster.argmax(axis=-1), size)
        return low, high

    def _gather(self, rows: Counts, both: Bools) -> None:
        if rows.bins:
            self._gathered += histograms(rows, len(self.edges), both[rows.operation, rows.bin])

    def _test(self, phi: Floats, log_theta_0: Floats) -> None:
        """Add the evidence of the gathered run for every shift still inside its interval."""
        low, high = self._ends(self._refuted)
        index = np.arange(len(SHIFTS))
        n0, n1 = self._gathered.sum(axis=2)
        served = ((n0 > 0) & (n1 > 0))[:, None] & (self.edges >= 0)
        op, row, at = np.nonzero(served[:, :, None] & (index > low[:, :, None]) & (index < high[:, :, None]))
        if not len(op):
            return
        # beyond[arm, op, p] = requests in buckets after position p
        beyond = self._gathered.sum(axis=2, keepdims=True) - self._gathered.cumsum(axis=2)
        edge, column = self.edges[op, row], 1 + np.array(self.columns)[row]
        x0 = beyond[CONTROL, op, edge]
        x1 = beyond[TREATMENT, op, np.clip(edge + SHIFTS[at], 0, histogram.SIZE - 1)]
        bins = Bins(n0[op], n1[op], x0 + x1, x1, log_theta_0[op, column])
        added = log_evidence_per_bin(bins, log_ratios=_LOG_RATIOS) / phi[op, column][None, :, None]
        self._log_e[:, op, row, at] += added
        bars = self._bars()[op, row]
        self._refuted[:, op, row, at] |= log_mean(self._log_e[:, op, row, at], axis=2) >= bars

    def _bars(self) -> Floats:
        """What refutes, per operation and row: half of the epoch's alpha for each end."""
        bars: Floats = np.log(2.0 / self._alpha * (np.pi * self._epoch) ** 2 / 6)
        return bars

    def _follow(self, evidence: Evidence) -> None:
        """Fix c anew where control has left it while both arms served."""
        summed = evidence.histogram[CONTROL].cumsum(axis=1)
        total = summed[:, -1]
        for row, q in enumerate(self.reported):
            edge = self.edges[:, row]
            beyond = total - np.take_along_axis(summed, np.maximum(edge, 0)[:, None], axis=1)[:, 0]
            known = (edge >= 0) & (total * (1 - q) >= _LEAST_BEYOND)
            there = histogram.quantile_positions(summed, q)
            # Where one value holds most of the mass, no edge is near the quantile, and this one is as good as any.
            for op in np.flatnonzero(known & _has_left(beyond, total, q) & (there != edge)):
                self._start_again(int(op), row, int(there[op]))

    def _start_again(self, op: int, row: int, edge: int) -> None:
        self.edges[op, row] = edge
        self._epoch[op, row] += 1
        self._log_e[:, op, row] = 0.0
        self._refuted[:, op, row] = False


def _has_left(beyond: Ints, total: Ints, q: float) -> Bools:
    """Are control's odds of being beyond the edge more than doubled or less than half of the quantile's?"""
    odds = (beyond + 0.5) / (total - beyond + 0.5)
    ratio = odds / ((1 - q) / q)
    result: Bools = (ratio < 0.5) | (ratio > 2.0)
    return result
