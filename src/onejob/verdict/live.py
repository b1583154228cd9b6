"""One look at every deployment that is still being judged.

Reads the bins that are complete since the last look, stores them as evidence, folds them, stores the verdict: in this
order, so that a crash between any two of these steps loses nothing. After a restart the stored evidence is folded
again.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from onejob.config import Settings
from onejob.model.deployment import Deployment
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
from onejob.model.kpi import NO_OUTCOMES
from onejob.model.rollout import Rollout
from onejob.model.verdict import State, Verdict
from onejob.seldom import Seldom
from onejob.state.calibrations import Calibrations
from onejob.state.deployments import Deployments
from onejob.state.errors import ConflictError, ForgottenMeanwhileError, StateUnavailableError
from onejob.state.evidence import Evidences
from onejob.state.outcomes import StoredOutcomes
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Explanations, Verdicts
from onejob.store.engine import Engine
from onejob.store.errors import StoreError
from onejob.store.rollup import ROLLUP, read_cells
from onejob.verdict import past, start_up, untouched
from onejob.verdict.arms import arm_of
from onejob.verdict.batches import Batches, arms_of, bin_width_s, is_due, judge_settings
from onejob.verdict.before_after import HORIZON_S
from onejob.verdict.judge import Judge
from onejob.verdict.reading import read_known, read_said
from onejob.verdict.recompute import explained, refold
from onejob.verdict.request_source import choose, relation_of
from onejob.verdict.said import Said, Scope, kpis_of
from onejob.verdict.warm_up import warmed_instances

log = logging.getLogger(__name__)

# Of those whose new version served nobody lately, or was not looked at yet, how many are looked at in a tick that is
# late already: none waits for ever, and together they delay those with requests by little.
_LEAST_QUIET = 0.1


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
        calibrations: Calibrations | None = None,
        outcomes: StoredOutcomes | None = None,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deployments = deployments
        self._evidences = evidences
        self._verdicts = verdicts
        self._explanations = explanations
        self._rollouts = rollouts
        self._settings = settings
        self._stopwatch = stopwatch
        source = LiveSource(engine, deployments, evidences, rollouts, verdicts, settings, calibrations, outcomes)
        self._batches = Batches(source, settings)
        self._seldom = Seldom(log)
        self._judges: dict[str, Judge] = {}
        self._read = evidences.as_of()
        self._quiet: set[str] = set()  # whose new version had no request in the last batch

    def tick(self, now: datetime) -> Iterator[Look]:
        """Look at all open deployments; one that cannot be looked at now is looked at next time.

        When that takes longer than `tick_s`, most of those not known to have requests are left for the ticks to come.
        """
        still_open = self._deployments.open()
        ids = {d.id for d in still_open}
        self._quiet &= ids
        for gone in self._judges.keys() - ids:
            del self._judges[gone]
        self._forget()
        late_at = self._stopwatch() + self._settings.tick_s
        due, least = self._due(still_open, now)
        for number, deployment in enumerate(due):
            if number >= least and self._stopwatch() > late_at:
                break
            try:
                yield from self._look(deployment, now)
            except StateUnavailableError:
                raise  # without the state there is nothing to look at for anybody
            except StoreError as error:
                # Without the engine all of a thousand open ones fail alike: said once.
                self._seldom.warning(
                    str(error), "cannot look at %s %s now: %s", deployment.service, deployment.version, error
                )
            except ForgottenMeanwhileError:
                self._forget()
            except ConflictError:
                self._judges.pop(deployment.id, None)  # another server judged meanwhile: fold its batches next time
            except Exception:
                # One deployment that cannot be judged must not keep the others waiting.
                self._judges.pop(deployment.id, None)
                log.exception("could not look at %s %s; it is tried again", deployment.service, deployment.version)

    def _forget(self) -> None:
        """What judges have consumed, if a customer was forgotten meanwhile: they read what is left of it."""
        read = self._evidences.as_of()
        if read != self._read:
            self._judges.clear()
            self._read = read

    def _due(self, still_open: list[Deployment], now: datetime) -> tuple[list[Deployment], int]:
        """Whose traffic onejob moves first, then those with requests, the newest first, then those never looked at,
        then those that waited the largest part of their age; old ones seldom, so that a thousand can be open. And how
        many of them cannot be left for later.
        """
        moving = {rollout.deployment_id for rollout in self._rollouts.active()}
        due = [
            found
            for found in still_open
            if found.id in moving or is_due(found, self._judges.get(found.id), now, self._settings)
        ]

        def may_wait(found: Deployment) -> bool:
            return found.id not in moving and (found.id in self._quiet or found.id not in self._judges)

        def urgency(found: Deployment) -> tuple[bool, bool, bool, float]:
            judge = self._judges.get(found.id)
            if found.id in moving or judge is None or found.id not in self._quiet:
                return found.id in moving, not may_wait(found), True, found.started_at.timestamp()
            waited_s = now.timestamp() - (judge.bins_to or 0)
            return False, False, False, waited_s / max(1.0, (now - found.started_at).total_seconds())

        can_wait = sum(may_wait(found) for found in due)
        least = len(due) - can_wait + math.ceil(_LEAST_QUIET * can_wait)
        return sorted(due, key=urgency, reverse=True), least

    def _look(self, deployment: Deployment, now: datetime) -> Iterator[Look]:
        judge = self._judge(deployment)
        previous = self._verdicts.current(deployment.id)
        while (batch := self._batches.following(deployment, judge, now)) is not None:
            self._evidences.append(batch, self._read)
            verdict = explained(deployment, judge.consume(batch), self._explanations.get(deployment.id))
            self._verdicts.record(verdict, self._read)
            self._note_requests(deployment, batch)
            if batch.finished:
                self._deployments.close(deployment.id, now)
            yield Look(deployment, verdict, previous, batch.finished)
            previous = verdict
            if batch.finished:
                return

    def _note_requests(self, deployment: Deployment, batch: EvidenceBatch) -> None:
        if batch.router or any(arm_of(deployment, cell) is Arm.TREATMENT for cell in batch.cells):
            self._quiet.discard(deployment.id)
        else:
            self._quiet.add(deployment.id)

    def _judge(self, deployment: Deployment) -> Judge:
        """The deployment's judge; made from stored evidence when there is none, or a late report changed the arms."""
        judge = self._judges.get(deployment.id)
        if judge is None or arms_of(judge.deployment) != arms_of(deployment):
            judge, _ = refold(deployment, self._evidences.read(deployment.id))
            self._judges[deployment.id] = judge
        judge.deployment = deployment
        return judge


