"""A deployment that replaced the old version at once, judged against the service's own past.

Problem: most deployments have no old version beside them, and an hour that is worse than the one before may be
Monday's. Solution: each series (errors, slow requests, requests at all) is compared with what it would have done: the
same clock time on other days at today's level (`stats.expectation`). How far it strays from that without a change is
not assumed but was replayed before the first look (`stats.replay`); the highest of many series at a moment is compared
with the highest at those moments (Westfall & Young 1993, maxT), so that many operations and many looks do not add up
to an alarm.

The past is in the first batch, as `Expectations`; what comes later are counts. So this is a fold like the rest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from onejob.model.evidence import Cell, ControlCell, Expectations, ExpectedSeries, JudgeSettings
from onejob.model.verdict import FalseAlarms
from onejob.stats import held_out, histogram, scan
from onejob.stats.expectation import Beside, Residuals
from onejob.verdict.control_counts import ControlCounts
from onejob.verdict.false_alarms import rate_of
from onejob.verdict.operations import OTHER
from onejob.verdict.signals import BETTER, EVERYWHERE, WORSE, Row
from onejob.verdict.window_rows import ROWS, Seen, Size

Floats = NDArray[np.float64]

HORIZON_S = 3_600
KIND = "before_after"  # of the control


@dataclass(frozen=True, slots=True)
class Looked:
    """A series at the last look; `peaks` are of worse and better."""

    one: ExpectedSeries
    seen: Seen
    peaks: tuple[scan.Peak, scan.Peak]
    is_elsewhere: bool  # is it worse than usual here, but no more than where nothing was deployed?


class BeforeAfter:
    """Counts of the new version per step since the change; arrays of shape (operation, step)."""

    def __init__(self, expectations: Expectations) -> None:
        self.expectations = expectations
        self._steps = max((len(one.rate) for one in expectations.series), default=0)
        names = dict.fromkeys(one.operation for one in expectations.series)
        self._operations = {name: number for number, name in enumerate(names)}
        shape = (len(names), self._steps)
        self._requests: Floats = np.zeros(shape)
        self._behind: Floats = np.zeros((2, self._steps))  # requests that all spans stand for, and sum of squares
        self._errors: Floats = np.zeros(shape)
        # The largest part of a judge's memory; no operation has 2^31 requests a minute.
        self._durations: NDArray[np.int32] = np.zeros((*shape, histogram.SIZE), dtype=np.int32)
        self.controls = ControlCounts(expectations, self._steps)
        self._of_others: Floats = np.zeros(self._steps)  # requests that other versions of the service answered
        self.elapsed = 0  # judged steps that have ended
        self.looked: dict[tuple[str, str], Looked] = {}  # of (operation, signal)
        self._beside: dict[str, Beside | None] = {}  # of a signal, at the last look

    def consume(self, cells: Iterable[Cell], controls: Iterable[ControlCell], bins_to: int) -> None:
        """Add cells of the new version and of controls; everything before `bins_to` (Unix s) has been seen then."""
        self.controls.consume(controls)
        width, first = self.expectations.step_s, self.expectations.first
        placed: list[tuple[int, int, Cell]] = []
        for cell in cells:
            step = (cell.bin_start - first) // width
            if not 0 <= step < self._steps:
                continue
            requests, _, squares = cell.stands_for
            self._behind[:, step] += requests, squares
            number = self._operations.get(cell.operation, self._operations.get(OTHER))
            if number is not None:
                placed.append((number, step, cell))
        self._place(placed)
        self.elapsed = min(self._steps, max(0, (bins_to - first) // width))

    def consume_others(self, answered: Iterable[tuple[int, float]]) -> None:
        """Add (bin, requests) that other versions answered: nobody misses those."""
        for bin_start, requests in answered:
            step = (bin_start - self.expectations.first) // self.expectations.step_s
            if 0 <= step < self._steps:
                self._of_others[step] += requests

    def _place(self, placed: Sequence[tuple[int, int, Cell]]) -> None:
        """Add counts of (operation, step, cell), all at once: numpy's overhead is that of many cells."""
        for number, step, cell in placed:
            self._requests[number, step] += cell.count
            self._errors[number, step] += cell.errors
        sizes = [len(cell.buckets) + 1 for _, _, cell in placed]
        index, count = (
            np.fromiter(chain.from_iterable(values), dtype=np.int64, count=sum(sizes))
            for values in (
                ((histogram.LOWEST, *cell.buckets) for _, _, cell in placed),
                ((cell.zeros, *cell.buckets.values()) for _, _, cell in placed),
            )
        )
        row, column = (np.repeat(np.array([one[i] for one in placed], dtype=np.int64), sizes) for i in (0, 1))
        np.add.at(self._durations, (row, column, histogram.position(index)), count)

    @property
    def requests(self) -> int:
        """Of the new version in the steps that were judged."""
        return round(float(self._behind[0].sum())) if EVERYWHERE in self._operations else 0

    def was_moving(self, alpha: float) -> bool:
        """Was the hour right before the change already one that moments without a change hardly show?"""
        if not self.expectations.is_adjacent or not self.expectations.series:
            return False
        before = np.array([one.heights[WORSE][-1] for one in self.expectations.series]).max()
        return self._null[WORSE].exceedance(float(before)) <= alpha

    def false_alarms(self, alpha: float) -> FalseAlarms | None:
        """How often hours of the past without a change rise above the bar that the others set, tolerances aside.

        None with too few of them to say.
        """
        known = self.expectations
        if not known.series or not known.starts:
            return None
        found, hours = held_out.alarms(self._heights[WORSE], np.array(known.starts), self._steps, alpha)
        until = datetime.fromtimestamp(known.first, UTC)
        return rate_of(found, hours, 1.0, until) if hours >= held_out.FEWEST else None

    def left_out(self) -> list[str]:
        """What is not known of the past."""
        if self.expectations.series and not self.expectations.days_back:
            return ["Less than a day of the past is known, so what is usual at this time of day is not."]
        return []

    def rows(self, settings: JudgeSettings) -> list[Row]:
        """A row per series, once five minutes have passed."""
        signals = {one.signal for one in self.expectations.series}
        self._beside = {signal: self.controls.beside(signal, self.elapsed) for signal in signals}
        found = (self._row(one, settings) for one in self.expectations.series)
        return [row for row in found if row is not None]

    def _row(self, one: ExpectedSeries, settings: JudgeSettings) -> Row | None:
        seen = self._seen(one)
        worse, better = scan.peaks(seen.residuals, seen.scale, self.expectations.step_s, seen.sides, self.elapsed)
        peaks = (worse, better)
        if not worse.width:
            return None
        of_past = tuple(-float(np.log(self._null[side].exceedance(peaks[side].height))) for side in (WORSE, BETTER))
        log_e = self._beyond_controls(one, seen, of_past)
        bar = float(np.log(1 / settings.alpha))
        is_elsewhere = log_e[WORSE] < bar <= of_past[WORSE]
        self.looked[one.operation, one.signal] = Looked(one, seen, peaks, is_elsewhere)
        window = max(peaks, key=lambda peak: peak.height)
        if max(of_past) < bar:
            window = self._latest(peaks[WORSE])
        size = Size(seen, window, *self._margins(seen, window, settings.alpha))
        return ROWS[one.signal](one, size, (log_e[WORSE], log_e[BETTER]), settings)

    def _beyond_controls(self, one: ExpectedSeries, seen: Seen, of_past: tuple[float, ...]) -> tuple[float, ...]:
        """The evidence, less where controls do the same: both it and what is beyond them must be unusual."""
        beside = self._beside[one.signal] if one.scale_beside else None
        if beside is None:
            return of_past
        beyond, scale = replace(seen.residuals, beside=beside), np.array(one.scale_beside)
        found = []
        peaks = scan.peaks(beyond, scale, self.expectations.step_s, seen.sides, self.elapsed)
        for side, peak in zip((WORSE, BETTER), peaks, strict=True):
            found.append(-float(np.log(self._null_beside[side].exceedance(peak.height))))
        return tuple(min(pair) for pair in zip(of_past, found, strict=True))

    def _latest(self, known: scan.Peak) -> scan.Peak:
        """The widest window that has ended, up to now: where nothing stands out it says most."""
        ended = [w for w in scan.widths(self.expectations.step_s, self._steps) if w <= self.elapsed]
        return replace(known, first=self.elapsed - ended[-1], width=ended[-1])

    def _seen(self, one: ExpectedSeries) -> Seen:
        number, horizon = self._operations[one.operation], len(one.rate)
        is_past = np.arange(horizon) < self.elapsed
        requests = self._requests[number, :horizon] * is_past
        rate = np.array(one.rate)
        more_noise = 1.0
        if one.signal == "shortfall":
            requests = (self._behind[0] + self._of_others)[:horizon] * is_past
            events, expected = requests, rate * is_past
            more_noise = max(1.0, self._heft / self.expectations.heft)
        else:
            events = self._errors[number, :horizon] if one.edge is None else self._slower(number, one.edge)[:horizon]
            events, expected = events * is_past, requests * rate
        v = expected * (1 - np.minimum(rate, 0.99)) * more_noise  # as of the moments it is held against
        residuals = Residuals((events - expected)[None, :], v[None, :], expected[None, :], least=1.0)
        # Fewer requests are the bad side of a shortfall.
        sides = (scan.DOWN, scan.UP) if one.signal == "shortfall" else (scan.UP, scan.DOWN)
        return Seen(residuals, np.array(one.scale), requests, events, self._durations[number], sides)

    @property
    def _heft(self) -> float:
        """For how many requests a span stands: so many times as much does their number stray by chance."""
        requests, squares = self._behind.sum(axis=1)
        return float(squares / requests) if requests else 1.0

    def _slower(self, number: int, edge: int) -> Floats:
        result: Floats = self._durations[number, :, edge - histogram.LOWEST + 1 :].sum(axis=1).astype(float)
        return result

    def _margins(self, seen: Seen, window: scan.Peak, alpha: float) -> tuple[float, float]:
        """How far a window's sum may rise, and fall, without a change, over all series, windows and looks."""
        width = scan.widths(self.expectations.step_s, self._steps).index(window.width)
        sd = scan.sums(seen.residuals, window.width).sd[0, window.first]
        found = {
            scan_side: self._null[side].threshold(alpha / 2) * float(seen.scale[scan_side, width] * sd)
            for side, scan_side in zip((WORSE, BETTER), seen.sides, strict=True)
        }
        return found[scan.UP], found[scan.DOWN]

    @cached_property
    def _heights(self) -> tuple[Floats, Floats]:
        """Of the past moments, the highest of all series: (worse, better)."""
        return _highest(one.heights for one in self.expectations.series)

    @cached_property
    def _null(self) -> tuple[scan.Null, scan.Null]:
        """What those say of heights."""
        worse, better = (scan.null(side, self.expectations.independent) for side in self._heights)
        return worse, better

    @cached_property
    def _null_beside(self) -> tuple[scan.Null, scan.Null]:
        """The same of what was beyond controls; where a signal has none, of the past alone."""
        heights = _highest(one.heights_beside or one.heights for one in self.expectations.series)
        worse, better = (scan.null(side, self.expectations.independent) for side in heights)
        return worse, better


def _highest(heights: Iterable[tuple[tuple[float, ...], ...]]) -> tuple[Floats, Floats]:
    worse, better = zip(*heights, strict=True)
    return scan.together([np.array(side) for side in worse]), scan.together([np.array(side) for side in better])
