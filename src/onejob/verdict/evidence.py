"""The running evidence of one deployment: what every bin added, as arrays over operations.

Everything a bin is judged by (thresholds, phi, theta_0) is fixed before the bin is looked at, from control's past
alone; that is what keeps the products e-processes. The first index of an evidence array is the side: 0 looks for
worse, 1 for better (the same test with the arms swapped).
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from onejob.model.evidence import JudgeSettings, SignalHistory
from onejob.stats import core_test, design_effect, histogram
from onejob.stats.core_test import Bins
from onejob.verdict import counts
from onejob.verdict.counts import CONTROL, TREATMENT, Counts

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


class Evidence:
    """State of the core test for errors and exceedances; arrays grow as operations and instances appear."""

    def __init__(self, settings: JudgeSettings | None = None) -> None:
        told = settings or JudgeSettings()
        self._phi_factor = told.phi_factor
        history = {past.signal: past for past in told.history}
        self._history = [history.get(name) for name in SIGNAL_NAMES]
        ratios = len(core_test.LOG_RATIOS)
        self.log_e: Floats = np.zeros((2, 0, _SIGNALS, ratios))
        self.requests: Ints = np.zeros((2, 0), dtype=np.int64)  # of bins in which both arms served
        self.errors: Ints = np.zeros((2, 0), dtype=np.int64)
        self.timed: Ints = np.zeros((2, 0), dtype=np.int64)
        self.histogram: Ints = np.zeros((2, 0, histogram.SIZE), dtype=np.int64)
        self.edges: Ints = np.full((0, len(QUANTILES)), -1, dtype=np.int64)
        self.control_seen = 0
        self._control_histogram: Ints = np.zeros((0, histogram.SIZE), dtype=np.int64)
        self._frozen_at = 0
        self._residuals: Floats = np.zeros((_SIGNALS, 2))  # sum of ratios, blocks
        self._by_instance: Floats = np.zeros((0, 0, _SIGNALS, 2))  # instance, operation, signal, (events, requests)
        self.instances_serving = (0, 0)

    def grow(self, operations: int, instances: int) -> None:
        """Make room; what is there stays."""
        more = operations - self.requests.shape[1]
        self.log_e = _pad(self.log_e, 1, more)
        self.requests, self.errors, self.timed = (_pad(a, 1, more) for a in (self.requests, self.errors, self.timed))
        self.histogram = _pad(self.histogram, 1, more)
        self.edges = _pad(self.edges, 0, more, fill=-1)
        self._control_histogram = _pad(self._control_histogram, 0, more)
        self._by_instance = _pad(_pad(self._by_instance, 1, more), 0, instances - self._by_instance.shape[0])

    @property
    def operations(self) -> int:
        return int(self.requests.shape[1])

    def phi(self) -> Floats:
        """The design effect of each signal, from what was seen so far; shape (signals,)."""
        past = [None if p is None or p.phi is None else (p.phi, p.blocks) for p in self._history]
        seen = [design_effect.phi(s, n, known) for (s, n), known in zip(self._residuals, past, strict=True)]
        return self._phi_factor * np.array(seen)

    def log_theta_0(self) -> Floats:
        """Log of the odds ratio that instances may show without a change; shape (operations, signals)."""
        m0, m1 = self.instances_serving
        past = [design_effect.log_theta_0(_between(one), m0, m1) for one in self._history]
        out = np.tile(np.array(past), (self.operations, 1))
        if m0 >= 3:
            for op, signal in np.ndindex(*out.shape):
                seen = self._by_instance[:, op, signal]
                between = design_effect.between_instances(seen[:, 0], seen[:, 1])
                if between is not None:
                    out[op, signal] = design_effect.log_theta_0(between, m0, m1)
        return out

    def bins_until_refreeze(self, control_per_bin: Ints) -> int:
        """How many of the next bins may be consumed before thresholds are due to be frozen again; at least one."""
        seen = self.control_seen + np.cumsum(control_per_bin)
        due = int(np.searchsorted(seen, max(2 * _LEAST_BEYOND, _REFREEZE * self._frozen_at)))
        return min(len(control_per_bin), due + 1)

    def refreeze(self) -> bool:
        """Freeze thresholds at control's quantiles so far, for bins to come, if they are due."""
        if self.control_seen < max(2 * _LEAST_BEYOND, _REFREEZE * self._frozen_at):
            return False
        self._frozen_at = self.control_seen
        total = self._control_histogram.sum(axis=1)
        for column, q in enumerate(QUANTILES):
            for op in np.flatnonzero(total * (1 - q) >= _LEAST_BEYOND):
                self.edges[op, column] = histogram.quantile_position(self._control_histogram[op], q)
        self._by_instance[:, :, 1:] = 0.0  # exceedances of other thresholds do not add up
        return True

    def consume(self, rows: Counts) -> None:
        """Add the evidence of bins that the present thresholds, phi and theta_0 apply to; then learn from them."""
        n = counts.table(rows, rows.count, self.operations)
        errors = counts.table(rows, rows.errors, self.operations)
        timed = counts.table(rows, rows.timed, self.operations)
        beyond = counts.exceedances(rows, self.edges)
        events = np.stack(
            [errors, *(counts.table(rows, beyond[:, q], self.operations) for q in range(beyond.shape[1]))], axis=2
        )
        totals = np.stack([n] + [timed] * len(QUANTILES), axis=2)  # arm, operation, signal, bin
        self._test(totals, events)
        self._tally(rows, n, errors, timed)
        self._learn(rows, totals[CONTROL], events[CONTROL], beyond)

    def _test(self, totals: Ints, events: Ints) -> None:
        _, operations, signals, bins = totals.shape
        groups = np.repeat(np.arange(operations * signals), bins)
        log_theta_0 = np.repeat(self.log_theta_0().reshape(-1), bins)
        (n0, n1), (x0, x1) = totals.reshape(2, -1), events.reshape(2, -1)
        added = core_test.log_evidence(Bins(n0, n1, x0 + x1, x1, log_theta_0), groups, operations * signals)
        self.log_e += added.reshape(2, operations, signals, -1) / self.phi()[None, None, :, None]

    def _tally(self, rows: Counts, n: Ints, errors: Ints, timed: Ints) -> None:
        both = (n[CONTROL] > 0) & (n[TREATMENT] > 0)
        self.requests += (n * both).sum(axis=2)
        self.errors += (errors * both).sum(axis=2)
        both_timed = (timed[CONTROL] > 0) & (timed[TREATMENT] > 0)
        self.timed += (timed * both_timed).sum(axis=2)
        self.histogram += counts.histograms(rows, self.operations, both_timed[rows.operation, rows.bin])
        self._control_histogram += counts.histograms(rows, self.operations)[CONTROL]
        self.control_seen += int(n[CONTROL].sum())

    def _learn(self, rows: Counts, totals: Ints, events: Ints, beyond: Ints) -> None:
        """phi and s_b, from control's instances against each other; one alone has nothing to be compared with."""
        control, treatment = (_distinct(rows, arm) for arm in (CONTROL, TREATMENT))
        self.instances_serving = (control or self.instances_serving[0], treatment or self.instances_serving[1])
        if control <= 1:
            return
        mine = np.flatnonzero(rows.arm == CONTROL)
        op, at = rows.operation[mine], rows.bin[mine]
        for signal in range(_SIGNALS):
            n_i = rows.count[mine] if signal == ERRORS else rows.timed[mine]
            x_i = rows.errors[mine] if signal == ERRORS else beyond[mine, signal - 1]
            total, blocks = design_effect.residual_ratio(n_i, totals[op, signal, at], events[op, signal, at], x_i)
            self._residuals[signal] += (total, blocks)
            for column, values in enumerate((x_i, n_i)):
                self._by_instance[:, :, signal, column] += self._per_instance(rows.instance[mine], op, values)

    def _per_instance(self, instance: Ints, operation: Ints, values: Ints) -> Floats:
        instances = len(self._by_instance)
        key = instance * self.operations + operation
        sums = np.bincount(key, weights=values, minlength=instances * self.operations)
        return sums.reshape(instances, self.operations).astype(float)


def _between(past: SignalHistory | None) -> tuple[float, int] | None:
    return None if past is None or past.s_b is None else (past.s_b, past.instances)


def _distinct(rows: Counts, arm: int) -> int:
    return len(np.unique(rows.instance[rows.arm == arm]))


def _pad(array: NDArray[_T], axis: int, more: int, fill: float = 0) -> NDArray[_T]:
    if more <= 0:
        return array
    shape = list(array.shape)
    shape[axis] = more
    return np.concatenate([array, np.full(shape, fill, dtype=array.dtype)], axis=axis)
