"""From counts per version and step to what the charts draw: values of the selected signal for both arms."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from onejob import words
from onejob.model.deployment import Deployment
from onejob.model.evidence import Arm
from onejob.model.rollout import Rollout
from onejob.model.verdict import SignalResult, Verdict
from onejob.stats import histogram as exponential
from onejob.store.rollup import SeriesPoint
from onejob.verdict.arms import is_version
from onejob.web.charts import histogram, over_time
from onejob.web.pages.rollout import times_at_steps

_MOST_POINTS = 60
_QUANTILES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}

Values = list[tuple[float, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The stretch of time a chart shows, in Unix seconds, and the width of a point."""

    since: int
    until: int
    step_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """The chart's numbers as a table: time, control, treatment."""

    clock: str
    control: str
    treatment: str


def frame(
    deployment: Deployment, verdict: Verdict | None, now: datetime, bin_width_s: int, points: int = _MOST_POINTS
) -> Frame:
    """What was compared, with as much before it and a third after it."""
    start, end = compared(deployment, verdict, now)
    length = max((end - start).total_seconds(), 6.0 * bin_width_s)
    since = start.timestamp() - max(min(length, 3600.0), 30.0)
    until = min(max(end.timestamp() + length / 3, start.timestamp() + length), max(now, end).timestamp())
    step = -(-int(until - since) // (points * bin_width_s)) * bin_width_s
    return Frame(since=int(since) // step * step, until=-(-int(until) // step) * step, step_s=step)


def compared(deployment: Deployment, verdict: Verdict | None, now: datetime) -> tuple[datetime, datetime]:
    """The window both arms were compared in, or the deployment's own time before there is one."""
    start = deployment.first_seen_at or deployment.started_at
    if verdict and verdict.window_start and verdict.window_end:
        return verdict.window_start, verdict.window_end
    return start, max(min(deployment.finished_at or now, now), start)


def by_arm(
    points: Iterable[SeriesPoint], deployment: Deployment, verdict: Verdict | None
) -> dict[Arm, list[SeriesPoint]]:
    """Sort the versions into arms as the verdict did; before one, the new version against all others."""
    control = verdict.control.versions if verdict and verdict.control else ()
    arms: dict[Arm, list[SeriesPoint]] = {Arm.CONTROL: [], Arm.TREATMENT: []}
    for point in points:
        if is_version(deployment.version, point.version, point.build):
            arms[Arm.TREATMENT].append(point)
        elif not control or any(is_version(label, point.version, point.build) for label in control):
            arms[Arm.CONTROL].append(point)
    return arms


def values(points: Sequence[SeriesPoint], signal: str, shown: Frame) -> Values:
    """The signal's value per step; None where the arm served nothing."""
    of = _value_of(signal, shown.step_s)
    steps: dict[int, list[SeriesPoint]] = {}
    for point in points:
        steps.setdefault(point.bin_start // shown.step_s * shown.step_s, []).append(point)
    return [
        (at + shown.step_s / 2, of(steps[at]) if at in steps else None)
        for at in range(shown.since, shown.until, shown.step_s)
    ]


def is_of_requests(signal: SignalResult) -> bool:
    """Whether the chart beside a row is of how many requests there were: the signal itself is no series of theirs."""
    return signal.signal not in (*_QUANTILES, "errors")


def _value_of(signal: str, step_s: int) -> Callable[[Sequence[SeriesPoint]], float | None]:
    if signal in _QUANTILES:
        return lambda points: exponential.quantile_s(_dense(merged(points)), _QUANTILES[signal])
    if signal == "errors":
        return _error_rate
    return lambda points: sum(point.count for point in points) / step_s


def _error_rate(points: Sequence[SeriesPoint]) -> float | None:
    total = sum(point.count for point in points)
    return sum(point.errors for point in points) / total if total else None


def merged(points: Iterable[SeriesPoint]) -> dict[int, int]:
    """All durations of these steps in one histogram."""
    total: dict[int, int] = {}
    for point in points:
        for index, number in point.buckets.items():
            total[index] = total.get(index, 0) + number
        if point.zeros:
            total[exponential.LOWEST] = total.get(exponential.LOWEST, 0) + point.zeros
    return total


def _dense(buckets: Mapping[int, int]) -> exponential.Counts:
    dense = np.zeros(exponential.SIZE, dtype=np.int64)
    if buckets:
        places = exponential.position(np.fromiter(buckets.keys(), dtype=np.int64, count=len(buckets)))
        np.add.at(dense, places, np.fromiter(buckets.values(), dtype=np.int64, count=len(buckets)))
    return dense


def unit(signal: str) -> Callable[[float], str]:
    """How values of the signal are written on the axis."""
    if words.is_latency(signal):
        return words.seconds
    if signal == "errors":
        return words.percent
    return lambda value: f"{words.plain(value)}/s"


def over_time_chart(
    arms: Mapping[Arm, Sequence[SeriesPoint]],
    signal: str,
    shown: Frame,
    deployment: Deployment,
    verdict: Verdict | None,
    rollout: Rollout | None,
    names: tuple[str, str],
    now: datetime,
) -> over_time.Chart | None:
    """The chart of the selected signal."""
    decided = verdict.decided_at if verdict else None
    stays = times_at_steps(rollout, now) if rollout else []
    events = over_time.Events(
        since=shown.since,
        until=shown.until,
        started=deployment.started_at.timestamp(),
        decided=decided.timestamp() if decided else None,
        names=names,
        steps=[(a.timestamp(), b.timestamp(), words.percent(share, 2)) for a, b, _, share in stays],
    )
    lines = {arm.value: values(points, signal, shown) for arm, points in arms.items()}
    return over_time.draw(lines, events, unit(signal))


def table(arms: Mapping[Arm, Sequence[SeriesPoint]], signal: str, shown: Frame) -> list[TableRow]:
    """The chart's table: only the steps in which something was served."""
    control, treatment = (values(arms[arm], signal, shown) for arm in (Arm.CONTROL, Arm.TREATMENT))
    write = unit(signal)
    rows = []
    for (at, old), (_, new) in zip(control, treatment, strict=True):
        if old is not None or new is not None:
            moment = datetime.fromtimestamp(at - shown.step_s / 2, UTC)
            rows.append(
                TableRow(
                    clock=words.clock(moment),
                    control=words.DASH if old is None else write(old),
                    treatment=words.DASH if new is None else write(new),
                )
            )
    return rows


def distribution(
    arms: Mapping[Arm, Sequence[SeriesPoint]], selected: SignalResult, window: tuple[datetime, datetime]
) -> histogram.Histogram | None:
    """Durations inside the window that was compared; for signals that are no durations, the median is marked."""
    start, end = (moment.timestamp() for moment in window)
    inside = {arm: merged(point for point in points if start <= point.bin_start < end) for arm, points in arms.items()}
    name = selected.signal if selected.signal in _QUANTILES else "latency_p50"
    marks = [exponential.quantile_s(_dense(inside[arm]), _QUANTILES[name]) for arm in (Arm.CONTROL, Arm.TREATMENT)]
    if name == selected.signal:
        marks = [selected.control or marks[0], selected.treatment or marks[1]]
    return histogram.draw(inside[Arm.CONTROL], inside[Arm.TREATMENT], marks[0], marks[1], name.removeprefix("latency_"))
