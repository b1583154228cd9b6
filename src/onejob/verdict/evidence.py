"""The running evidence of one deployment: what every bin added, as arrays over operations.

Everything a bin is judged by (thresholds, phi, theta_0) is fixed before the bin is looked at, from the past alone;
that is what keeps the products e-processes. The first index of an evidence array is the side: 0 looks for
worse, 1 for better (the same test with the arms swapped).
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from onejob.model.evidence import JudgeSettings
from onejob.stats import core_test, histogram
from onejob.verdict import counts
from onejob.verdict.counts import CONTROL, TREATMENT, Counts
from onejob.verdict.load import Load
from onejob.verdict.noise import Noise

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_T = TypeVar("_T", bound=np.generic)

QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
# A threshold is used once control has this many requests beyond it.
_LEAST_BEYOND = 20
# Thresholds are frozen again when control has grown by half: late enough to be stable, early enough to follow it.
_REFREEZE = 1.5
ERRORS = 0  # index of the signal in arrays over signals; 1 + q is the exceedance of quantile q
_SIGNALS = 1 + len(QUANTILES)
SIGNAL_NAMES = ("errors", *(f"p{q * 100:g}" for q in QUANTILES))  # as in SignalHistory
_BETTER = 1
_AT_ONCE = 100_000  # bins tested together; more do not fit into the processor's cache


class Evidence:
    """State of the core test for errors and exceedances; arrays grow as operations and instances appear."""

    def __init__(self, settings: JudgeSettings | None = None) -> None:
        ratios = len(core_test.LOG_RATIOS)
        self.noise = Noise(settings or JudgeSettings(), SIGNAL_NAMES)
        self.load = Load()
        self.log_e: Floats = np.zeros((2, 0, _SIGNALS, ratios))
        self.requests: Ints = np.zeros((2, 0), dtype=np.int64)  # of bins in which both arms served
        self.errors: Ints = np.zeros((2, 0), dtype=np.int64)
        self.timed: Ints = np.zeros((2, 0), dtype=np.int64)
        # Requests that those spans stand for, failed ones, and the sum of squares over spans.
        self.is_sampled = False
        self.adjusted: Floats = np.zeros((3, 2, 0))
        self.histogram: Ints = np.zeros((2, 0, histogram.SIZE), dtype=np.int64)
        self.edges: Ints = np.full((0, len(QUANTILES)), -1, dtype=np.int64)
        self.control_seen = 0
        self.control_durations: Ints = np.zeros((0, histogram.SIZE), dtype=np.int64)  # of all its bins
        self._frozen_at = 0
        self._costs = core_test.Costs()

    def grow(self, operations: int, instances: int) -> None:
        """Make room; what is there stays."""
        self.noise.grow(operations, instances)
        more = operations - self.requests.shape[1]
        if more <= 0:
            return
        self.log_e = _pad(self.log_e, 1, more)
        self.requests, self.errors, self.timed = (_pad(a, 1, more) for a in (self.requests, self.errors, self.timed))
        self.adjusted = _pad(self.adjusted, 2, more)
        self.histogram = _pad(self.histogram, 1, more)
        self.edges = _pad(self.edges, 0, more, fill=-1)
        self.control_durations = _pad(self.control_durations, 0, more)

    @property
    def operations(self) -> int:
        return int(self.requests.shape[1])

    def phi(self) -> Floats:
        """The design effect of each signal, from what was seen so far; shape (operations, signals)."""
        return self.noise.phi()

    def log_theta_0(self) -> Floats:
        """Log of the odds ratio that instances may show without a change; shape (operations, signals)."""
        return self.noise.log_theta_0()

    def bins_until_refreeze(self, control_per_bin: Ints) -> int:
        """How many of the next bins may be consumed before thresholds are due to be frozen again; at least one."""
        seen = self.control_seen + np.cumsum(control_per_bin)
        due = int(np.searchsorted(seen, self._due_at()))
        return min(len(control_per_bin), due + 1)

    def refreeze(self) -> bool:
        """Freeze thresholds at control's quantiles so far, for bins to come, if they are due."""
        if self.control_seen < self._due_at():
            return False
        self._frozen_at = self.control_seen
        summed = self.control_durations.cumsum(axis=1)
        total = summed[:, -1]
        for column, q in enumerate(QUANTILES):
            enough = total * (1 - q) >= _LEAST_BEYOND
            self.edges[enough, column] = histogram.quantile_positions(summed[enough], q)
        self.noise.forget_exceedances()
        return True

    def consume(self, rows: Counts) -> None:
        """Add the evidence of bins that the present thresholds, phi and theta_0 apply to; then learn from them."""
        totals, events = self._table(rows)
        self._test(totals, events, self.load.consume(rows))
        self._tally(rows, totals, events)
        self.noise.learn(rows, self.edges, totals[CONTROL], events[CONTROL])

    def _due_at(self) -> float:
        return max(2 * _LEAST_BEYOND, _REFREEZE * self._frozen_at)

    def _table(self, rows: Counts) -> tuple[Ints, Ints]:
        """Requests of shape (arm, operation, 2, bin), all and timed; and events (arm, operation, signal, bin)."""
        totals = np.stack([counts.table(rows, v, self.operations) for v in (rows.count, rows.timed)], axis=2)
        events = counts.exceedances(rows, self.edges, self.operations)
        events[:, :, ERRORS] = counts.table(rows, rows.errors, self.operations)
        return totals, events

    def _test(self, totals: Ints, events: Ints, alike: NDArray[np.bool_]) -> None:
        phi, log_theta_0 = self.phi(), self.log_theta_0()
        all_at_once = events.size <= 2 * _AT_ONCE
        for signals in [np.arange(_SIGNALS)] if all_at_once else np.arange(_SIGNALS)[:, None]:
            added = _added(totals, events, signals, log_theta_0, self._costs)
            if not alike.all():
                added[_BETTER] = _added(totals[..., alike], events[..., alike], signals, log_theta_0, self._costs)[
                    _BETTER
                ]
            self.log_e[:, :, signals] += added / phi[None, :, signals, None]

    def _tally(self, rows: Counts, totals: Ints, events: Ints) -> None:
        n, timed = totals[:, :, 0], totals[:, :, 1]
        both = (n[CONTROL] > 0) & (n[TREATMENT] > 0)
        spans, failed = (n * both).sum(axis=2), (events[:, :, ERRORS] * both).sum(axis=2)
        self.requests += spans
        self.errors += failed
        self.adjusted += np.stack([spans, failed, spans]) if rows.weights is None else self._adjusted(rows, both)
        both_timed = (timed[CONTROL] > 0) & (timed[TREATMENT] > 0)
        self.timed += (timed * both_timed).sum(axis=2)
        everything = counts.histograms(rows, self.operations)
        alone = counts.histograms(rows, self.operations, ~both_timed[rows.operation, rows.bin])
        self.histogram += everything - alone
        self.control_durations += everything[CONTROL]
        self.control_seen += int(n[CONTROL].sum())

    def _adjusted(self, rows: Counts, both: NDArray[np.bool_]) -> Floats:
        self.is_sampled = True
        sums = [counts.amounts(rows, v, self.operations) for v in (rows.requests, rows.failed, rows.squares)]
        result: Floats = (np.stack(sums) * both).sum(axis=3)
        return result


def _added(totals: Ints, events: Ints, signals: Ints, log_theta_0: Floats, costs: core_test.Costs) -> Floats:
    """Log evidence of bins: shape (side, operation, signal, ratio)."""
    operations, bins = totals.shape[1], totals.shape[3]
    series = (2, operations * len(signals), bins)
    n0, n1 = totals[:, :, np.minimum(signals, 1)].reshape(series)
    x0, x1 = events[:, :, signals].reshape(series)
    added = core_test.log_evidence_of_series(n0, n1, x0 + x1, x1, log_theta_0[:, signals].reshape(-1), costs)
    return added.reshape(2, operations, len(signals), added.shape[2])


def _pad(array: NDArray[_T], axis: int, more: int, fill: float = 0) -> NDArray[_T]:
    shape = list(array.shape)
    shape[axis] = more
    return np.concatenate([array, np.full(shape, fill, dtype=array.dtype)], axis=axis)
