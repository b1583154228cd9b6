"""What a project consists of while it runs, put together: whatever looks, judges, explains and acts, over one telemetry
store, one state database and one way in. Each project of a server has all of it once, and so `default` has.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from onejob.access.service import Access
from onejob.act.audited import AuditedTransitions
from onejob.act.controller import RolloutController
from onejob.changes.detect_loop import DetectLoop
from onejob.config import Settings
from onejob.cycle import Cycle
from onejob.explain.rivals import when_others_count
from onejob.explain.service import explain
from onejob.history.jobs import Jobs
from onejob.history.places import places
from onejob.history.service import DailyCalibration, History
from onejob.known.look import ErrorLook
from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch
from onejob.model.explanation import Explanation
from onejob.model.rollout import Mode
from onejob.model.verdict import Verdict
from onejob.own_spans import OwnSpans
from onejob.state.audit import Audit
from onejob.state.backtests import Backtests
from onejob.state.calibrations import Calibrations
from onejob.state.database import Database, state_url
from onejob.state.deployments import Deployments
from onejob.state.errors import NotFoundError
from onejob.state.events import Events
from onejob.state.evidence import Evidences
from onejob.state.known_errors import KnownErrors
from onejob.state.leases import Leases
from onejob.state.outcomes import StoredOutcomes
from onejob.state.readings import Readings
from onejob.state.returns import WaitingReturns
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Explanations, Verdicts
from onejob.state.versions import KnownVersions
from onejob.store.engine import Engine
from onejob.store.rollup import versions_seen
from onejob.verdict.live import JudgeLoop
from onejob.verdict.recompute import recompute
from onejob.watch import Looking, Watch
from onejob.web.services import IntakeControl, Services, assemble, utc_now

_COMPLAINTS_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What a project's parts stand on. `holder` names this server wherever one of several has a lease. `spans`
    are told what is done for the project.
    """

    settings: Settings
    engine: Engine
    database: Database
    intake: IntakeControl
    access: Access
    holder: str
    spans: OwnSpans = field(default_factory=OwnSpans)


def start_parts(ground: Ground, stack: ExitStack) -> Services:
    """They stop, in the opposite order, when the stack is left."""
    settings, database = ground.settings, ground.database
    events = Events()
    deployments, evidences, rollouts = Deployments(database), Evidences(database), Rollouts(database)
    verdicts, explanations = Verdicts(database), Explanations(database)
    controller = RolloutController(
        rollouts=rollouts,
        deployments=deployments,
        verdicts=verdicts,
        evidences=evidences,
        events=events,
        clock=utc_now,
        default_mode=Mode(settings.rollout_mode),
        judge_interval_s=max(settings.tick_s, settings.bin_width_s),
        on_transition=AuditedTransitions(Audit(database)),
    )
    stack.callback(controller.close)

    def again(deployment: Deployment, batches: Iterable[EvidenceBatch]) -> Verdict:
        verdict = recompute(deployment, batches, explanations.get(deployment.id))
        if verdict is None:
            raise NotFoundError(f"There is no evidence for {deployment.id} yet: wait for its first look.")
        return verdict

    cycle = _cycle(ground, events, controller)
    cycle.start()
    stack.callback(cycle.stop)
    history = _history(ground, stack)
    _watch_errors(ground, stack)
    services = assemble(
        settings,
        database,
        engine=ground.engine,
        intake=ground.intake,
        recompute=again,
        controller=controller,
        history=history,
        events=events,
        tick_durations=cycle.durations,
        access=ground.access,
        spans=ground.spans,
    )
    _watch("complaints", services.complaints, ground, stack, _COMPLAINTS_EVERY_S)
    return services


def _cycle(ground: Ground, events: Events, controller: RolloutController) -> Cycle:
    """What happens every tick: deployments are noticed, judged, explained and acted on."""
    settings, engine, database = ground.settings, ground.engine, ground.database
    deployments, rollouts = Deployments(database), Rollouts(database)
    verdicts, explanations = Verdicts(database), Explanations(database)
    judging = JudgeLoop(
        engine=engine,
        deployments=deployments,
        evidences=Evidences(database),
        verdicts=verdicts,
        explanations=explanations,
        rollouts=rollouts,
        settings=settings,
        calibrations=Calibrations(database),
        outcomes=StoredOutcomes(database),
    )
    look = lambda since, until: versions_seen(engine, since=since, until=until)  # noqa: E731
    versions, returns = KnownVersions(database), WaitingReturns(database)
    detector = DetectLoop(deployments, rollouts, versions, returns, events, look, settings)

    def why(deployment: Deployment, verdict: Verdict, now: datetime) -> Explanation:
        others = deployments.around(deployment.environment, *when_others_count(deployment, verdict))
        return explain(engine, deployment, verdict, settings=settings, now=now, others=others)

    return Cycle(
        detector=detector,
        judging=judging,
        explain=why,
        rollouts=controller,
        verdicts=verdicts,
        explanations=explanations,
        events=events,
        leases=Leases(database),
        holder=ground.holder,
        clock=utc_now,
        tick_s=settings.tick_s,
        spans=ground.spans,
    )


def _history(ground: Ground, stack: ExitStack) -> History:
    settings, engine, database = ground.settings, ground.engine, ground.database
    jobs = Jobs(engine, settings, state_url(settings))
    history = History(jobs, Backtests(database), Calibrations(database), settings, utc_now)

    served = lambda since, until: places(engine, settings.default_environment, since, until)  # noqa: E731
    daily = DailyCalibration(history, served, Leases(database), ground.holder, utc_now)
    if settings.calibrate_daily:
        daily.start()
        stack.callback(daily.stop)
    stack.callback(jobs.stop)
    return history


def _watch_errors(ground: Ground, stack: ExitStack) -> None:
    database, settings = ground.database, ground.settings
    looking = ErrorLook(ground.engine, KnownErrors(database), Readings(database), KnownVersions(database), settings)
    _watch("errors", looking, ground, stack, settings.errors_tick_s)


def _watch(what: str, looking: Looking, ground: Ground, stack: ExitStack, every_s: float) -> None:
    watch = Watch(what, looking, Leases(ground.database), ground.holder, utc_now, every_s)
    watch.start()
    stack.callback(watch.stop)
