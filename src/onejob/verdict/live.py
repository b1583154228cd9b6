"""One look at every deployment that is still being judged.

Reads the bins that are complete since the last look, stores them as evidence, folds them, stores the verdict: in this
order, so that a crash between any two of these steps loses nothing. After a restart the stored evidence is folded
again.
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from onejob.config import Settings
from onejob.model.deployment import Deployment, Status, Strategy
from onejob.model.evidence import Cell, EvidenceBatch, JudgeSettings
from onejob.model.rollout import Rollout, RolloutState
from onejob.model.verdict import Verdict
from onejob.state.deployments import Deployments
from onejob.state.errors import ConflictError, StateUnavailableError
from onejob.state.evidence import Evidences
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Explanations, Verdicts
from onejob.store.engine import Engine
from onejob.store.errors import StoreError
from onejob.store.rollup import read_cells
from onejob.verdict.judge import Judge
from onejob.verdict.recompute import explained, refold
from onejob.verdict.warm_up import warmed_instances

log = logging.getLogger(__name__)

# Control's past that thresholds are frozen on and instances' ages are read from.
BASELINE_S = 600
_MOST_BINS = 600  # of one batch: catching up after an outage must not need a day's cells at once
# A deployment is looked at after a 360th more of its age: every 10 s in its first hour, every minute at six hours. With
# ages spread over a day that is a sixth of the looks, and no damage is noticed later than by that part of its age.
_LOOKS_OF_ITS_AGE = 360.0
_LONGEST_PAUSE_S = 300.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at one deployment found; `previous` is None at the first."""

    deployment: Deployment
    verdict: Verdict
    previous: Verdict | None
    finished: bool


