"""One deployment judged again, look by look, as the live judge would have: same batches, same order, same clock.

No more looks are taken once none can change anything: when the bad version was found, when the deployment ended, or
when the last bin of control, the last sample of the router and the hour after that was compared with the past have been
judged. What is left out then are counts of requests that went on, never evidence.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from onejob.config import Settings
from onejob.history.detection import Found, Known
from onejob.history.presence import Presence
from onejob.history.source import PastSource
from onejob.model.deployment import Deployment, Status, Strategy
from onejob.model.evidence import Arm, EvidenceBatch
from onejob.model.verdict import State, Verdict
from onejob.state.rollouts import ENDED
from onejob.verdict.arms import arm_of_version
from onejob.verdict.batches import Batches, arms_of, end_of, is_due
from onejob.verdict.judge import Judge
from onejob.verdict.progress import SILENT_S
from onejob.verdict.recompute import refold


@dataclass(frozen=True, slots=True)
class Replayed:
    """`verdict` is the document of the look at which the verdict came to its final state, of the last look if
    undecided.

    None where history ends before the first look.
    """

    deployment: Deployment
    verdict: Verdict | None
    looks: int


class Replay:
    """Judges one deployment, up to `until`."""

    def __init__(
        self, found: Found, source: PastSource, presence: Presence, until: datetime, settings: Settings
    ) -> None:
        self._found = found
        self._source = source
        self._presence = presence
        self._until = until
        self._settings = settings
        self._batches = Batches(source, settings)
        self._judge = Judge(found.last)
        self._consumed: list[EvidenceBatch] = []  # while what is known of the arms may change
        self._last: tuple[tuple[object, ...], tuple[float, float]] | None = None
        self._looks = 0

    def run(self) -> Replayed:
        """All looks that matter."""
        decisive: Verdict | None = None
        for verdict in self._verdicts():
            if decisive is None or verdict.state is not decisive.state or verdict.state is State.UNDECIDED:
                decisive = verdict
        return Replayed(self._found.last, decisive, self._looks)

    def _verdicts(self) -> Iterator[Verdict]:
        settled_at = self._settled_at()
        for now in self._ticks():
            judge = self._judge_at(now)
            if not (self._is_moved(now) or is_due(judge.deployment, judge, now, self._settings)):
                continue
            while (batch := self._batches.following(judge.deployment, judge, now)) is not None:
                if now < settled_at:
                    self._consumed.append(batch)
                self._looks += 1
                verdict = judge.consume(batch)
                yield verdict
                is_over = verdict.state is State.WORSE or self._is_told(judge, batch)
                if batch.finished or (is_over and now >= settled_at):
                    return

    def _settled_at(self) -> datetime:
        """When the arms were known as they are in the end."""
        known = self._found.known
        changes = [after.since for before, after in pairwise(known) if _arms(before) != _arms(after)]
        return changes[-1] if changes else known[0].since

    def _is_moved(self, now: datetime) -> bool:
        """Does onejob move the deployment's traffic?"""
        rollout = self._source.rollout(self._found.last, now)
        return rollout is not None and rollout.state not in ENDED

    def _is_told(self, judge: Judge, batch: EvidenceBatch) -> bool:
        """Was all evidence in this batch or before? A share that is to be kept can be broken until the end."""
        deployment = judge.deployment
        if deployment.traffic_share is not None or self._source.rolled_out is not None:
            return False
        if judge.goes_on_until is not None:
            return batch.bins_to >= judge.goes_on_until
        control, treatment = self._last_evidence(deployment)
        is_left = deployment.status is Status.FINISHED or treatment - control >= SILENT_S
        return batch.bins_to >= control and not (is_left and judge.may_go_on and self._source.follows)

    def _judge_at(self, now: datetime) -> Judge:
        deployment = self._found.at(now) or self._found.last
        if arms_of(self._judge.deployment) != arms_of(deployment):
            self._judge, _ = refold(deployment, self._consumed)
        self._judge.deployment = deployment
        return self._judge

    def _ticks(self) -> Iterator[datetime]:
        tick_s = self._settings.tick_s
        first = math.ceil(self._found.known[0].since.timestamp() / tick_s)
        last = math.floor(self._until.timestamp() / tick_s)
        return (datetime.fromtimestamp(n * tick_s, UTC) for n in range(first, last + 1))

    def _last_evidence(self, deployment: Deployment) -> tuple[float, float]:
        """Unix seconds after which there is nothing left to compare with, and nothing left to compare."""
        end = end_of(deployment, self._settings) or self._until
        key = (*arms_of(deployment), end)
        if self._last is None or self._last[0] != key:
            self._last = (key, self._find_last_evidence(deployment, end))
        return self._last[1]

    def _find_last_evidence(self, deployment: Deployment, end: datetime) -> tuple[float, float]:
        if deployment.strategy is Strategy.ALL_AT_ONCE:
            return end.timestamp(), end.timestamp()  # the past stays what it is compared with
        samples = [sample.sampled_at.timestamp() for sample in self._source.samples[-1:]]
        control, treatment = (self._last_answer(deployment, arm, end) for arm in (Arm.CONTROL, Arm.TREATMENT))
        return max([control, *samples]), treatment

    def _last_answer(self, deployment: Deployment, arm: Arm, end: datetime) -> float:
        """The end of the last bin of an arm; the start of the deployment where it has none since."""

        def is_its(version: str, build: str) -> bool:
            return arm_of_version(deployment, version, build) is arm

        since, until = (math.floor(moment.timestamp()) for moment in (deployment.started_at, end))
        bins = self._presence.bins(is_its, since, until)
        return float(bins[-1] + self._settings.bin_width_s) if len(bins) else float(since)


def _arms(known: Known) -> tuple[object, ...]:
    return arms_of(known.deployment)
