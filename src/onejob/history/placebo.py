"""Deployments of nothing: some instances of a version, compared with the others as if they had a new one.

There is no better null hypothesis than the service's own traffic while nothing was deployed: its bursts, its seasons,
the differences between its own instances. Whatever alarms there is a false alarm, whatever model of noise one believes
in.

    instances of 1.41:   a b c d e f          version shown to the judge
                         a . . d . f   ->     1.41
                         . b c . e .   ->     placebo
"""

import math
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from onejob.config import Settings
from onejob.history.presence import Presence
from onejob.model.deployment import Deployment, Source, Status, Strategy
from onejob.model.evidence import Cell, ControlCell, ControlService, JudgeSettings, NoveltyCell, RouterCount
from onejob.model.kpi import Kpi
from onejob.model.rollout import Rollout
from onejob.model.verdict import State
from onejob.store.past import Past
from onejob.store.spans_relation import relabelled
from onejob.verdict.batches import BASELINE_S, Batches, is_due
from onejob.verdict.judge import Judge
from onejob.verdict.reading import read_measured, read_values
from onejob.verdict.said import Said, Scope, kpis_of

PLACEBO = "placebo"
# An instance that misses more of a window's bins came or went meanwhile.
_PRESENT = 0.8
# The service answered in so many of a window's bins: there is something to judge.
_BUSY = 0.5


@dataclass(frozen=True, slots=True)
class Window:
    """[start, end) of one version and nothing else; the comparison begins `BASELINE_S` after the start."""

    version: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Placebo:
    """A window of a service, and its instances: those that play the new version, and those that do not."""

    service: str
    environment: str
    window: Window
    treated: frozenset[str]
    others: frozenset[str]


def quiet_windows(
    presence: Presence, since: int, until: int, length_s: int, starts: Collection[datetime]
) -> list[Window]:
    """Windows that do not overlap, in which one version served, and no other, and no deployment started."""
    deployed = sorted(moment.timestamp() for moment in starts)
    found = []
    for start in range(since, until - length_s + 1, length_s):
        end = start + length_s
        bins = [(row.version, int(np.diff(np.searchsorted(row.bins, (start, end)))[0])) for row in presence.rows]
        there = [(version, count) for version, count in bins if count]
        is_disturbed = bisect_left(deployed, start) < bisect_left(deployed, end)
        if len(there) == 1 and there[0][1] * presence.width_s >= _BUSY * length_s and not is_disturbed:
            found.append(Window(there[0][0], start, end))
    return found


def draw(window: Window, past: Past, service: str, environment: str, rng: np.random.Generator) -> Placebo | None:
    """A split at random: one instance against the others, or half against half. None with fewer than two instances."""
    there = past.instances(service, environment, window.start, window.end)
    most = max((one.bins for one in there), default=0)
    steady = sorted(one.instance for one in there if one.instance and one.bins >= _PRESENT * most)
    if len(steady) < 2:
        return None
    treated = frozenset(rng.permutation(steady)[: int(rng.choice([1, len(steady) // 2]))].tolist())
    return Placebo(service, environment, window, treated, frozenset(steady) - treated)


def judged(placebo: Placebo, past: Past, told: JudgeSettings, settings: Settings) -> tuple[bool, Judge]:
    """Was it called worse at any look? And the judge, for what it learnt of noise."""
    window = placebo.window
    deployment = _deployment(placebo)
    whole = settings.model_copy(update={"judge_horizon_s": float(window.end - window.start - BASELINE_S)})
    batches, judge = Batches(_Relabelled(placebo, past, told), whole), Judge(deployment)
    tick_s = settings.tick_s
    first = math.ceil((window.start + BASELINE_S) / tick_s)
    for n in range(first, math.ceil((window.end + settings.watermark_s) / tick_s) + 1):
        now = datetime.fromtimestamp(n * tick_s, UTC)
        batch = batches.following(deployment, judge, now) if is_due(deployment, judge, now, whole) else None
        if batch is not None and judge.consume(batch).state is State.WORSE:
            return True, judge
    return False, judge


def _deployment(placebo: Placebo) -> Deployment:
    return Deployment(
        id=PLACEBO,
        service=placebo.service,
        environment=placebo.environment,
        version=PLACEBO,
        previous_version=placebo.window.version,
        strategy=Strategy.CANARY,
        source=Source.DETECTED,
        status=Status.IN_PROGRESS,
        started_at=datetime.fromtimestamp(placebo.window.start + BASELINE_S, UTC),
    )


class _Relabelled:
    """The window's counts with the treated instances as the new version. See `Source`."""

    def __init__(self, placebo: Placebo, past: Past, told: JudgeSettings) -> None:
        window = placebo.window
        read = past.cells(placebo.service, placebo.environment, window.start, window.end)
        self._cells = [
            replace(cell, version=PLACEBO, build="") if cell.instance in placebo.treated else cell
            for cell in read
            if cell.instance in placebo.treated or cell.instance in placebo.others
        ]
        self._starts = [cell.bin_start for cell in self._cells]
        self._said = _said(placebo, past, [kpi for kpi in kpis_of(told) if kpi.guardrail])
        self._told = told

    def cells(self, deployment: Deployment, told: JudgeSettings, since: int, until: int) -> Sequence[Cell]:
        return self._cells[bisect_left(self._starts, since) : bisect_left(self._starts, until)]

    def said(self, deployment: Deployment, told: JudgeSettings, since: int, until: int) -> Said:
        return self._said.between(since, until)

    def known(self, deployment: Deployment, since: int) -> tuple[NoveltyCell, ...]:
        return ()  # as no errors are told

    def controls(
        self, deployment: Deployment, known: Sequence[ControlService], since: int, until: int
    ) -> Sequence[ControlCell]:
        return ()  # of a version beside another

    def router(self, deployment: Deployment, until: datetime) -> Sequence[RouterCount]:
        return ()

    def warmed(self, deployment: Deployment, since: int, until: int) -> tuple[str, ...]:
        return ()

    def rollout(self, deployment: Deployment, now: datetime) -> Rollout | None:
        return None

    def judge_settings(self, deployment: Deployment) -> JudgeSettings:
        return self._told

    def expectations(self, deployment: Deployment, told: JudgeSettings, judged_from: int) -> None:
        """None are asked for: the rest of the instances serve beside."""


def _said(placebo: Placebo, past: Past, guardrails: Sequence[Kpi]) -> Said:
    """Of what the window's telemetry says, all that can make a version worse: errors and other KPIs never do."""
    if not past.has_events:
        return Said()
    window = placebo.window
    scope = Scope(
        service=placebo.service,
        environment=placebo.environment,
        default_environment=past.default_environment,
        since=window.start,
        until=window.end,
        width_s=past.bin_width_s,
        relation=past.spans,
        has_logs=not past.table,
        metrics_bin_s=None if past.table else past.bin_width_s,
    )
    views = replace(scope, relation=relabelled(past.spans, PLACEBO, placebo.treated, placebo.others), has_logs=False)
    values = [
        replace(cell, version=PLACEBO, build="") if cell.instance in placebo.treated else cell
        for cell in read_values(past.engine, scope, guardrails)
        if cell.instance in placebo.treated or cell.instance in placebo.others
    ]
    return replace(read_measured(past.engine, views, ()), values=tuple(values))
