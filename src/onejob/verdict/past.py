"""What the store says of a service's past, as `before_after` needs it: read once, before the first look at a change.

The engine counts; what comes out is a few thousand numbers per series, of which only those are kept that later looks
need, so that a verdict is recomputed without the past still being stored.
"""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from onejob.model.deployment import Deployment
from onejob.model.evidence import ControlService, Expectations, ExpectedSeries
from onejob.stats import expectation, replay
from onejob.stats.expectation import DAY_S, DAYS_BACK, LEVEL_S, Beside, Series
from onejob.stats.replay import Control, Frame
from onejob.store.engine import Reader
from onejob.store.errors import StoreError
from onejob.store.rollup import ROLLUP
from onejob.verdict.before_after import HORIZON_S
from onejob.verdict.operations import OTHER
from onejob.verdict.past_counts import PastCounts, Where, read_counts
from onejob.verdict.signals import EVERYWHERE
from onejob.verdict.untouched import Untouched

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Moments = Iterable[tuple[int, int]]

STEP_S = 60
# Each has three series, and the noise of all of them together is what an alarm must rise above.
_MOST_OPERATIONS = 20
# A control is one series per signal, of all its requests or those of its busiest operations.
_OF_A_CONTROL = 5
# With less of a past nothing is expected of the future.
_LEAST_PAST_S, _LEAST_REQUESTS = 600, 100
# Longer after the change, the level of the two hours before it says little of now.
_LONGEST_WAIT_S = 6 * 3_600
_DECIMALS = 4
_OF_OPERATIONS = ("errors", "latency_p50", "latency_p95")
_SIGNALS = (*_OF_OPERATIONS, "shortfall")