@dataclass(frozen=True, slots=True)
class LiveSource:
    """Counts as they arrive; see `Source`."""

    engine: Engine
    deployments: Deployments
    evidences: Evidences
    rollouts: Rollouts
    verdicts: Verdicts
    settings: Settings
    calibrations: Calibrations | None = None
    outcomes: StoredOutcomes | None = None

    def cells(self, deployment: Deployment, told: JudgeSettings, since: int, until: int) -> list[Cell]:
        return self._cells(deployment, relation_of(told), since, until)

    def _cells(self, deployment: Deployment, relation: str, since: int, until: int) -> list[Cell]:
        return read_cells(
            self.engine,
            service=deployment.service,
            environment=deployment.environment,
            default_environment=self.settings.default_environment,
            since=since,
            until=until,
            relation=relation,
        )

    def said(self, deployment: Deployment, told: JudgeSettings, since: int, until: int) -> Said:
        scope = replace(self._scope(deployment, since, until), metrics_bin_s=bin_width_s(told, self.settings))
        return read_said(self.engine, scope, kpis_of(told))

    def known(self, deployment: Deployment, since: int) -> tuple[NoveltyCell, ...]:
        return read_known(self.engine, self._scope(deployment, since, since), deployment)

    def _scope(self, deployment: Deployment, since: int, until: int) -> Scope:
        return Scope(
            service=deployment.service,
            environment=deployment.environment,
            default_environment=self.settings.default_environment,
            since=since,
            until=until,
            width_s=self.settings.bin_width_s,
            has_logs=True,
        )

    def controls(
        self, deployment: Deployment, known: Sequence[ControlService], since: int, until: int
    ) -> Sequence[ControlCell]:
        return [
            cell
            for one in known
            for cell in untouched.tally(
                one, self._cells(replace(deployment, service=one.service), ROLLUP, since, until)
            )
        ]

    def router(self, deployment: Deployment, until: datetime) -> list[RouterCount]:
        return self.evidences.take_router(deployment.id, until)

    def warmed(self, deployment: Deployment, since: int, until: int) -> tuple[str, ...]:
        return warmed_instances(self.engine, deployment.service, since=since, until=until)

    def rollout(self, deployment: Deployment, now: datetime) -> Rollout | None:
        return self.rollouts.by_deployment(deployment.id)

    def judge_settings(self, deployment: Deployment) -> JudgeSettings:
        known = self.calibrations.get(deployment.service, deployment.environment) if self.calibrations else None
        named = self.outcomes.told() if self.outcomes else NO_OUTCOMES
        told = judge_settings(self.settings, deployment.service, known, named)
        chosen = choose(self.engine, deployment, self.settings.default_environment, self.settings.bin_width_s)
        told = replace(told, metrics=chosen)
        return start_up.learn(
            self.engine,
            deployment,
            told,
            default_environment=self.settings.default_environment,
            bin_width_s=bin_width_s(told, self.settings),
            relation=relation_of(told),
        )

    def expectations(self, deployment: Deployment, told: JudgeSettings, judged_from: int) -> Expectations:
        others = self.deployments.of_service(deployment.service, deployment.environment)
        return past.read(
            self.engine,
            deployment,
            default_environment=self.settings.default_environment,
            bin_width_s=bin_width_s(told, self.settings),
            warm_up_s=told.warm_up_s,
            judged_from=judged_from,
            relation=relation_of(told),
            disturbed=[span for other in others if (span := self._disturbed(other)) is not None],
            untouched=untouched.find(self.engine, deployment, default_environment=self.settings.default_environment),
        )

    def _disturbed(self, other: Deployment) -> tuple[int, int] | None:
        """When a bad deployment was in production, and the hour after: no example of a service without a change."""
        verdict = self.verdicts.current(other.id)
        if verdict is None or verdict.state is not State.WORSE:
            return None
        end = other.finished_at or verdict.judged_at
        return int(other.started_at.timestamp()), int(end.timestamp()) + HORIZON_S
