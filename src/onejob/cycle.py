"""The loop that closes the loop: detect -> judge -> explain -> act, again and again.

Two threads. One looks at telemetry every `tick_s`; the other moves rollouts every second, and at once when a verdict
was renewed: a slow query must never delay a rollback. Nor does what explains one verdict delay another: explanations
wait until everything was looked at, and when many services turn worse at once, some wait for the next ticks.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from onejob.durations import Durations
from onejob.model.deployment import Deployment
from onejob.model.explanation import Explanation
from onejob.model.verdict import State, Verdict
from onejob.own_spans import OwnSpan, OwnSpans
from onejob.seldom import Seldom
from onejob.state.errors import ForgottenMeanwhileError, StateUnavailableError
from onejob.state.events import Events
from onejob.state.leases import Leases
from onejob.state.verdicts import Explanations, Verdicts
from onejob.store.errors import StoreError
from onejob.verdict.live import Look
from onejob.verdict.recompute import explained

log = logging.getLogger(__name__)

_ROLLOUT_TICK_S = 1.0
_LEASE = "judge"
_LEAST_LEASE_S = 30.0
# Traces may arrive after the counts that turned a verdict, or from services that export late: what had nothing to look
# into is looked at again when there are half as many requests more, and that so many times (eleven times as many).
_GROWN = 1.5
_MOST_REMADE = 6
_JOIN_S = 10.0  # a look that waits for a stuck engine longer than this is left behind: its evidence is stored or not


class Detector(Protocol):
    """Notices deployments in telemetry."""

    def tick(self, now: datetime) -> list[Deployment]: ...


class Judging(Protocol):
    """Looks at open deployments."""

    def tick(self, now: datetime) -> Iterable[Look]: ...


class Rollouts(Protocol):
    """Moves traffic."""

    def tick(self, now: datetime) -> None: ...


Explain = Callable[[Deployment, Verdict, datetime], Explanation]


class Cycle:
    """Call `start` and `stop` once each. Only the process that holds the lease judges; all of them serve.

    `holder` names this process for as long as its data directory lives, so that a restart takes its own lease up again.
    `durations` are those of whole looks, of which `spans` are told, too.
    """

    def __init__(
        self,
        *,
        detector: Detector,
        judging: Judging,
        explain: Explain,
        rollouts: Rollouts,
        verdicts: Verdicts,
        explanations: Explanations,
        events: Events,
        leases: Leases,
        holder: str,
        clock: Callable[[], datetime],
        tick_s: float,
        spans: OwnSpans | None = None,
    ) -> None:
        self._spans = spans or OwnSpans()
        self._detector = detector
        self._judging = judging
        self._explain = explain
        self._rollouts = rollouts
        self._verdicts = verdicts
        self._explanations = explanations
        self._events = events
        self._leases = leases
        self._clock = clock
        self._tick_s = tick_s
        self._holder = holder
        self._lease_s = max(_LEAST_LEASE_S, 3 * tick_s)
        self._leased_at: datetime | None = None
        self._unexplained: dict[str, Look] = {}  # the latest of each, or an old verdict would be stored again
        self._empty: dict[str, tuple[int, int]] = {}  # requests when it was last found empty, and how often remade
        self._seldom = Seldom(log)
        self.durations = Durations()
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._threads = [
            threading.Thread(target=self._judge_forever, name="judge", daemon=True),
            threading.Thread(target=self._roll_forever, name="rollouts", daemon=True),
        ]

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the looks under way."""
        self._stopping.set()
        self._hurry.set()
        deadline = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._attempt("give back the judge's lease", lambda: self._leases.release(_LEASE, self._holder))

    def look(self, now: datetime) -> None:
        """One look at everything; what fails is logged and tried again at the next."""
        with self._spans.span("judge look") as whole:
            self._step(whole, "detect deployments", lambda: self._detector.tick(now))
            self._step(whole, "judge deployments", lambda: self._judge(now))
            self._explain_some(whole, now)

    def _judge(self, now: datetime) -> None:
        for look in self._judging.tick(now):
            if not self._is_ours():
                return
            self._hurry.set()
            self._events.publish(look.deployment.id, "verdict")
            wants = self._wants_explanation(look)
            if look.finished:
                self._empty.pop(look.deployment.id, None)
            if wants:
                self._unexplained[look.deployment.id] = look
            else:
                self._unexplained.pop(look.deployment.id, None)

    def _wants_explanation(self, look: Look) -> bool:
        """When it turns worse, and again at the end, when late spans have arrived; meanwhile if it is still empty."""
        if look.verdict.state is not State.WORSE:
            return False
        turned = look.previous is None or look.previous.state is not State.WORSE
        waits = look.deployment.id in self._unexplained
        if turned or waits or look.finished:
            return True
        made = self._explanations.get(look.deployment.id)
        return made is None or (made.is_empty and self._has_grown(look))

    def _has_grown(self, look: Look) -> bool:
        requests = _requests(look.verdict)
        before, remade = self._empty.setdefault(look.deployment.id, (requests, 0))
        if remade == _MOST_REMADE or requests < _GROWN * max(1, before):
            return False
        self._empty[look.deployment.id] = requests, remade + 1
        return True

    def _explain_some(self, whole: OwnSpan, now: datetime) -> None:
        """As many as a tick has time for, those that waited longest first; one at least."""
        late_at = time.monotonic() + self._tick_s
        while self._unexplained and not self._stopping.is_set():
            look = self._unexplained.pop(next(iter(self._unexplained)))
            self._step(whole, "explain a verdict", lambda look=look: self._explain_if_ours(look, now))  # type: ignore[misc]
            if time.monotonic() > late_at:
                return

    def _explain_if_ours(self, look: Look, now: datetime) -> None:
        if self._is_ours():
            self._explained(look, now)
        else:
            self._unexplained.clear()

    def _explained(self, look: Look, now: datetime) -> None:
        read = self._explanations.as_of()
        verdict = self._verdicts.current(look.deployment.id) or look.verdict  # which may have been told to forget
        explanation = self._explain(look.deployment, verdict, now)
        try:
            self._explanations.save(replace(explanation, deployment_id=look.deployment.id), read)
            self._verdicts.record(explained(look.deployment, verdict, explanation), read)
        except ForgottenMeanwhileError:
            self._unexplained[look.deployment.id] = look
            return
        self._events.publish(look.deployment.id, "explanation")

    def _judge_forever(self) -> None:
        due = self._clock()
        while not self._stopping.is_set():
            self._attempt("look at telemetry", self._look_if_ours)
            now = self._clock()
            tick = timedelta(seconds=self._tick_s)
            due = min(max(due + tick, now), now + tick)  # a clock that was set back must not stop the judging
            self._stopping.wait((due - now).total_seconds())

    def _look_if_ours(self) -> None:
        self._leased_at = None
        if self._is_ours():
            started = time.monotonic()
            self.look(self._clock())
            self.durations.add(time.monotonic() - started)
        else:
            self._unexplained.clear()  # who judges now explains too

    def _is_ours(self) -> bool:
        """Is the lease ours? Renewed when a third of it is over, as a look at many deployments can take long."""
        now = self._clock()
        if self._leased_at is not None and (now - self._leased_at).total_seconds() < self._lease_s / 3:
            return True
        if not self._leases.acquire(_LEASE, self._holder, self._lease_s):
            return False
        self._leased_at = now
        return True

    def _roll_forever(self) -> None:
        while not self._stopping.is_set():
            self._hurry.wait(_ROLLOUT_TICK_S)
            self._hurry.clear()
            if not self._stopping.is_set():
                self._attempt("move rollouts", lambda: self._rollouts.tick(self._clock()))

    def _step(self, whole: OwnSpan, what: str, act: Callable[[], object]) -> None:
        with self._spans.span(what, within=whole) as step:
            step.error = self._attempt(what, act)
            whole.error = whole.error or step.error

    def _attempt(self, what: str, act: Callable[[], object]) -> str:
        """The class of what went wrong, which is logged; empty where nothing did."""
        try:
            act()
        except (StoreError, StateUnavailableError) as error:
            self._seldom.warning(what, "cannot %s now: %s", what, error)
            return type(error).__name__
        except Exception as error:
            log.exception("could not %s; it is tried again", what)
            return type(error).__name__
        return ""


def _requests(verdict: Verdict) -> int:
    return sum(arm.requests for arm in (verdict.control, verdict.treatment) if arm is not None)
