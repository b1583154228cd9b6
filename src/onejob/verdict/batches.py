"""Cuts a deployment's time into the batches its judge is given, one a look.

Thresholds and design effects are renewed between batches, so a verdict depends on where they are cut. The live judge
and a replay of history must come to the same one: both cut here, and differ only in where the counts come from.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from onejob.config import Settings
from onejob.model.calibration import Calibration
from onejob.model.deployment import Deployment, Status, Strategy
from onejob.model.evidence import (
    Arm,
    Cell,
    ControlCell,
    ControlService,
    EvidenceBatch,
    Expectations,
    JudgeSettings,
    NoveltyCell,
    RouterCount,
)
from onejob.model.kpi import NO_OUTCOMES, Outcomes, matches
from onejob.model.rollout import Rollout, RolloutState
from onejob.state.rollouts import ENDED
from onejob.verdict import past
from onejob.verdict.arms import arm_of
from onejob.verdict.before_after import HORIZON_S
from onejob.verdict.judge import Judge
from onejob.verdict.said import Said
from onejob.verdict.untouched import tally

# Control's past that thresholds are frozen on and instances' ages are read from.
BASELINE_S = 600
_MOST_BINS = 600  # of one batch: catching up after an outage must not need a day's cells at once
# A deployment is looked at after a 360th more of its age: every 10 s in its first hour, every minute at six hours. With
# ages spread over a day that is a sixth of the looks, and no damage is noticed later than by that part of its age.
_LOOKS_OF_ITS_AGE = 360.0
_LONGEST_PAUSE_S = 300.0
# What goes on against the past: as long as the shortest window of which that says anything.
_PAUSE_ON_PAST_S = 300.0


class Source(Protocol):
    """Where counts come from. Bins start in [since, until), Unix seconds."""

    def cells(self, deployment: Deployment, told: JudgeSettings, since: int, until: int) -> Sequence[Cell]:
        """Every version's requests of the deployment's service, in bins as wide as `told` has them."""

    def said(self, deployment: Deployment, told: JudgeSettings, since: int, until: int) -> Said:
        """What its spans, logs and metrics say beyond requests."""

    def known(self, deployment: Deployment, since: int) -> tuple[NoveltyCell, ...]:
        """Errors that other versions threw in the day before."""

    def controls(
        self, deployment: Deployment, known: Sequence[ControlService], since: int, until: int
    ) -> Sequence[ControlCell]:
        """What services did that the deployment did not touch."""

    def router(self, deployment: Deployment, until: datetime) -> Sequence[RouterCount]:
        """Samples before `until` that no batch has yet, oldest first."""

    def warmed(self, deployment: Deployment, since: int, until: int) -> tuple[str, ...]:
        """Instances that were sent warm-up requests."""

    def rollout(self, deployment: Deployment, now: datetime) -> Rollout | None:
        """The deployment's rollout as it was at `now`."""

    def judge_settings(self, deployment: Deployment) -> JudgeSettings:
        """What a new judge is told."""

    def expectations(self, deployment: Deployment, told: JudgeSettings, judged_from: int) -> Expectations | None:
        """What the service's past lets expect of the time since, where no old version serves beside the new one."""


