"""How noisy each signal is without any change: phi and theta_0, learnt from control's past.

Requests come in clusters and instances are not alike; `stats.design_effect` says how both are measured. Here the sums
are kept that it needs, per operation and signal: residuals between control's instances bin by bin, and each instance's
totals. One instance alone has nothing to be compared with; what history says, or a cold start assumes, then stands.
"""

import numpy as np
from numpy.typing import NDArray

from onejob.model.evidence import JudgeSettings, SignalHistory
from onejob.stats import design_effect
from onejob.verdict import counts
from onejob.verdict.counts import CONTROL, TREATMENT, Counts

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# An instance serves while it was seen in one of so many bins: at low traffic one bin does not see them all.
_SERVING_BINS = 6
# theta_0 is rounded up to this in log odds: careful by 1 % at most, and equal bins of operations stay equal.
_THETA_STEP = 0.01
_MOST_CELLS = 100_000  # learnt from at once: a day recomputed in one go has a hundred times what phi needs


class Noise:
    """Sums over control's instances; the last axis of an array over signals is (sum of squares, how many)."""

    def __init__(self, settings: JudgeSettings, signals: tuple[str, ...]) -> None:
        self._factor = settings.phi_factor
        history = {past.signal: past for past in settings.history}
        self._history = [history.get(name) for name in signals]
        self._names = signals
        self._signals = len(signals)
        self._residuals: Floats = np.zeros((self._signals, 2))
        self._events: Floats = np.zeros((0, 0, self._signals))  # instance, operation, signal
        self._requests: Floats = np.zeros((0, 0, self._signals))
        self._before: tuple[Floats, Floats] = (np.zeros((0, self._signals)), np.zeros((0, self._signals)))
        self._last_seen: tuple[Ints, Ints] = (_never(0), _never(0))  # bin, per instance: control, treatment
        self._serving = (0, 0)
        self._bins = 0
        self._log_theta_0: Floats | None = None

    def grow(self, operations: int, instances: int) -> None:
        """Make room; what is there stays."""
        had, knew, _ = self._events.shape
        if operations <= knew and instances <= had:
            return
        shape = (max(instances, had), max(operations, knew), self._signals)
        for name in ("_events", "_requests"):
            wider = np.zeros(shape)
            wider[:had, :knew] = getattr(self, name)
            setattr(self, name, wider)
        more = _never(shape[0] - had)
        self._last_seen = (np.append(self._last_seen[0], more), np.append(self._last_seen[1], more))
        self._log_theta_0 = None

    def phi(self) -> Floats:
        """The design effect; shape (operations, signals)."""
        past = [None if p is None or p.phi is None else (p.phi, p.blocks) for p in self._history]
        seen = [design_effect.phi(s, n, known) for (s, n), known in zip(self._residuals, past, strict=True)]
        return np.tile(self._factor * np.array(seen), (self._events.shape[1], 1))

    def seen(self) -> tuple[SignalHistory, ...]:
        """What control's instances showed of each signal, without what was assumed before."""
        s_b, used, _ = design_effect.between_instances_each(self._events, self._requests)
        return tuple(self._seen(signal, s_b[:, signal], used[:, signal]) for signal in range(self._signals))

    def _seen(self, signal: int, s_b: Floats, used: Ints) -> SignalHistory:
        """Of all operations together: s_b is weighted by its degrees of freedom."""
        total, blocks = self._residuals[signal]
        enough = used >= design_effect.LEAST_INSTANCES
        degrees = np.where(enough, used - 1, 0)
        variance = float((s_b**2 * degrees).sum() / degrees.sum()) if enough.any() else None
        return SignalHistory(
            signal=self._names[signal],
            phi=float(total / blocks) if blocks else None,
            blocks=int(blocks),
            s_b=None if variance is None else variance**0.5,
            instances=int(used[enough].max(initial=0)),
        )

    def log_theta_0(self) -> Floats:
        """Log of the odds ratio that instances may show without a change; shape (operations, signals)."""
        if self._log_theta_0 is None:
            self._log_theta_0 = np.ceil(self._theta_now() / _THETA_STEP - 1e-9) * _THETA_STEP
        return self._log_theta_0

    def _theta_now(self) -> Floats:
        past = np.array([design_effect.log_theta_0(_between(one), *self._serving) for one in self._history])
        known = np.tile(past, (self._events.shape[1], 1))
        if len(self._events) < design_effect.LEAST_INSTANCES:
            return known
        seen = design_effect.log_theta_0_each(*self._between_now(), *self._serving)
        return np.where(np.isnan(seen), known, seen)

    def _between_now(self) -> tuple[Floats, Floats]:
        """s_b and its worth, of (operations, signals): of the sums so far, or of those before thresholds last moved; of
        a duration's quantile that is worth nothing yet, what the one below it shows.
        """
        s_b, _, df = design_effect.between_instances_each(self._events, self._requests)
        had, knew = self._before[0], self._before[1]
        was = df[: len(had)] < knew
        s_b[: len(had)][was], df[: len(had)][was] = had[was], knew[was]
        for signal in range(2, self._signals):
            none = (df[:, signal] < design_effect.LEAST_DF) & (df[:, signal - 1] > df[:, signal])
            s_b[none, signal], df[none, signal] = s_b[none, signal - 1], df[none, signal - 1]
        return s_b, df

    def forget_exceedances(self) -> None:
        """Thresholds have moved: exceedances of other thresholds do not add up. How unlike instances are at them does
        not change by that.
        """
        self._before = self._between_now()
        self._events[:, :, 1:] = 0.0
        self._requests[:, :, 1:] = 0.0
        self._log_theta_0 = None

    def learn(self, rows: Counts, edges: Ints, totals: Ints, events: Ints) -> None:
        """From control's instances against each other; `totals` (operation, 2, bin) and `events` are all of control's.

        Signal 0 is of all requests, the others are timed ones beyond `edges` (operation, threshold).
        """
        self._count_instances(rows)
        control = np.flatnonzero(rows.arm == CONTROL)
        if not len(control) or rows.instance[control].min() == rows.instance[control].max():
            return
        beyond = counts.exceedances_by_cell(rows, edges)
        stride = 1 + len(control) // _MOST_CELLS
        if stride > 1:
            control = control[rows.bin[control] % stride == 0]
        self._compare(rows, control, beyond[control], totals, events)

    def _count_instances(self, rows: Counts) -> None:
        """How many of each arm served of late; an arm that fell silent keeps what it had."""
        for arm, seen in zip((CONTROL, TREATMENT), self._last_seen, strict=True):
            mine = rows.arm == arm
            np.maximum.at(seen, rows.instance[mine], self._bins + rows.bin[mine])
        self._bins += rows.bins
        control, treatment = (int((seen >= self._bins - _SERVING_BINS).sum()) for seen in self._last_seen)
        self._serving = (control or self._serving[0], treatment or self._serving[1])
        self._log_theta_0 = None

    def _compare(self, rows: Counts, control: Ints, beyond: Ints, totals: Ints, events: Ints) -> None:
        op, at = rows.operation[control], rows.bin[control]
        is_timed = np.minimum(np.arange(self._signals), 1)
        n_i = np.stack([rows.count[control], rows.timed[control]], axis=1)[:, is_timed]
        x_i = np.concatenate([rows.errors[control][:, None], beyond], axis=1)
        n, k = totals[op, :, at][:, is_timed], events[op, :, at]
        ratios, usable = design_effect.residual_ratios(n_i, n, k, x_i)
        self._residuals += np.stack([ratios.sum(axis=0), usable.sum(axis=0)], axis=1)
        key = rows.instance[control] * self._events.shape[1] + op
        for sums, values in ((self._events, x_i), (self._requests, n_i)):
            # Adding integers to floats takes numpy four times as long.
            np.add.at(sums.reshape(-1, self._signals), key, values.astype(np.float64))


def _between(past: SignalHistory | None) -> tuple[float, int] | None:
    return None if past is None or past.s_b is None else (past.s_b, past.instances)


def _never(instances: int) -> Ints:
    return np.full(instances, -(10**9), dtype=np.int64)
