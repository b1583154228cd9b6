"""One series against its own past: its expectation, and what moments without a change show of its noise.

Replayed once, when a change is about to be judged; every later look is a few sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onejob.stats import controls, expectation, scan
from onejob.stats.expectation import Beside, Residuals, Series

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STRIDE_S = 900  # between placebos: a quarter of the usual horizon; closer ones repeat each other


@dataclass(frozen=True, slots=True)
class Frame:
    """The moment of the change and what it is judged by, in steps: the change begins at `at`, after it come `gap` steps
    that are not judged and `horizon` that are. `starts` are the placebos' moments.
    """

    at: int
    gap: int
    horizon: int
    step_s: int
    starts: Ints

    @property
    def independent(self) -> float:
        """How many horizons the placebos cover without overlap."""
        return scan.independent(self.starts, self.horizon)


@dataclass(frozen=True, slots=True)
class Replay:
    """`season` has no gaps. `scale`: (sides, widths). `heights`: of the placebos, (sides, placebos)."""

    series: Series
    season: Floats
    scale: Floats
    heights: Floats


def frame(allowed: NDArray[np.bool_], season: Floats | None, *, at: int, gap: int, horizon: int, step_s: int) -> Frame:
    """Placebos at every quarter of an hour of the past whose whole window is `allowed` and, if given, has a season."""
    usable = allowed if season is None else allowed & np.isfinite(season)
    level = round(expectation.LEVEL_S / step_s)
    known = _all_of(usable, level, gap + horizon)
    starts = expectation.moments(known, level, at - gap - horizon, max(1, STRIDE_S // step_s))
    return Frame(at, gap, horizon, step_s, starts)


@dataclass(frozen=True, slots=True)
class Control:
    """A control series: events and expected ones at the placebos, (placebos, horizon), and `rate` since, (horizon,)."""

    events: Floats
    expected: Floats
    rate: Floats


def replay(series: Series, where: Frame, beside: Beside | None = None) -> Replay:
    """Season and noise of one series; `beside`: what controls did at the placebos, beyond which the noise is then."""
    season, placebos = _placebos(series, where)
    placebos = replace(placebos, beside=beside)
    scale = scan.scales(placebos, where.step_s, where.independent)
    return Replay(series, season, scale, scan.heights(placebos, scale, where.step_s))


def control(series: Series, where: Frame) -> Control:
    """A series that the change did not touch."""
    season, placebos = _placebos(series, where)
    to_come = expectation.residuals(series, season, np.array([where.at]), gap=where.gap, horizon=where.horizon)
    return Control(np.maximum(placebos.r + placebos.expected, 0.0), placebos.expected, to_come.expected[0])


def together(found: Sequence[Control], where: Frame) -> Beside | None:
    """What these did at the placebos; None where they are too few to say anything."""
    if len(found) < controls.FEWEST:
        return None
    events, expected = (np.array([getattr(one, name) for one in found]) for name in ("events", "expected"))
    return controls.beside(events, expected, scan.widths(where.step_s, where.horizon))


def _placebos(series: Series, where: Frame) -> tuple[Floats, Residuals]:
    seen = np.arange(len(series.events)) < where.at
    past = replace(series, exposure=np.where(seen, series.exposure, 0.0), events=np.where(seen, series.events, 0.0))
    season = expectation.seasonal(past)
    season = np.where(np.isfinite(season), season, expectation.flat(past))
    return season, expectation.residuals(series, season, where.starts, gap=where.gap, horizon=where.horizon)


def since(one: Replay, where: Frame) -> Residuals:
    """Residuals since the change; steps to come have neither a residual nor a variance."""
    return expectation.residuals(one.series, one.season, np.array([where.at]), gap=where.gap, horizon=where.horizon)


def value_series(values: Floats, step_s: int) -> Series:
    """A series of plain values, NaN where there is none. The variance of a step is taken from step to step, by their
    median, so that neither jumps nor a season count as noise; what it misses, the placebos' scale makes up for.
    """
    known = np.isfinite(values)
    steps = np.abs(np.diff(values[known]))
    noise = float(np.median(steps)) * 1.4826 / np.sqrt(2) if len(steps) else 0.0
    noise = noise or (float(steps.mean()) if len(steps) else 0.0) or 1.0
    return Series(
        events=np.where(known, values, 0.0),
        exposure=known.astype(float),
        step_s=step_s,
        is_count=False,
        variance=np.full(len(values), noise**2),
    )


def _all_of(usable: NDArray[np.bool_], before: int, after: int) -> NDArray[np.bool_]:
    """At which steps are all of the `before` steps before and the `after` steps from there on usable?"""
    total = np.concatenate([[0], np.cumsum(usable)])
    at = np.arange(len(usable))
    low, high = at - before, np.minimum(at + after, len(usable))
    fits = (low >= 0) & (at + after <= len(usable))
    result: NDArray[np.bool_] = fits & (total[high] - total[np.maximum(low, 0)] == before + after)
    return result