class Batches:
    """The batches of deployments, as they become due."""

    def __init__(self, source: Source, settings: Settings) -> None:
        self._source = source
        self._settings = settings

    def following(self, deployment: Deployment, judge: Judge, now: datetime) -> EvidenceBatch | None:
        """What the judge is to consume next; None while no further bin is complete. The last one is `finished`."""
        told = judge.settings if judge.next_seq else self._source.judge_settings(deployment)
        width = bin_width_s(told, self._settings)
        end = judged_until(deployment, judge, self._settings)
        complete = now - timedelta(seconds=self._settings.watermark_s)
        is_over = end is not None and complete >= end
        first = judge.bins_to if judge.bins_to is not None else _floor(deployment.started_at, width) - BASELINE_S
        until = _floor(min(complete, end) if end is not None else complete, width)
        last = min(max(first, until), first + _MOST_BINS * width)
        finished = is_over and last >= until
        if last <= first and not finished:
            return None
        return self._batch(deployment, judge, told, (first, last), now, finished)

    def _batch(
        self,
        deployment: Deployment,
        judge: Judge,
        told: JudgeSettings,
        bins: tuple[int, int],
        now: datetime,
        finished: bool,
    ) -> EvidenceBatch:
        cells, others = self._cells(deployment, told, *bins)
        settings = told if judge.next_seq == 0 else None
        said = self._said(deployment, told, bins, is_first=settings is not None)
        expectations = self._expectations(deployment, judge, told, (*bins, finished), now)
        if expectations is not None and expectations.series and _goes_on(deployment):
            finished = False
        known = judge.controls if expectations is None else expectations.controls
        return EvidenceBatch(
            deployment_id=deployment.id,
            seq=judge.next_seq,
            judged_at=now,
            bins_from=bins[0],
            bins_to=bins[1],
            bin_width_s=bin_width_s(told, self._settings),
            cells=tuple(cells),
            router=tuple(self._source.router(deployment, datetime.fromtimestamp(bins[1], UTC))),
            warmed=self._warmed(deployment, judge, cells, bins),
            share=self._share(deployment, bins[0], now),
            settings=settings,
            expectations=expectations,
            finished=finished,
            values=said.values,
            vitals=said.vitals,
            novelties=said.novelties,
            controls=(*others, *self._controls(deployment, known, bins)),
        )

    def _expectations(
        self, deployment: Deployment, judge: Judge, told: JudgeSettings, bins: tuple[int, int, bool], now: datetime
    ) -> Expectations | None:
        """From this batch on where the past is all there is; from the next on where an old version served until now.

        None while a rollout is under way: its steps are decided by two versions side by side, also where they wait.
        """
        since, until, finished = bins
        is_left = finished and judge.may_go_on and _goes_on(deployment)
        if not (is_left or judge.lacks_past):
            return None
        rollout = self._source.rollout(deployment, now)
        if rollout is not None and rollout.state not in ENDED:
            return None
        return self._source.expectations(deployment, told, since if judge.lacks_past else until)

    def _cells(
        self, deployment: Deployment, told: JudgeSettings, since: int, until: int
    ) -> tuple[Sequence[Cell], Sequence[ControlCell]]:
        """Cells to compare, and what of the service is not compared and answers requests nevertheless."""
        if until <= since:
            return [], []
        cells = self._source.cells(deployment, told, since, until)
        if deployment.strategy is not Strategy.ALL_AT_ONCE:
            return cells, []
        # What overlaps while old processes drain is no control, nor is the next version that takes over.
        mine = [cell for cell in cells if arm_of(deployment, cell) is Arm.TREATMENT]
        started = deployment.started_at.timestamp()
        others = [c for c in cells if c.bin_start >= started and arm_of(deployment, c) is not Arm.TREATMENT]
        nothing = ControlService(service=deployment.service, version="", edges={}, rates={})
        return mine, tally(nothing, others)

    def _controls(
        self, deployment: Deployment, known: Sequence[ControlService], bins: tuple[int, int]
    ) -> Sequence[ControlCell]:
        return self._source.controls(deployment, known, *bins) if known and bins[0] < bins[1] else ()

    def _said(self, deployment: Deployment, told: JudgeSettings, bins: tuple[int, int], *, is_first: bool) -> Said:
        """Nothing of what has no control beside it: against the past, requests are all that is compared."""
        if bins[1] <= bins[0] or deployment.strategy is Strategy.ALL_AT_ONCE:
            return Said()
        said = self._source.said(deployment, told, *bins)
        if not is_first:
            return said
        return replace(said, novelties=self._source.known(deployment, bins[0]) + said.novelties)

    def _warmed(
        self, deployment: Deployment, judge: Judge, cells: Sequence[Cell], bins: tuple[int, int]
    ) -> tuple[str, ...]:
        if not any(judge.wonders_about(cell) for cell in cells):
            return ()
        return self._source.warmed(deployment, *bins)

    def _share(self, deployment: Deployment, since: int, now: datetime) -> float | None:
        """The share that held all through the batch: a rollout's, if it did not move lately, else what was reported."""
        rollout = self._source.rollout(deployment, now)
        if rollout is None:
            return deployment.traffic_share
        return rollout.share if _is_steady(rollout, since) else None