def read(
    engine: Reader,
    deployment: Deployment,
    *,
    default_environment: str,
    bin_width_s: int,
    warm_up_s: float,
    judged_from: int = 0,
    disturbed: Moments = (),
    relation: str = ROLLUP,
    untouched: Sequence[Untouched] = (),
) -> Expectations:
    """What is expected of the hour after the change, from up to two weeks before it.

    Judged is the hour after `judged_from` (Unix s), where that is later, and after the start-up time of new instances.
    `disturbed` are spans [from, to) of Unix seconds that show damage, and so say nothing of how a service without a
    change strays. Without a usable past there are no series. `relation` has ROLLUP's columns. `untouched` are services
    to compare with too. Raises StoreError like any query.
    """
    step = step_s(bin_width_s)
    at = math.floor(deployment.started_at.timestamp() / step) * step
    since = at - (DAYS_BACK[-1] * DAY_S + LEVEL_S + HORIZON_S) // step * step
    of_what = Where(
        environment=deployment.environment,
        default_environment=default_environment,
        since=since,
        until=at,
        step=step,
        relation=relation,
    )
    waits_s = max(judged_from - at, 0) + warm_up_s
    gap, horizon = math.ceil(waits_s / step), HORIZON_S // step
    if waits_s > _LONGEST_WAIT_S:
        return _nothing(at + gap * step, step, gap)
    past = read_counts(engine, deployment.service, of_what, _MOST_OPERATIONS)
    known_s = ((at - since) // step - past.first) * step
    is_usable = known_s >= _LEAST_PAST_S and float(past.requests.sum()) >= _LEAST_REQUESTS
    where = _frame(past, gap, horizon, step, [((a - since) // step, (b - since) // step + 1) for a, b in disturbed])
    traffic = _traffic(past, where)
    others = _read_others(engine, untouched if is_usable else (), of_what)
    found = [(one, counts.edges, _controls(counts, where)) for one, counts in others]
    beside = {signal: replay.together([mine[signal] for _, _, mine in found], where) for signal in _SIGNALS}
    return Expectations(
        first=at + gap * step,
        step_s=step,
        independent=where.independent,
        is_adjacent=bool(len(where.starts)) and int(where.starts[-1]) == where.at - gap - horizon,
        days_back=expectation.days_known(traffic, where.at),
        requests=round(float(past.behind.sum())),
        heft=past.heft,
        starts=tuple(where.starts.tolist()),
        versions=past.versions,
        series=tuple(_all_series(past, where, traffic, beside)) if is_usable else (),
        controls=tuple(_control(*one) for one in found),
        gap=gap,
    )


def step_s(bin_width_s: int) -> int:
    """In what steps the past is compared with: in between, nothing of what is found changes."""
    return bin_width_s * math.ceil(STEP_S / bin_width_s)


def _nothing(first: int, step: int, gap: int) -> Expectations:
    """Nothing is expected."""
    return Expectations(
        first=first,
        step_s=step,
        independent=0.0,
        is_adjacent=False,
        days_back=(),
        requests=0,
        versions=(),
        series=(),
        gap=gap,
    )


def _read_others(
    engine: Reader, untouched: Sequence[Untouched], of_what: Where
) -> Iterator[tuple[Untouched, PastCounts]]:
    for one in untouched:
        try:
            yield one, read_counts(engine, one.service, of_what, _OF_A_CONTROL)
        except StoreError as error:
            log.warning("nothing is compared with %s: %s", one.service, error)


def _frame(past: PastCounts, gap: int, horizon: int, step: int, disturbed: list[tuple[int, int]]) -> Frame:
    """Moments whose two hours before and hour after are known and undisturbed; with a season, if there is any."""
    steps = len(past.requests)
    at = np.arange(steps + gap + horizon)
    allowed = (at >= past.first) & (at < steps)
    for begin, end in disturbed:
        allowed[max(0, begin) : max(0, end)] = False
    season = expectation.seasonal(_series(past.requests, np.ones(steps), gap + horizon, step))
    has_season = bool(np.isfinite(season[steps + gap :]).all())
    return replay.frame(allowed, season if has_season else None, at=steps, gap=gap, horizon=horizon, step_s=step)


def _traffic(past: PastCounts, where: Frame) -> Series:
    known = (np.arange(len(past.requests)) >= past.first).astype(float)
    return _series(past.behind, known, where.gap + where.horizon, where.step_s)


def _all_series(
    past: PastCounts, where: Frame, traffic: Series, beside: Mapping[str, Beside | None]
) -> Iterable[ExpectedSeries]:
    yield _expected(EVERYWHERE, "shortfall", None, traffic, where, beside)
    requests, failed, *_ = past.columns[""]
    if requests.any():  # how slow they are says little of operations as different as a page and a picture
        series = _series(failed, requests, where.gap + where.horizon, where.step_s)
        yield _expected(OTHER, "errors", None, series, where, beside)
    for name, (p50, p95) in past.edges.items():
        requests, *events = past.columns[name]
        for signal, edge, seen in zip(_OF_OPERATIONS, (None, p50, p95), events, strict=True):
            series = _series(seen, requests, where.gap + where.horizon, where.step_s)
            yield _expected(name, signal, edge, series, where, beside)


def _controls(past: PastCounts, where: Frame) -> dict[str, Control]:
    """Per signal, of all the service's requests; durations of those whose edges are known."""
    to_come, step = where.gap + where.horizon, where.step_s
    named = np.sum([np.zeros_like(past.columns[""]), *(past.columns[name] for name in past.edges)], axis=0)
    everything = named + past.columns[""]
    series = {
        "errors": _series(everything[1], everything[0], to_come, step),
        "latency_p50": _series(named[2], named[0], to_come, step),
        "latency_p95": _series(named[3], named[0], to_come, step),
        "shortfall": _traffic(past, where),
    }
    return {signal: replay.control(one, where) for signal, one in series.items()}


def _control(one: Untouched, edges: Mapping[str, tuple[int, int]], found: Mapping[str, Control]) -> ControlService:
    rates = {signal: tuple(float(x) for x in control.rate) for signal, control in found.items()}
    return ControlService(service=one.service, version=one.version, edges=edges, rates=rates)


def _series(events: Floats, exposure: Floats, to_come: int, step: int) -> Series:
    """The past, and steps to come whose exposure of 1 makes what is expected of them a rate."""
    return Series(np.append(events, np.zeros(to_come)), np.append(exposure, np.ones(to_come)), step)


def _expected(
    operation: str,
    signal: str,
    edge: int | None,
    series: Series,
    where: Frame,
    beside: Mapping[str, Beside | None],
) -> ExpectedSeries:
    one = replay.replay(series, where)
    beyond = None if beside[signal] is None else replay.replay(series, where, beside[signal])
    rate = replay.since(one, where).expected[0]
    before, drift = _hour_before(one, where, float(rate.sum()))
    return ExpectedSeries(
        operation=operation,
        signal=signal,
        edge=edge,
        rate=tuple(float(x) for x in rate),
        scale=_scale(one),
        heights=_heights(one, signal),
        before=before,
        drift=drift,
        scale_beside=_scale(beyond) if beyond else (),
        heights_beside=_heights(beyond, signal) if beyond else (),
    )


def _scale(one: replay.Replay) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(x) for x in side) for side in one.scale)


def _heights(one: replay.Replay, signal: str) -> tuple[tuple[float, ...], ...]:
    """Of worse and of better: fewer requests are the bad side of a shortfall."""
    up, down = one.heights
    worse, better = (down, up) if signal == "shortfall" else (up, down)
    return tuple(tuple(np.round(side, _DECIMALS).tolist()) for side in (worse, better))


def _hour_before(one: replay.Replay, where: Frame, rate: float) -> tuple[tuple[tuple[float, ...], ...], float]:
    """Events and expected ones of the steps before the change, at the level from before them; and what the level rose
    by since.

    Nothing of the last step: its last spans may still be on their way when it is read.
    """
    start, horizon = where.at - where.horizon, where.horizon
    if start < 0:
        return (), 1.0
    seen, to_come = (
        expectation.residuals(one.series, one.season, np.array([start]), gap=gap, horizon=horizon)
        for gap in (0, horizon + where.gap)
    )
    is_known = np.arange(horizon) < horizon - 1
    rows = (np.maximum(values[0], 0.0) * is_known for values in (seen.r + seen.expected, seen.expected))
    earlier = float(to_come.expected.sum())
    drift = rate / earlier if rate > 0 and earlier > 0 else 1.0
    return tuple(tuple(np.round(row, _DECIMALS).tolist()) for row in rows), drift
