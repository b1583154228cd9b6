"""A known version that was gone and serves again: was it replaced meanwhile, and does it replace what replaced it?

Problem: seen from outside, a rollback begins like a restart of the old version beside its canary, like a service that
was idle, or like a version so rare that its absence says nothing. Solution: two questions to the counts, in bins in
which something served, so that silence is evidence of nothing.

    served while it was gone:  nobody else, or too little to tell  -> it was never replaced
    served since it is back:   it alone, for a while               -> it took over: a return
                               both, for long                      -> side by side: a restart, or a slow rollback

The answer to the second question takes about a minute, longer where there is little traffic or the rollback is slow:
what waits for it is stored. Two versions that serve side by side for long look alike whether the old one was restarted
beside its canary or is being brought back step by step. What tells them apart, once one has gone, is how: a version
that is rolled back loses its share of the requests little by little.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from onejob.changes.detect import Place, Reappearance, Start, Timing
from onejob.changes.sightings import Sighting, by_service, sightings
from onejob.state.codec import pack, unpack
from onejob.state.returns import Key, WaitingReturns
from onejob.state.versions import KnownVersion
from onejob.store.rollup import VersionSeen

Look = Callable[[int, int], Iterable[VersionSeen]]  # Unix seconds [since, until)

# Requests that a version would have had if it had served: with so many missing, chance is no explanation.
_EXPECTED = 10
_SERVES_STILL = timedelta(minutes=1)
_SIDE_BY_SIDE = timedelta(minutes=30)  # a rollback that takes longer must show that it goes step by step
_LONGEST_WAIT = timedelta(hours=24)  # nor is one noticed that takes longer than this
_DECLINED = 0.5  # to less than this part of its earlier share: by chance or by a restart, shares do not halve for good
_ASKED_AGAIN = 1 / 60  # of the time waited so far: an old question is a long query, and in no hurry


@dataclass(frozen=True, slots=True)
class Waiting:
    """A return that is one if `replaced` goes."""

    start: Start
    came_back: KnownVersion
    replaced: KnownVersion


@dataclass(frozen=True, slots=True)
class Question:
    """Asks the counts. `known` are all versions of all services."""

    look: Look
    known: list[KnownVersion]
    default_environment: str
    timing: Timing

    def replaced_meanwhile(self, back: Reappearance) -> Waiting | None:
        """Who served in its place while it was gone; None if nobody did, or if it was there all the time."""
        before, since, until = back.before, back.before.last_seen_at, back.sighting.first_at
        served = self._served(before, since + timedelta(seconds=self.timing.bin_s), until)
        if before.version in served:  # its spans of that time arrived later: it never went
            return None
        others = [sighting for label, sighting in served.items() if self._was_missed(before, label, sighting)]
        latest = max((sighting.last_at for sighting in others), default=until)
        recent = [sighting for sighting in others if latest - sighting.last_at <= _SERVES_STILL]
        known = {version.version: version for version in self._here(before)}
        replaced = known.get(max(recent, key=lambda sighting: sighting.count).label) if recent else None
        return self._waiting(back, replaced) if replaced else None

    def has_gone(self, waiting: Waiting, now: datetime) -> bool | None:
        """Has the version that was replaced gone since, as a rollback goes? None while that cannot be told."""
        if now - waiting.start.at > _LONGEST_WAIT:
            return False
        until = now + timedelta(hours=1)
        since = self._served(waiting.came_back, waiting.start.at, until)
        other = since.get(waiting.replaced.version)
        alone = since
        if other is not None:
            alone = self._served(waiting.came_back, other.last_at + timedelta(seconds=self.timing.bin_s), until)
        found = alone.get(waiting.came_back.version)
        if not found or not self._was_missed(waiting.replaced, waiting.came_back.version, found):
            return None
        return other is None or self._went_as_a_rollback_does(waiting, other)

    def _went_as_a_rollback_does(self, waiting: Waiting, gone: Sighting) -> bool:
        """At once, or else with less and less of the requests: its last quarter beside the other against its second."""
        beside = gone.last_at - waiting.start.at
        if beside < _SIDE_BY_SIDE:
            return True
        second, last = (self._share(waiting, waiting.start.at + quarter * beside / 4, beside / 4) for quarter in (1, 3))
        return last < _DECLINED * second

    def _share(self, waiting: Waiting, since: datetime, length: timedelta) -> float:
        """Of the requests of both, the part that the replaced version answered."""
        served = self._served(waiting.came_back, since, since + length)
        counts = [
            served[label].count if label in served else 0
            for label in (waiting.replaced.version, waiting.came_back.version)
        ]
        return counts[0] / sum(counts) if any(counts) else 0.0

    def _was_missed(self, gone: KnownVersion, label: str, served: Sighting) -> bool:
        """Did the other serve so long, and so much, that the one that is gone would have been seen beside it?"""
        rates = {version.version: version.rate_per_s for version in self._here(gone)}
        together = gone.rate_per_s + rates.get(label, 0.0)
        share = gone.rate_per_s / together if together else 0.0
        return served.bins * self.timing.bin_s >= self.timing.quiet_s and served.count * share >= _EXPECTED

    def _waiting(self, back: Reappearance, replaced: KnownVersion) -> Waiting:
        before, sighting = back.before, back.sighting
        age_s = (replaced.first_seen_at - before.first_seen_at).total_seconds()
        start = Start(
            service=before.service,
            environment=before.environment,
            version=sighting.label,
            builds=sighting.builds,
            at=sighting.first_at,
            told_by=sighting.told_by,
            previous=replaced.version,
            is_concurrent=(sighting.first_at - replaced.last_seen_at).total_seconds() < self.timing.quiet_s,
            is_return=True,
            is_old=age_s > self.timing.together_s,  # of two baselines nobody knows which is older
            gone_since=before.last_seen_at,
        )
        return Waiting(start, before, replaced)

    def _here(self, of: KnownVersion) -> list[KnownVersion]:
        return [one for one in self.known if (one.service, one.environment) == (of.service, of.environment)]

    def _served(self, of: KnownVersion, since: datetime, until: datetime) -> dict[str, Sighting]:
        """Who served the place in [since, until), by label."""
        place: Place = (of.service, of.environment)
        rows = self.look(int(since.timestamp()), int(until.timestamp()))
        mine = by_service(rows, self.default_environment).get(place, [])
        found = sightings(mine, self._here(of), (), self.timing.together_s)
        return {sighting.label: sighting for sighting in found}


class Returns:
    """Those that wait for the version they would replace to go."""

    def __init__(self, stored: WaitingReturns) -> None:
        self._stored = stored
        self._asked_at: dict[Key, datetime] = {}

    def wait_for(self, waiting: Waiting) -> None:
        """Ask about this one from now on; a newer return of the same version takes the place of an older one."""
        self._stored.put(_key(waiting), pack(waiting))

    def settled(self, question: Question, now: datetime) -> dict[Key, Start | None]:
        """Those that turned out to be returns, and (None) to be none; `forget` them once they are recorded."""
        answers: dict[Key, Start | None] = {}
        for waiting in (unpack(Waiting, document) for document in self._stored.all()):
            if not self._is_due(waiting, now):
                continue
            has_gone = question.has_gone(waiting, now)
            if has_gone is not None:
                answers[_key(waiting)] = waiting.start if has_gone else None
        return answers

    def next_due(self) -> datetime | None:
        """Before then, none that waits is asked about again; None while none waits."""
        waiting = (unpack(Waiting, document) for document in self._stored.all())
        return min((self._due_at(one) for one in waiting), default=None)

    def _due_at(self, waiting: Waiting) -> datetime:
        asked_at, began = self._asked_at.get(_key(waiting), waiting.start.at), waiting.start.at
        return began + (asked_at - began) / (1 - _ASKED_AGAIN)

    def forget(self, settled: Collection[Key]) -> None:
        """These are asked about no more."""
        self._stored.drop(settled)
        for key in settled:
            self._asked_at.pop(key, None)

    def _is_due(self, waiting: Waiting, now: datetime) -> bool:
        asked_at = self._asked_at.get(_key(waiting))
        if asked_at is not None and now - asked_at < (now - waiting.start.at) * _ASKED_AGAIN:
            return False
        self._asked_at[_key(waiting)] = now
        return True


def _key(waiting: Waiting) -> Key:
    return waiting.start.service, waiting.start.environment, waiting.start.version
