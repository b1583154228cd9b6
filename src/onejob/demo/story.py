"""The story: customers come, and one version after the other is shipped as a canary in front of the judge.

The demo only reports deployments and asks for rollouts. Who gets how much traffic, and when a version is taken back, is
decided by the server; the demo watches Envoy's counters to measure when that really happened.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import httpx

from onejob.demo.api import Judgement, Onejob
from onejob.demo.envoy import Slot
from onejob.demo.errors import DemoError
from onejob.demo.measure import RequestsSeen
from onejob.demo.narrator import Narrator, Scene
from onejob.demo.report import Shipped
from onejob.demo.stage import ENVIRONMENT, Stage
from onejob.demo.truth import FIRST_VERSION, SERVICE, Version

BASELINE_S = 15.0
LOOK_EVERY_S = 0.2
ASK_EVERY_S = 0.5
LONGEST_ROLLOUT_S = 300.0
# Nothing may still be on its way to a version that was taken back: so long without a request is the end of it.
QUIET_S = 2.0
# The server explains at once, and once more when the last spans of the rolled back version are in.
LATE_SPANS_S = 2.0
LONGEST_EXPLANATION_S = 45.0  # on a machine that has much else to do
AFTERGLOW_S = 5.0


class Story:
    def __init__(self, stage: Stage, onejob: Onejob, narrator: Narrator) -> None:
        self._stage = stage
        self._onejob = onejob
        self._narrator = narrator
        self._envoy = httpx.Client(timeout=5.0, trust_env=False)
        self._serving = FIRST_VERSION

    def tell(self, versions: Sequence[Version]) -> Iterator[Shipped]:
        """Each as it has ended."""
        self._narrator.say(f"Customers are shopping; checkout {self._serving} serves all of them.")
        self._wait(BASELINE_S, Scene(version=self._serving))
        for version in versions:
            shipped = self.ship(version)
            self._narrator.shipped(shipped)
            yield shipped

    def ship(self, version: Version) -> Shipped:
        """Start the version beside the serving one, roll it out, and follow that to its end."""
        self._narrator.say(f"checkout {version.name} starts beside {self._serving} and is warmed up.")
        slot = self._stage.spare
        self._stage.settle(version.name, version.variant, slot)
        seen = RequestsSeen()
        self._look(slot, seen)
        deployment_id = self._begin(version)
        judgement = self._follow(deployment_id, slot, seen, version)
        self._end(version, slot, judgement)
        return _shipped(version, judgement, seen)

    def _begin(self, version: Version) -> str:
        deployment_id = self._onejob.report_deployment(SERVICE, ENVIRONMENT, version.name, self._serving)
        self._onejob.start_rollout(deployment_id, self._stage.driver_settings())
        self._narrator.say(f"Its deployment is reported: {self._onejob.page_of(deployment_id)}")
        return deployment_id

    def _follow(self, deployment_id: str, slot: Slot, seen: RequestsSeen, version: Version) -> Judgement:
        rollout = _Follower(self._narrator, version.name)
        judgement = self._watch(deployment_id, slot, seen, rollout, lambda now: now.has_ended, LONGEST_ROLLOUT_S)
        if not judgement.has_ended:
            waits = f" It waits for: {judgement.waits_for}." if judgement.waits_for else ""
            raise DemoError(
                f"The rollout of {version.name} has not ended after {LONGEST_ROLLOUT_S:.0f} s; "
                f"it is {judgement.rollout} at {judgement.share:.0%}. The server says: {judgement.sentence}{waits}"
            )
        if judgement.rollout == "aborted":
            is_over = _quiet_and_explained(seen)
            return self._watch(deployment_id, slot, seen, rollout, is_over, LONGEST_EXPLANATION_S)
        return self._watch(deployment_id, slot, seen, rollout, lambda _: False, AFTERGLOW_S)

    def _watch(
        self,
        deployment_id: str,
        slot: Slot,
        seen: RequestsSeen,
        follower: "_Follower",
        is_over: Callable[[Judgement], bool],
        longest_s: float,
    ) -> Judgement:
        """Look at Envoy often and at the server now and then, until it is over or has taken too long."""
        deadline = time.monotonic() + longest_s
        while True:
            judgement = self._onejob.judgement(deployment_id)
            ask_again = time.monotonic() + ASK_EVERY_S
            follower.notice(judgement, seen.total)
            if is_over(judgement) or time.monotonic() > deadline:
                return judgement
            while time.monotonic() < ask_again:
                self._stage.tend()
                self._look(slot, seen)
                time.sleep(LOOK_EVERY_S)

    def _end(self, version: Version, slot: Slot, judgement: Judgement) -> None:
        if judgement.rollout == "promoted":
            self._stage.promote()
            self._serving = version.name
            self._narrator.say(f"{version.name} has all the traffic; the version before it is stopped.")
        else:
            self._stage.clear(slot)
            self._narrator.say(f"{version.name} is stopped; {self._serving} goes on serving.")

    def _look(self, slot: Slot, seen: RequestsSeen) -> None:
        total = self._stage.admin.requests_of(self._envoy, slot)
        seen.add(time.time(), total)

    def _wait(self, seconds: float, scene: Scene) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._stage.tend()
            self._narrator.show(scene)
            time.sleep(LOOK_EVERY_S)


class _Follower:
    """Turns what the server says into events of the story: each is told once, when it happens."""

    def __init__(self, narrator: Narrator, version: str) -> None:
        self._narrator = narrator
        self._version = version
        self._last = Judgement()

    def notice(self, now: Judgement, requests: int) -> None:
        last, self._last = self._last, now
        if now.share != last.share:
            self._narrator.say(f"{self._version} gets {now.share:.0%} of checkout's traffic.")
        if now.state != last.state:
            self._narrator.say(f"Verdict: {now.state}. {now.sentence}")
        if now.rollout != last.rollout and now.has_ended:
            self._narrator.say(f"The rollout is {now.rollout}.")
        if now.cause != last.cause:
            self._narrator.say(f"Explained by {now.cause}.")
        self._narrator.show(
            Scene(version=self._version, share=now.share, requests=requests, state=now.state, sentence=now.sentence)
        )


def _quiet_and_explained(seen: RequestsSeen) -> Callable[[Judgement], bool]:
    ended_at = time.time()

    def is_over(judgement: Judgement) -> bool:
        last_at = seen.last_at()
        is_quiet = last_at is None or time.time() - last_at > QUIET_S
        explained_at = judgement.explained_at
        return is_quiet and explained_at is not None and explained_at.timestamp() > ended_at + LATE_SPANS_S

    return is_over


def _shipped(version: Version, judgement: Judgement, seen: RequestsSeen) -> Shipped:
    first_at = seen.first_at()
    decided_at = judgement.decided_at.timestamp() if judgement.decided_at else None
    is_rolled_back = judgement.rollout == "aborted"
    return Shipped(
        version=version.name,
        truth=version.truth.value,
        verdict=judgement.state,
        sentence=judgement.sentence,
        seconds_to_verdict=_seconds(first_at, decided_at),
        requests_to_verdict=seen.until(decided_at) if decided_at else None,
        rolled_back=is_rolled_back,
        seconds_to_rollback=_seconds(decided_at, seen.last_at()) if is_rolled_back else None,
        explained_operation=judgement.operation,
        explained_attribute=judgement.attribute,
        explained_span=judgement.span,
        true_operation=version.operation,
        true_attribute=version.attribute,
        true_span=version.span,
    )


def _seconds(since: float | None, until: float | None) -> float | None:
    return None if since is None or until is None else round(max(0.0, until - since), 2)
