"""The rollout controller: starts rollouts, takes commands, and looks at all active ones every second.

Each rollout is looked at in a thread of its own: one router that does not answer delays neither the other rollouts nor
the judge, who share the caller's thread. A command is stored at once, whatever the router does, and its answer waits
for the router only so long.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from onejob.act import rollout as machine
from onejob.act.attendant import Attendant, OnTransition
from onejob.act.drivers import DRIVERS, DriverFactory
from onejob.act.errors import DriverError, NoSplitError, RolloutRefusedError, RolloutUnknownError
from onejob.act.looks import Looks
from onejob.act.plan import OnTimeout, make_plan
from onejob.model.deployment import Deployment, Status
from onejob.model.rollout import Mode, Rollout, RolloutPlan, RolloutState, Step
from onejob.model.verdict import Verdict
from onejob.state.deployments import Deployments
from onejob.state.errors import ConflictError
from onejob.state.events import Events
from onejob.state.evidence import Evidences
from onejob.state.ids import new_id
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Verdicts

_NOT_YET = "accepted; the router has not answered yet, and is tried again until it does"


class RolloutController:
    """Thread-safe. `judge_interval_s` is how often verdicts are renewed; three times that, and one is stale.

    A look takes milliseconds, or up to 5 s when the router hangs. A tick waits `patience_s` for the looks it began; one
    that takes longer goes on while the next ticks pass it by. A start or a command waits `answer_within_s` at most for
    its own; then the answer's `trouble` says that it is stored, but not done yet.
    """

    def __init__(
        self,
        *,
        rollouts: Rollouts,
        deployments: Deployments,
        verdicts: Verdicts,
        evidences: Evidences,
        events: Events | None = None,
        drivers: Mapping[str, DriverFactory] = DRIVERS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        default_mode: Mode = Mode.OBSERVE,
        judge_interval_s: float = 10.0,
        on_transition: OnTransition = lambda *_: None,
        patience_s: float = 1.0,
        answer_within_s: float = 4.5,
    ) -> None:
        self._rollouts = rollouts
        self._deployments = deployments
        self._verdicts = verdicts
        self._clock = clock
        self._default_mode = default_mode
        self._patience_s = patience_s
        self._answer_within_s = answer_within_s
        self._attendant = Attendant(
            rollouts=rollouts,
            deployments=deployments,
            verdicts=verdicts,
            evidences=evidences,
            events=events or Events(),
            drivers=drivers,
            on_transition=on_transition,
            stale_after=max(machine.STALE_AFTER, timedelta(seconds=3 * judge_interval_s)),
        )
        self._looks = Looks(self._attendant.attend)
        self._start_lock = threading.Lock()
        self._tick_lock = threading.Lock()
        self._running: dict[str, Future[Rollout]] = {}

    def start(
        self,
        deployment_id: str,
        driver: str,
        settings: Mapping[str, str],
        steps: tuple[Step, ...] | None = None,
        mode: Mode | None = None,
        *,
        on_timeout: str = OnTimeout.PAUSE,
        force: bool = False,
    ) -> Rollout:
        """Begin a rollout and take its first step. `force` ships a version that was judged worse before."""
        now, until = self._clock(), time.monotonic() + self._answer_within_s
        plan = make_plan(driver, settings, mode=mode or self._default_mode, steps=steps, on_timeout=on_timeout)
        self._giving_way(self._startable(deployment_id), plan)
        self._check_driver(plan)  # may take seconds: other services' rollouts start meanwhile
        with self._start_lock:
            deployment = self._startable(deployment_id)
            for other in self._giving_way(deployment, plan):
                self._give_up(other.id, f"{deployment.version} is rolled out now", now)
            reason = self._check_version(deployment, plan, force)
            rollout = machine.begin(new_id("rol", now), deployment_id, plan, now, reason)
            try:
                self._rollouts.add(rollout)
            except ConflictError as error:
                raise RolloutRefusedError(str(error)) from error
        return self._answer(rollout.id, now, until)

    def command(self, rollout_id: str, command: str, actor: str, *, router_is_gone: bool = False) -> Rollout:
        """`promote`, `hold`, `resume` or `abort`, done at once; RolloutRefusedError if it does not fit.

        `router_is_gone` is a person's word that there is no router any more to take its traffic back: an abort ends
        without its answer.
        """
        now, until = self._clock(), time.monotonic() + self._answer_within_s
        if router_is_gone:
            return self._abort_without_router(rollout_id, command, actor, now)
        self._store(rollout_id, lambda before: machine.command(before, command, actor, now))
        return self._answer(rollout_id, now, until)

    def tick(self, now: datetime) -> None:
        """Look at every active rollout; returns within `patience_s` whatever the routers do."""
        with self._tick_lock:
            for rollout in self._rollouts.active():
                if rollout.id not in self._running:
                    self._running[rollout.id] = self._looks.soon(rollout.id, now)
            wait(self._running.values(), timeout=self._patience_s)
            self._running = {key: future for key, future in self._running.items() if not future.done()}

    def close(self) -> None:
        """Wait for looks under way and let go of the routers; rollouts stay where they are."""
        self._looks.close()

    def _answer(self, rollout_id: str, now: datetime, until: float) -> Rollout:
        """The rollout after its next look; as it is stored when the router takes longer than that."""
        look = self._looks.soon(rollout_id, now)
        wait([look], max(0.0, until - time.monotonic()))
        if look.done():
            return look.result()
        rollout = self._attendant.get(rollout_id)
        is_going = rollout.state not in machine.ENDED and rollout.trouble is None
        return replace(rollout, trouble=_NOT_YET) if is_going else rollout

    def _store(self, rollout_id: str, change: Callable[[Rollout], Rollout]) -> Rollout:
        with self._attendant.lock:
            before = self._attendant.get(rollout_id)
            return self._attendant.keep(before, change(before))

    def _abort_without_router(self, rollout_id: str, command: str, actor: str, now: datetime) -> Rollout:
        """The router is told all the same: what it reads at its next start is then right, should it have one."""
        rollout = self._attendant.get(rollout_id)
        if command != "abort":
            raise RolloutRefusedError("router_is_gone goes with abort only.")
        if rollout.plan.mode is Mode.OBSERVE:
            raise RolloutRefusedError(f"Rollout {rollout_id} only observes its router: abort without router_is_gone.")
        is_going = rollout.state not in (*machine.ENDED, RolloutState.ABORTING)
        if is_going and self._attendant.answers(rollout.plan):
            raise RolloutRefusedError(
                f"The router of rollout {rollout_id} answers, so it is not gone: abort without router_is_gone, and it "
                "takes the traffic back."
            )
        self._store(rollout_id, lambda before: machine.command(before, command, actor, now))
        trouble = self._attendant.take_back(rollout.plan)

        def ended(before: Rollout) -> Rollout:
            if before.state in machine.ENDED:  # a look was faster
                return before
            return (
                machine.confirm(before, now) if trouble is None else machine.give_up_router(before, actor, trouble, now)
            )

        after = self._store(rollout_id, ended)
        self._looks.soon(rollout_id, now)  # lets go of the router
        return after

    def _startable(self, deployment_id: str) -> Deployment:
        deployment = self._deployments.get(deployment_id)
        if deployment is None:
            raise RolloutUnknownError(f"There is no deployment {deployment_id}: report it first.")
        if deployment.status is not Status.IN_PROGRESS:
            raise RolloutRefusedError(
                f"Deployment {deployment_id} has ended ({deployment.status}): report a new one to roll it out."
            )
        return deployment

    def _giving_way(self, deployment: Deployment, plan: RolloutPlan) -> list[Rollout]:
        """Two rollouts that move the traffic of one service would fight; those that only observed give way."""
        given = []
        for other in self._rollouts.active():
            its = self._deployments.get(other.deployment_id)
            if its is None or (its.service, its.environment) != (deployment.service, deployment.environment):
                continue
            if other.plan.mode is Mode.OBSERVE and other.deployment_id != deployment.id:
                given.append(other)
            elif plan.mode is not Mode.OBSERVE or other.deployment_id == deployment.id:
                raise RolloutRefusedError(
                    f"{its.service} {its.version} is being rolled out in {its.environment}: {_to_do_first(other)}"
                )
        return given

    def _give_up(self, rollout_id: str, reason: str, now: datetime) -> None:
        self._store(rollout_id, lambda before: machine.failed(before, reason, now))
        self._looks.soon(rollout_id, now)  # lets go of the router

    def _check_version(self, deployment: Deployment, plan: RolloutPlan, force: bool) -> str:
        rejected = self._verdicts.rejected_version(deployment.service, deployment.environment, deployment.version)
        if rejected is None:
            return ""
        told = _rejection(deployment, rejected)
        if plan.mode is Mode.ACT and not force:
            raise RolloutRefusedError(f"{told} Ship another version, or start with force.")
        self._deployments.note(deployment.id, told)
        return told.rstrip(".")

    def _check_driver(self, plan: RolloutPlan) -> None:
        """A router that cannot do it, or does not answer, is refused now: later nobody is there to correct a typo.

        An observer moves nothing, so it needs no route to split.
        """
        driver = self._attendant.make_driver(plan)
        try:
            driver.check()
        except DriverError as error:
            if plan.mode is not Mode.OBSERVE or not isinstance(error, NoSplitError):
                raise RolloutRefusedError(_sentence(error)) from error
        finally:
            driver.close()


def _sentence(error: DriverError) -> str:
    return f"{str(error).rstrip('.')}."


def _to_do_first(other: Rollout) -> str:
    if other.state is RolloutState.ABORTING:
        return f"rollout {other.id} still takes its traffic back.{machine.way_out(other)}"
    return f"promote or abort rollout {other.id} first.{machine.way_out(other)}"


def _rejection(deployment: Deployment, verdict: Verdict) -> str:
    when = verdict.decided_at or verdict.judged_at
    return f"{deployment.service} {deployment.version} was judged worse on {when:%Y-%m-%d}: {verdict.sentence}"
