"""What control services did since the change: counts per step, held against their own expectations.

One that serves another version than before the change was deployed itself, and says nothing from that step on.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from onejob.model.evidence import ControlCell, ControlService, Expectations
from onejob.stats import controls, scan
from onejob.stats.expectation import Beside

Floats = NDArray[np.float64]

# Of each signal, which counts are its events, and which its exposure: columns of `_counts`, None for 1.
_REQUESTS, _SPANS, _FAILED, _TIMED, _SLOWER_P50, _SLOWER_P95 = range(6)
_OF_SIGNAL: dict[str, tuple[int, int | None]] = {
    "errors": (_FAILED, _SPANS),
    "latency_p50": (_SLOWER_P50, _TIMED),
    "latency_p95": (_SLOWER_P95, _TIMED),
    "shortfall": (_REQUESTS, None),
}

_ALIKE = 0.5


class ControlCounts:
    """Counts of shape (service, 6, step)."""

    def __init__(self, expectations: Expectations, steps: int) -> None:
        self._services: Sequence[ControlService] = expectations.controls
        self._first, self._step_s, self._steps = expectations.first, expectations.step_s, steps
        self._numbers = {one.service: number for number, one in enumerate(self._services)}
        self._counts: Floats = np.zeros((len(self._services), 6, steps))
        self._steady = [steps] * len(self._services)  # steps before the first one with another version

    @property
    def names(self) -> tuple[str, ...]:
        """Of the services that still say something; none where they are too few for that."""
        found = tuple(one.service for one, until in zip(self._services, self._steady, strict=True) if until)
        return found if len(found) >= controls.FEWEST else ()

    def consume(self, cells: Iterable[ControlCell]) -> None:
        """Add these; what cannot be is left out."""
        for cell in cells:
            number = self._numbers.get(cell.service)
            values = (cell.requests, cell.spans, cell.failed, cell.timed, cell.slower_p50, cell.slower_p95)
            if number is None or not all(0 <= value < np.inf for value in values):
                continue
            step = (cell.bin_start - self._first) // self._step_s
            if cell.version != self._services[number].version:
                self._steady[number] = max(0, min(self._steady[number], step))
            elif 0 <= step < self._steps:
                self._counts[number, :, step] += values

    def beside(self, signal: str, elapsed: int) -> Beside | None:
        """What they did up to a step; None with too few of them."""
        if len(self._services) < controls.FEWEST:
            return None
        events, expected = self._held(signal, elapsed)
        return controls.beside(events[:, None, :], expected[:, None, :], scan.widths(self._step_s, self._steps))

    def alike(self, signal: str, where: slice, seen: float, expected: float) -> tuple[str, ...]:
        """Those that are off, in these steps, by at least half of what `seen` is off `expected`, to the same side."""
        ours = float(np.log(controls.factors(np.array(seen), np.array(expected))))
        events, usual = (values[:, where].sum(axis=1) for values in self._held(signal, self._steps))
        theirs = np.log(controls.factors(events, usual)) * np.sign(ours)
        return tuple(
            one.service for one, off in zip(self._services, theirs, strict=True) if off >= _ALIKE * abs(ours) > 0
        )

    def _held(self, signal: str, elapsed: int) -> tuple[Floats, Floats]:
        """Events and expected ones, of shape (service, step)."""
        of_events, of_exposure = _OF_SIGNAL[signal]
        events = self._counts[:, of_events]
        exposure = np.ones_like(events) if of_exposure is None else self._counts[:, of_exposure]
        rates = np.array([one.rates[signal] for one in self._services])
        at = np.arange(self._steps)
        is_known = (at < elapsed) & (at < np.array(self._steady)[:, None])
        return events * is_known, exposure * rates * is_known
