"""A known version that was gone and serves again: was it replaced meanwhile, and does it replace what replaced it?

Problem: seen from outside, a rollback begins like a restart of the old version beside its canary, like a service that
was idle, or like a version so rare that its absence says nothing. Solution: two questions to the counts, in bins in
which something served, so that silence is evidence of nothing.

    served while it was gone:  nobody else, or too little to tell  -> it was never replaced
    served since it is back:   it alone, for a while               -> it took over: a return
                               both, for long                      -> they serve side by side: a restart, at most

The answer to the second question takes about a minute, longer where there is little traffic. What waits for it is kept
in memory: a restart of onejob in that minute forgets it, as nobody looked meanwhile.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from onejob.changes.detect import Place, Reappearance, Start, Timing
from onejob.changes.sightings import Sighting, by_service, sightings
from onejob.state.versions import KnownVersion
from onejob.store.rollup import VersionSeen

Look = Callable[[int, int], Iterable[VersionSeen]]  # Unix seconds [since, until)

# Requests that a version would have had if it had served: with so many missing, chance is no explanation.
_EXPECTED = 10
_SERVES_STILL = timedelta(minutes=1)
_SIDE_BY_SIDE_S = 1800.0  # a slower rollback than this is not noticed as one
_LONGEST_WAIT = timedelta(hours=24)


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
        """Has the version that was replaced gone since? None while that cannot be told."""
        until = now + timedelta(hours=1)
        since = self._served(waiting.came_back, waiting.start.at, until)
        other = since.get(waiting.replaced.version)
        if other is not None and other.bins * self.timing.bin_s >= _SIDE_BY_SIDE_S:
            return False
        if now - waiting.start.at > _LONGEST_WAIT:
            return False
        alone = since
        if other is not None:
            alone = self._served(waiting.came_back, other.last_at + timedelta(seconds=self.timing.bin_s), until)
        found = alone.get(waiting.came_back.version)
        return True if found and self._was_missed(waiting.replaced, waiting.came_back.version, found) else None

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

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str, str], Waiting] = {}

    def wait_for(self, waiting: Waiting) -> None:
        """Ask about this one from now on; a newer return of the same version takes the place of an older one."""
        start = waiting.start
        self._waiting[start.service, start.environment, start.version] = waiting

    def settled(self, question: Question, now: datetime) -> list[Start]:
        """Those that turned out to be returns; asked about no more, like those that turned out to be none."""
        answers = {key: question.has_gone(waiting, now) for key, waiting in self._waiting.items()}
        returned = [self._waiting[key].start for key, has_gone in answers.items() if has_gone]
        self._waiting = {key: self._waiting[key] for key, has_gone in answers.items() if has_gone is None}
        return returned