class JudgeLoop:
    """Keeps a judge per open deployment between ticks. Not thread-safe: one thread ticks."""

    def __init__(
        self,
        *,
        engine: Engine,
        deployments: Deployments,
        evidences: Evidences,
        verdicts: Verdicts,
        explanations: Explanations,
        rollouts: Rollouts,
        settings: Settings,
    ) -> None:
        self._engine = engine
        self._deployments = deployments
        self._evidences = evidences
        self._verdicts = verdicts
        self._explanations = explanations
        self._rollouts = rollouts
        self._settings = settings
        self._judges: dict[str, Judge] = {}

    def tick(self, now: datetime) -> Iterator[Look]:
        """Look at all open deployments; one that cannot be looked at now is looked at next time."""
        still_open = self._deployments.open()
        for gone in self._judges.keys() - {d.id for d in still_open}:
            del self._judges[gone]
        for deployment in self._due(still_open, now):
            try:
                yield from self._look(deployment, now)
            except StateUnavailableError:
                raise  # without the state there is nothing to look at for anybody
            except StoreError as error:
                log.warning("cannot look at %s %s now: %s", deployment.service, deployment.version, error)
            except ConflictError:
                self._judges.pop(deployment.id, None)  # another server judged meanwhile: fold its batches next time
            except Exception:
                # One deployment that cannot be judged must not keep the others waiting.
                self._judges.pop(deployment.id, None)
                log.exception("could not look at %s %s; it is tried again", deployment.service, deployment.version)

    def _due(self, still_open: list[Deployment], now: datetime) -> list[Deployment]:
        """Whose traffic onejob moves first, then the newest; old ones seldom, so that a thousand can be open."""
        moving = {rollout.deployment_id for rollout in self._rollouts.active()}
        due = [found for found in still_open if found.id in moving or self._is_due(found, now)]
        return sorted(due, key=lambda found: (found.id in moving, found.started_at), reverse=True)

    def _is_due(self, deployment: Deployment, now: datetime) -> bool:
        judge, end = self._judges.get(deployment.id), _end(deployment, self._settings.judge_horizon_s)
        if judge is None or judge.bins_to is None or (end is not None and now >= end):
            return True
        age_s = (now - deployment.started_at).total_seconds()
        unseen_s = now.timestamp() - self._settings.watermark_s - judge.bins_to
        return unseen_s >= min(age_s / _LOOKS_OF_ITS_AGE, _LONGEST_PAUSE_S)

    def _look(self, deployment: Deployment, now: datetime) -> Iterator[Look]:
        judge = self._judge(deployment)
        previous = self._verdicts.current(deployment.id)
        while (batch := self._next_batch(deployment, judge, now)) is not None:
            self._evidences.append(batch)
            verdict = explained(deployment, judge.consume(batch), self._explanations.get(deployment.id))
            self._verdicts.record(verdict)
            if batch.finished:
                self._deployments.close(deployment.id, now)
            yield Look(deployment, verdict, previous, batch.finished)
            previous = verdict
            if batch.finished:
                return

    def _judge(self, deployment: Deployment) -> Judge:
        """The deployment's judge; made from stored evidence when there is none, or a late report changed the arms."""
        judge = self._judges.get(deployment.id)
        if judge is None or _arms(judge.deployment) != _arms(deployment):
            judge, _ = refold(deployment, self._evidences.read(deployment.id))
            self._judges[deployment.id] = judge
        judge.deployment = deployment
        return judge

    def _next_batch(self, deployment: Deployment, judge: Judge, now: datetime) -> EvidenceBatch | None:
        width = self._settings.bin_width_s
        end = _end(deployment, self._settings.judge_horizon_s)
        complete = now - timedelta(seconds=self._settings.watermark_s)
        is_over = end is not None and complete >= end
        first = judge.bins_to if judge.bins_to is not None else self._first_bin(deployment)
        until = _floor(min(complete, end) if end is not None else complete, width)
        last = min(max(first, until), first + _MOST_BINS * width)
        finished = is_over and last >= until
        if last <= first and not finished:
            return None
        return self._batch(deployment, judge, (first, last), now, finished)

    def _batch(
        self, deployment: Deployment, judge: Judge, bins: tuple[int, int], now: datetime, finished: bool
    ) -> EvidenceBatch:
        cells = self._cells(deployment, *bins)
        router_until = datetime.fromtimestamp(bins[1], UTC)
        return EvidenceBatch(
            deployment_id=deployment.id,
            seq=judge.next_seq,
            judged_at=now,
            bins_from=bins[0],
            bins_to=bins[1],
            bin_width_s=self._settings.bin_width_s,
            cells=tuple(cells),
            router=tuple(self._evidences.take_router(deployment.id, router_until)),
            warmed=self._warmed(deployment, judge, cells, bins),
            share=self._share(deployment, bins[0]),
            settings=_judge_settings(self._settings) if judge.next_seq == 0 else None,
            finished=finished,
        )

    def _cells(self, deployment: Deployment, since: int, until: int) -> list[Cell]:
        if until <= since or deployment.strategy is Strategy.ALL_AT_ONCE:
            return []  # what overlaps while old processes drain is no control
        return read_cells(
            self._engine,
            service=deployment.service,
            environment=deployment.environment,
            default_environment=self._settings.default_environment,
            since=since,
            until=until,
        )

    def _warmed(
        self, deployment: Deployment, judge: Judge, cells: list[Cell], bins: tuple[int, int]
    ) -> tuple[str, ...]:
        if not any(judge.wonders_about(cell) for cell in cells):
            return ()
        return warmed_instances(self._engine, deployment.service, since=bins[0], until=bins[1])

    def _share(self, deployment: Deployment, since: int) -> float | None:
        """The share that held all through the batch: a rollout's, if it did not move lately, else what was reported."""
        rollout = self._rollouts.by_deployment(deployment.id)
        if rollout is None:
            return deployment.traffic_share
        return rollout.share if _is_steady(rollout, since) else None

    def _first_bin(self, deployment: Deployment) -> int:
        return _floor(deployment.started_at, self._settings.bin_width_s) - BASELINE_S


def _is_steady(rollout: Rollout, since: int) -> bool:
    moved = rollout.transitions[-1].at.timestamp() if rollout.transitions else rollout.step_started_at.timestamp()
    return rollout.state is RolloutState.HOLDING and moved < since


def _arms(deployment: Deployment) -> tuple[object, ...]:
    """What a change of makes a judge start over."""
    return deployment.version, deployment.previous_version, deployment.started_at, deployment.strategy


def _end(deployment: Deployment, horizon_s: float) -> datetime | None:
    """When the arms ceased to serve side by side, as far as anybody said."""
    if deployment.status is not Status.IN_PROGRESS and deployment.finished_at is not None:
        return deployment.finished_at
    if deployment.strategy is Strategy.ALL_AT_ONCE:
        return deployment.started_at
    return deployment.started_at + timedelta(seconds=horizon_s)


def _floor(moment: datetime, width_s: int) -> int:
    return math.floor(moment.timestamp() / width_s) * width_s


def _judge_settings(settings: Settings) -> JudgeSettings:
    return JudgeSettings(
        alpha=settings.alpha,
        tolerance_errors=settings.tolerance_errors,
        tolerance_errors_ratio=settings.tolerance_errors_ratio,
        tolerance_p50=settings.tolerance_p50,
        tolerance_tail=settings.tolerance_tail,
        warm_up_s=settings.warm_up_s,
        max_operations=settings.max_operations,
    )
