"""What the store says of a service's past, as `before_after` needs it: read once, before the first look at a change.

The engine counts; what comes out is a few thousand numbers per series, of which only those are kept that later looks
need, so that a verdict is recomputed without the past still being stored.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from onejob.model.deployment import Deployment
from onejob.model.evidence import Expectations, ExpectedSeries
from onejob.stats import expectation, histogram, replay
from onejob.stats.expectation import DAY_S, DAYS_BACK, LEVEL_S, Series
from onejob.stats.replay import Frame
from onejob.store.engine import Reader, Scalar
from onejob.store.rollup import ROLLUP, environment_filter
from onejob.verdict.before_after import HORIZON_S
from onejob.verdict.signals import EVERYWHERE

Floats = NDArray[np.float64]
Moments = Iterable[tuple[int, int]]

STEP_S = 60
# Each has three series, and the noise of all of them together is what an alarm must rise above.
_MOST_OPERATIONS = 20
_RECENT_S = DAY_S  # what thresholds of durations are taken from
# With less of a past nothing is expected of the future.
_LEAST_PAST_S, _LEAST_REQUESTS = 600, 100
_TIMEOUT_S = 60.0  # two weeks of a large service are tens of millions of rows
_DECIMALS = 4
_OPERATIONS, _SERIES = (
    resources.files("onejob.verdict").joinpath(f"queries/past_{name}.sql").read_text()
    for name in ("operations", "series")
)


@dataclass(frozen=True, slots=True)
class _Past:
    """Per name ('' for all other operations) columns of shape (steps,): requests, failed, slower than p50, than p95.

    Where spans are sampled those are spans. `behind` (steps,) are the requests of all operations that they stand for,
    `heft` is how many one does.
    """

    columns: Mapping[str, Floats]
    behind: Floats
    heft: float
    edges: Mapping[str, tuple[int, int]]  # bucket indices of p50 and p95
    first: int  # the first step with a request

    @property
    def requests(self) -> Floats:
        """Of all operations."""
        result: Floats = np.sum([column[0] for column in self.columns.values()], axis=0)
        return result


def read(
    engine: Reader,
    deployment: Deployment,
    *,
    default_environment: str,
    bin_width_s: int,
    warm_up_s: float,
    disturbed: Moments = (),
    relation: str = ROLLUP,
) -> Expectations:
    """What is expected of the hour after the change, from up to two weeks before it.

    `disturbed` are spans [from, to) of Unix seconds that show damage, and so say nothing of how a service without a
    change strays. Without a usable past there are no series. `relation` has ROLLUP's columns. Raises StoreError like
    any query.
    """
    step = bin_width_s * math.ceil(STEP_S / bin_width_s)
    at = math.floor(deployment.started_at.timestamp() / step) * step
    since = at - (DAYS_BACK[-1] * DAY_S + LEVEL_S + HORIZON_S) // step * step
    scope: dict[str, Scalar] = {
        "service": deployment.service,
        "environment": deployment.environment,
        "unnamed": environment_filter(deployment.environment, default_environment),
        "until": at,
    }
    of_operations, of_series = (sql.replace(f"FROM {ROLLUP}\n", f"FROM {relation}\n") for sql in (_OPERATIONS, _SERIES))
    operations = engine.query(
        of_operations, scope | {"since": at - _RECENT_S, "most": _MOST_OPERATIONS}, timeout_s=_TIMEOUT_S
    ).to_pylist()
    edges = {str(row["Operation"]): _edges(row) for row in operations}
    past = _past(engine, of_series, scope | {"since": since, "step": step}, edges, (at - since) // step)
    versions = tuple(sorted({str(version) for row in operations for version in row["Versions"]}))
    gap, horizon = math.ceil(warm_up_s / step), HORIZON_S // step
    known_s = ((at - since) // step - past.first) * step
    is_usable = known_s >= _LEAST_PAST_S and float(past.requests.sum()) >= _LEAST_REQUESTS
    where = _frame(past, gap, horizon, step, [((a - since) // step, (b - since) // step + 1) for a, b in disturbed])
    traffic = _traffic(past, where)
    return Expectations(
        first=at + gap * step,
        step_s=step,
        independent=where.independent,
        is_adjacent=bool(len(where.starts)) and int(where.starts[-1]) == where.at - gap - horizon,
        days_back=expectation.days_known(traffic, where.at),
        requests=round(float(past.behind.sum())),
        heft=past.heft,
        starts=tuple(where.starts.tolist()),
        versions=versions,
        series=tuple(_all_series(past, where, traffic)) if is_usable else (),
    )


def _past(
    engine: Reader, sql: str, params: dict[str, Scalar], edges: Mapping[str, tuple[int, int]], steps: int
) -> _Past:
    asked = {
        "operations": json.dumps(list(edges)),
        "p50": json.dumps([low for low, _ in edges.values()]),
        "p95": json.dumps([high for _, high in edges.values()]),
    }
    table = engine.query(sql, params | asked, timeout_s=_TIMEOUT_S)
    names = np.array(table.column("Name").to_pylist(), dtype=object)
    at = table.column("Step").to_numpy().astype(np.int64)
    values = [table.column(name).to_numpy() for name in ("Requests", "Failed", "SlowerP50", "SlowerP95")]
    columns = {name: np.zeros((4, steps)) for name in (*edges, "")}
    for name, column in columns.items():
        mine = names == name
        for i, value in enumerate(values):
            column[i, at[mine]] = value[mine]
    behind, squares = (table.column(name).to_numpy() for name in ("Behind", "Squares"))
    heft = float(squares.sum() / behind.sum()) if len(behind) else 1.0
    return _Past(
        columns=columns,
        behind=np.bincount(at, weights=behind, minlength=steps).astype(np.float64),
        heft=heft,
        edges=edges,
        first=int(at.min()) if len(at) else steps,
    )


def _edges(row: Mapping[str, object]) -> tuple[int, int]:
    durations = np.zeros(histogram.SIZE, dtype=np.int64)
    found = row["Durations"]
    pairs = found.items() if isinstance(found, Mapping) else found
    for index, count in pairs:  # type: ignore[attr-defined]
        durations[histogram.position(np.array([index]))[0]] += int(count)
    durations[0] += int(str(row["NoTime"]))
    low, high = (histogram.quantile_position(durations, q) + histogram.LOWEST for q in (0.5, 0.95))
    return low, high


def _frame(past: _Past, gap: int, horizon: int, step: int, disturbed: list[tuple[int, int]]) -> Frame:
    """Moments whose two hours before and hour after are known and undisturbed; with a season, if there is any."""
    steps = len(past.requests)
    at = np.arange(steps + gap + horizon)
    allowed = (at >= past.first) & (at < steps)
    for begin, end in disturbed:
        allowed[max(0, begin) : max(0, end)] = False
    season = expectation.seasonal(_series(past.requests, np.ones(steps), gap + horizon, step))
    has_season = bool(np.isfinite(season[steps + gap :]).all())
    return replay.frame(allowed, season if has_season else None, at=steps, gap=gap, horizon=horizon, step_s=step)


def _traffic(past: _Past, where: Frame) -> Series:
    known = (np.arange(len(past.requests)) >= past.first).astype(float)
    return _series(past.behind, known, where.gap + where.horizon, where.step_s)


def _all_series(past: _Past, where: Frame, traffic: Series) -> Iterable[ExpectedSeries]:
    yield _expected(EVERYWHERE, "shortfall", None, traffic, where)
    for name, (p50, p95) in past.edges.items():
        requests, failed, above_p50, above_p95 = past.columns[name]
        for signal, edge, events in (
            ("errors", None, failed),
            ("latency_p50", p50, above_p50),
            ("latency_p95", p95, above_p95),
        ):
            series = _series(events, requests, where.gap + where.horizon, where.step_s)
            yield _expected(name, signal, edge, series, where)


def _series(events: Floats, exposure: Floats, to_come: int, step: int) -> Series:
    """The past, and steps to come whose exposure of 1 makes what is expected of them a rate."""
    return Series(np.append(events, np.zeros(to_come)), np.append(exposure, np.ones(to_come)), step)


def _expected(operation: str, signal: str, edge: int | None, series: Series, where: Frame) -> ExpectedSeries:
    one = replay.replay(series, where)
    rate = replay.since(one, where).expected[0]
    before, drift = _hour_before(one, where, float(rate.sum()))
    up, down = one.heights
    worse, better = (down, up) if signal == "shortfall" else (up, down)
    return ExpectedSeries(
        operation=operation,
        signal=signal,
        edge=edge,
        rate=tuple(float(x) for x in rate),
        scale=tuple(tuple(float(x) for x in side) for side in one.scale),
        heights=tuple(tuple(np.round(side, _DECIMALS).tolist()) for side in (worse, better)),
        before=before,
        drift=drift,
    )


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
