"""One look at one rollout: count, decide, store, move, store.

A person's command may come while the router is being asked, and is stored at once. So `lock` guards what is stored, for
milliseconds, and never a call to a router; a look that finds the rollout changed by the time its router has answered
leaves it to the next look to do what is wanted now.

The order makes a kill at any point harmless. Counts are taken before traffic moves, so that no sample mixes two shares.
What is wanted is stored before the driver is called, and that it is in force after: a onejob killed in between finds
the wish and makes the same call again, which changes nothing if it was made before. The deployment learns of the end
before the rollout is closed, because a closed rollout is never looked at again.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from onejob.act import rollout as machine
from onejob.act.drivers import ArmCounters, DriverFactory, TrafficDriver
from onejob.act.errors import DriverError, DriverMisconfiguredError, PlanError, RolloutUnknownError
from onejob.act.sampling import Sampler
from onejob.model.deployment import Deployment, Status
from onejob.model.evidence import Arm
from onejob.model.rollout import Mode, Rollout, RolloutPlan, RolloutState, Transition
from onejob.seldom import Seldom
from onejob.state.deployments import Deployments
from onejob.state.errors import StateError
from onejob.state.events import Events
from onejob.state.evidence import Evidences
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Verdicts

log = logging.getLogger(__name__)
seldom = Seldom(log)

_OVER = {Status.FAILED: "failed", Status.ROLLED_BACK: "rolled back"}
OnTransition = Callable[[Rollout, Transition], None]
_SAME_SHARE = 1e-4  # one weight in 10,000


@dataclass(slots=True)
class Watch:
    """What is kept in memory of an active rollout; all of it can be made anew.

    `lock` is held for a whole look; `waiting` is the look that waits for it.
    """

    driver: TrafficDriver | None = None
    sampler: Sampler = field(default_factory=Sampler)
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: "Future[Rollout] | None" = None


class Attendant:
    """Brings a rollout from where it is stored to where it should be now."""

    def __init__(
        self,
        *,
        rollouts: Rollouts,
        deployments: Deployments,
        verdicts: Verdicts,
        evidences: Evidences,
        events: Events,
        drivers: Mapping[str, DriverFactory],
        stale_after: timedelta,
        on_transition: OnTransition,
    ) -> None:
        self._rollouts = rollouts
        self._deployments = deployments
        self._verdicts = verdicts
        self._evidences = evidences
        self._events = events
        self._drivers = drivers
        self._stale_after = stale_after
        self._on_transition = on_transition
        self.lock = threading.Lock()

    def make_driver(self, plan: RolloutPlan) -> TrafficDriver:
        """The plan's driver; PlanError if it cannot be made of the plan's settings."""
        if plan.driver not in self._drivers:
            raise PlanError(f"There is no driver {plan.driver!r}; there is {', '.join(sorted(self._drivers))}.")
        return self._drivers[plan.driver](plan.settings)

    def answers(self, plan: RolloutPlan) -> bool:
        """Does the plan's router answer, on a connection of its own?"""
        return self._problem(plan, lambda driver: driver.read_share()) is None

    def take_back(self, plan: RolloutPlan) -> str | None:
        """Tell the plan's router, on a connection of its own, to send nothing to the new version; why it did not."""
        return self._problem(plan, lambda driver: driver.set_share(0.0))

    def _problem(self, plan: RolloutPlan, ask: Callable[[TrafficDriver], object]) -> str | None:
        try:
            with closing(self.make_driver(plan)) as driver:
                ask(driver)
        except (DriverError, PlanError) as error:
            return str(error)
        return None

    def get(self, rollout_id: str) -> Rollout:
        """As it is stored."""
        rollout = self._rollouts.get(rollout_id)
        if rollout is None:
            raise RolloutUnknownError(f"There is no rollout {rollout_id}.")
        return rollout

    def attend(self, rollout_id: str, watch: Watch, now: datetime) -> Rollout:
        """One look. The caller holds the watch's lock."""
        rollout = self.get(rollout_id)
        if rollout.state in machine.ENDED:
            return rollout
        trouble = self._sample(rollout, watch, now)
        with self.lock:
            wanted = self._decide(self.get(rollout_id), now)
        moved = self._move(wanted, watch, now, trouble)
        with self.lock:
            found = self.get(rollout_id)
            # Whatever changes a rollout adds a transition.
            return self.keep(wanted, moved) if found.transitions == wanted.transitions else found

    def keep(self, before: Rollout, after: Rollout) -> Rollout:
        """Store what has changed, the deployment's end first, and tell those who watch. The caller holds `lock`."""
        if after is before:
            return after
        new = after.transitions[len(before.transitions) :]
        for transition in new:
            log.info("rollout %s: %s (%s)", after.id, transition.to_state, transition.reason)
        if after.plan.mode is not Mode.OBSERVE:
            self._tell_deployment(before, after)
        self._rollouts.save(after)
        for transition in new:
            self._on_transition(after, transition)
        self._events.publish(after.deployment_id, "rollout")
        return after

    def _sample(self, rollout: Rollout, watch: Watch, now: datetime) -> str | None:
        """Counts of the share so far; the driver's trouble if there is any."""
        try:
            watch.driver = watch.driver or self.make_driver(rollout.plan)
            counters = watch.driver.read_counts()
            share = watch.driver.read_share()
        except (DriverError, PlanError) as error:
            return str(error)
        self._store_counts(rollout, watch, counters, rollout.share if share is None else share, now)
        return None

    def _store_counts(
        self, rollout: Rollout, watch: Watch, counters: Mapping[Arm, ArmCounters], share: float, now: datetime
    ) -> None:
        try:
            for count in watch.sampler.sample(counters, share, now):
                self._evidences.append_router(rollout.deployment_id, count)
        except StateError as error:
            seldom.warning(f"counts {rollout.id}", "counts of rollout %s are lost: %s", rollout.id, error)

    def _decide(self, rollout: Rollout, now: datetime) -> Rollout:
        """What is wanted now, stored. That a rollout is aborted is wanted even if it cannot be."""
        before = rollout
        deployment = self._deployments.get(rollout.deployment_id)
        if deployment is not None and deployment.status in _OVER:
            rollout = machine.over(rollout, f"the deployment was reported {_OVER[deployment.status]}", now)
        verdict = self._verdicts.current(rollout.deployment_id)
        wanted = machine.advance(rollout, verdict, now, self._stale_after)
        try:
            self.keep(before, wanted)
        except StateError as error:
            if wanted.state is not RolloutState.ABORTING:
                raise
            told = "cannot record that rollout %s is aborted; aborting it all the same: %s"
            seldom.warning(f"abort {wanted.id}", told, wanted.id, error)
        return wanted

    def _move(self, rollout: Rollout, watch: Watch, now: datetime, trouble: str | None) -> Rollout:
        """The rollout as it is once the router was told what it must be told."""
        moved = rollout
        if watch.driver is not None:
            try:
                moved = _moved(rollout, watch.driver, now)
            except DriverMisconfiguredError as error:
                trouble = str(error)
            except DriverError as error:
                trouble = trouble or str(error)
        return machine.troubled(moved, trouble, now) if moved.state not in machine.ENDED else moved

    def _tell_deployment(self, before: Rollout, after: Rollout) -> None:
        if after.state is before.state and after.share == before.share:
            return
        if after.state is RolloutState.ABORTED:
            self._end_deployment(after, Status.FAILED if after.router_is_gone else Status.ROLLED_BACK)
        elif after.state is RolloutState.PROMOTED:
            self._end_deployment(after, Status.FINISHED)
        elif after.share != before.share:
            self._deployments.update(after.deployment_id, traffic_share=after.share)

    def _end_deployment(self, rollout: Rollout, status: Status) -> None:
        deployment = self._deployments.get(rollout.deployment_id)
        changes = {"traffic_share": rollout.share}
        if deployment is not None and _is_open(deployment):
            ended_at = rollout.transitions[-1].at
            self._deployments.update(rollout.deployment_id, status=status, finished_at=ended_at, **changes)
        else:
            self._deployments.update(rollout.deployment_id, **changes)


def _is_open(deployment: Deployment) -> bool:
    return deployment.status is Status.IN_PROGRESS


def _moved(rollout: Rollout, driver: TrafficDriver, now: datetime) -> Rollout:
    """Tell the router what it must be told, and record what it then does."""
    share = machine.share_to_apply(rollout)
    if share is None:
        return rollout
    if rollout.state in (RolloutState.PENDING, RolloutState.ABORTING):
        driver.set_share(share)
        return machine.confirm(rollout, now)
    found = driver.read_share()
    if found is not None and abs(found - share) < _SAME_SHARE:
        return rollout
    driver.set_share(share)
    return machine.corrected(rollout, found, now)