def is_due(deployment: Deployment, judge: Judge | None, now: datetime, settings: Settings) -> bool:
    """Is it time for the next look at a deployment whose traffic onejob does not move? At old ones it is seldom."""
    if judge is None or judge.bins_to is None:
        return True
    end = judged_until(deployment, judge, settings)
    if end is not None and now >= end:
        return True
    age_s = (now - deployment.started_at).total_seconds()
    seen_to = now.timestamp() - settings.watermark_s
    pause_s = min(age_s / _LOOKS_OF_ITS_AGE, _LONGEST_PAUSE_S)
    if judge.goes_on_until is not None:
        pause_s = max(pause_s, _PAUSE_ON_PAST_S)
    step = bin_width_s(judge.settings, settings)
    if deployment.strategy is Strategy.ALL_AT_ONCE:
        step = past.step_s(step)
    return seen_to - judge.bins_to >= pause_s and seen_to // step > judge.bins_to // step


def bin_width_s(told: JudgeSettings, settings: Settings) -> int:
    """Of the counts that the judge is given."""
    return settings.bin_width_s if told.metrics is None else told.metrics.bin_width_s


def judged_until(deployment: Deployment, judge: Judge, settings: Settings) -> datetime | None:
    """The end, or when the hour after it is over in which the new version is compared with the past alone."""
    end, goes_on_until = end_of(deployment, settings), judge.goes_on_until
    if end is None or goes_on_until is None or not _goes_on(deployment):
        return end
    return max(end, datetime.fromtimestamp(goes_on_until, UTC))


def _goes_on(deployment: Deployment) -> bool:
    """Is it in production for good, with an old version that may have served beside it?"""
    return deployment.status is Status.FINISHED and deployment.strategy is not Strategy.ALL_AT_ONCE


def end_of(deployment: Deployment, settings: Settings) -> datetime | None:
    """When the arms ceased to serve side by side, as far as anybody said; without a control, when the hour is over."""
    is_taken_back = deployment.status in (Status.FAILED, Status.ROLLED_BACK)
    if deployment.strategy is Strategy.ALL_AT_ONCE and not (is_taken_back and deployment.finished_at):
        # A step more than what is judged: the last one must have ended.
        return deployment.started_at + timedelta(seconds=settings.warm_up_s + HORIZON_S + 2 * past.STEP_S)
    if deployment.status is not Status.IN_PROGRESS and deployment.finished_at is not None:
        return deployment.finished_at
    return deployment.started_at + timedelta(seconds=settings.judge_horizon_s)


def arms_of(deployment: Deployment) -> tuple[object, ...]:
    """What a change of makes a judge start over."""
    return deployment.version, deployment.previous_version, deployment.started_at, deployment.strategy


def judge_settings(
    settings: Settings, service: str, calibration: Calibration | None = None, named: Outcomes = NO_OUTCOMES
) -> JudgeSettings:
    """What a judge of the service is told: the server's settings, what people `named` beside them, and what the
    service's past says of its noise.
    """
    outcomes = together(settings, named)
    told = JudgeSettings(
        alpha=settings.alpha,
        tolerance_errors=settings.tolerance_errors,
        tolerance_errors_ratio=settings.tolerance_errors_ratio,
        tolerance_p50=settings.tolerance_p50,
        tolerance_tail=settings.tolerance_tail,
        warm_up_s=settings.warm_up_s,
        max_operations=settings.max_operations,
        kpis=tuple(kpi for kpi in outcomes.kpis if matches(kpi.service, service)),
        tolerances=tuple(one for one in outcomes.tolerances if matches(one.service, service)),
    )
    if calibration is None:
        return told
    return replace(
        told,
        phi_factor=calibration.phi_factor,
        history=calibration.history,
        false_alarms=calibration.false_alarms,
    )


def together(settings: Settings, named: Outcomes) -> Outcomes:
    """A KPI of the configuration hides one of its name; a tolerance that people named comes before the configuration's,
    whose first one often covers everything.
    """
    taken = {kpi.name for kpi in settings.kpis}
    return Outcomes(
        kpis=(*settings.kpis, *(kpi for kpi in named.kpis if kpi.name not in taken)),
        tolerances=(*named.tolerances, *settings.tolerances),
    )


def _is_steady(rollout: Rollout, since: int) -> bool:
    moved = rollout.transitions[-1].at.timestamp() if rollout.transitions else rollout.step_started_at.timestamp()
    return rollout.state is RolloutState.HOLDING and moved < since


def _floor(moment: datetime, width_s: int) -> int:
    return math.floor(moment.timestamp() / width_s) * width_s
