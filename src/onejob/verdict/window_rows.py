"""Rows of a verdict that compares with the past: what a window of the hour shows, in the user's units.

`before_after` says whether that is more than moments without a change show; here it gets its size and interval.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onejob.model.evidence import ExpectedSeries, JudgeSettings
from onejob.model.verdict import EffectKind
from onejob.stats import histogram, scan
from onejob.stats.expectation import Residuals
from onejob.verdict import tolerances
from onejob.verdict.counts import CONTROL, TREATMENT
from onejob.verdict.signals import Row

Floats = NDArray[np.float64]
_Pair = tuple[float, float]
# Traffic has its own ups and downs that no deployment makes: only half of it missing is damage.
_TOLERATED_SHORTFALL = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """A series since the change. `durations`: (step, SIZE). `sides`: of the scan, for worse and for better."""

    residuals: Residuals
    scale: Floats
    requests: Floats
    events: Floats
    durations: NDArray[np.int32]
    sides: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Size:
    """What a window shows: events seen and expected, and by how many they may rise and fall without a change."""

    seen: Seen
    window: scan.Peak
    rise: float
    fall: float

    @property
    def where(self) -> slice:
        """Its steps."""
        return slice(self.window.first, self.window.first + self.window.width)

    @property
    def requests(self) -> float:
        """Requests in it."""
        return float(self.seen.requests[self.where].sum())

    @property
    def events(self) -> float:
        """Events in it."""
        return float(self.seen.events[self.where].sum())

    @property
    def expected(self) -> float:
        """Events expected in it."""
        return float(self.seen.residuals.expected[0, self.where].sum())


def _errors_row(one: ExpectedSeries, size: Size, log_e: _Pair, settings: JudgeSettings) -> Row:
    n = max(size.requests, 1.0)
    control, treatment = size.expected / n, size.events / n
    tolerance = tolerances.of_errors(settings, one.signal, one.operation, control)
    ends = (treatment - control - size.rise / n, treatment - control + size.fall / n)
    return _difference(one, size, log_e, (control, treatment), ends, tolerance)


def _shortfall_row(one: ExpectedSeries, size: Size, log_e: _Pair, _: JudgeSettings) -> Row:
    expected = max(size.expected, 1.0)
    missing = 1 - size.events / expected
    ends = (missing - size.fall / expected, missing + size.rise / expected)
    return _difference(one, size, log_e, (0.0, missing), ends, _TOLERATED_SHORTFALL)


def _latency_row(one: ExpectedSeries, size: Size, log_e: _Pair, settings: JudgeSettings) -> Row:
    edge = -1 if one.edge is None else one.edge
    durations = size.seen.durations[size.where].sum(axis=0)
    n, edge_s = float(durations.sum()), histogram.upper_edge_s(edge)

    def ratio(beyond: float, held: histogram.Counts | Floats) -> float | None:
        """Of the duration that so many requests exceed now to the one that as many exceeded before."""
        at = histogram.quantile_s(held, 1 - beyond / n) if 0.5 <= beyond <= n - 0.5 else None
        return None if at is None else at / edge_s

    least = likely = durations
    if settings.metrics is not None and settings.metrics.edges:
        least, likely = (put(durations, settings.metrics.edges) for put in (histogram.lowest, histogram.spread))
    effect = ratio(size.expected, likely)
    low, high = ratio(size.expected + size.rise, least), ratio(size.expected - size.fall, durations)
    return _row(
        one,
        size,
        log_e,
        kind=EffectKind.RATIO,
        values=(edge_s, None if effect is None else edge_s * effect),
        effect=(effect, low, high),
        tolerance=tolerances.of_latency(settings, one.signal, one.operation),
    )


def _difference(one: ExpectedSeries, size: Size, log_e: _Pair, values: _Pair, ends: _Pair, tolerance: float) -> Row:
    effect = (values[TREATMENT] - values[CONTROL], *ends)
    return _row(one, size, log_e, kind=EffectKind.DIFFERENCE, values=values, effect=effect, tolerance=tolerance)


def _row(
    one: ExpectedSeries,
    size: Size,
    log_e: _Pair,
    *,
    kind: EffectKind,
    values: tuple[float | None, float | None],
    effect: tuple[float | None, float | None, float | None],
    tolerance: float,
) -> Row:
    return Row(
        family=one.signal,
        operation=one.operation,
        signal=one.signal,
        kind=kind,
        control=values[CONTROL],
        treatment=values[TREATMENT],
        effect=effect[0],
        low=effect[1],
        high=effect[2],
        tolerance=tolerance,
        log_e=log_e,
        own_log_e=log_e,
        weight=1.0,
        phi=1.0,
        theta_0=1.0,
        requests=(0, int(size.requests)),
        events=(0, int(size.events)),
    )


ROWS = {
    "errors": _errors_row,
    "latency_p50": _latency_row,
    "latency_p95": _latency_row,
    "shortfall": _shortfall_row,
}
