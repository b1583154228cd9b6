"""The deployments of one service in one environment, found as the live detection would have found them.

It is the live detection that finds them, tick by tick, on facts of its own and with a clock that we set. Most ticks of
a month see the same versions as the one before, so they are skipped: only around moments at which a version begins or
ends to answer is there anything to find, and while the detection waits for something.

    presence:   1111111111111111111111111111111111......
                ...............22.2222222222222222222222
    ticks:      x.............xxxxxx.............xxxxx..
"""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onejob.changes.detect_loop import DetectLoop
from onejob.config import Settings
from onejob.history.presence import Ints, Presence
from onejob.model.deployment import Deployment, Status
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.errors import ConflictError
from onejob.state.events import Events
from onejob.state.returns import WaitingReturns
from onejob.state.rollouts import Rollouts
from onejob.state.versions import KnownVersions
from onejob.store.rollup import VersionSeen

_BEFORE_S = 120.0  # two long looks of the detection
_LONG_LOOK_S = 3600.0


@dataclass(frozen=True, slots=True)
class Known:
    """A deployment as it was known from a tick on."""

    since: datetime
    deployment: Deployment


@dataclass(frozen=True, slots=True)
class Found:
    """A deployment and all that was known of it, tick after tick."""

    known: tuple[Known, ...]

    @property
    def last(self) -> Deployment:
        """As it is known in the end."""
        return self.known[-1].deployment

    def at(self, now: datetime) -> Deployment | None:
        """As it was known then; None before anybody knew."""
        return next((one.deployment for one in reversed(self.known) if one.since <= now), None)


@dataclass
class _Clock:
    """Where the replay is. A bin is there once it is past its watermark, as for the judge."""

    now: datetime
    width_s: int
    watermark_s: float

    def visible_until(self) -> int:
        return math.floor((self.now.timestamp() - self.watermark_s) / self.width_s) * self.width_s


class DetectionReplay:
    """Call `run` once. `stored` are deployments that are known already, with what was reported of them."""

    def __init__(
        self, database: Database, presence: Presence, stored: Sequence[Deployment], settings: Settings
    ) -> None:
        self._presence = presence
        self._settings = settings
        self._deployments = Deployments(database)
        self._stored = {deployment.id: deployment for deployment in stored}
        self._clock = _Clock(datetime.min.replace(tzinfo=UTC), settings.bin_width_s, settings.watermark_s)
        self._loop = DetectLoop(
            self._deployments,
            Rollouts(database),
            KnownVersions(database),
            WaitingReturns(database),
            Events(),
            self._look,
            settings,
        )
        self._known: dict[str, list[Known]] = {}
        self._waiting = sorted(self._stored.values(), key=lambda deployment: deployment.started_at)
        self._going = list[Deployment]()

    def run(self, environment: str, since: datetime, until: datetime) -> list[Found]:
        """Everything that began in [since, until), oldest first."""
        tick_s = self._settings.tick_s
        first, last = (math.ceil(moment.timestamp() / tick_s) for moment in (since, until))
        wanted = self._wanted()
        wanted = np.union1d(wanted[(wanted > first) & (wanted < last)], [first])
        at, ticked = first, first
        while at < last:
            if at > ticked + 1:
                self._clock.now = _moment((at - 1) * tick_s)
                self._loop.skip_to(self._clock.now)
            self._clock.now = _moment(at * tick_s)
            self._report(self._clock.now)
            self._loop.tick(self._clock.now)
            self._note(environment, self._clock.now)
            ticked, at = at, self._following(at, wanted, last)
        found = [Found(tuple(known)) for known in self._known.values()]
        return sorted(found, key=lambda one: (one.last.started_at, one.last.id))

    def _look(self, since: int, until: int) -> list[VersionSeen]:
        return self._presence.seen(since, min(until, self._clock.visible_until()))

    def _following(self, at: int, wanted: Ints, last: int) -> int:
        """The next tick at which anything can be found."""
        later = int(np.searchsorted(wanted, at, side="right"))
        candidates = [int(wanted[later]) if later < len(wanted) else last]
        horizon = timedelta(seconds=self._settings.judge_horizon_s)
        in_progress = [known[-1].deployment for known in self._known.values()]
        overdue = [one.started_at + horizon for one in in_progress if one.status is Status.IN_PROGRESS]
        # The tick after it, as the end of a deployment is noticed at the end of a tick.
        candidates += [math.floor(moment.timestamp() / self._settings.tick_s) + 1 for moment in overdue]
        due = self._loop.next_due
        candidates += [math.floor(due.timestamp() / self._settings.tick_s)] if due is not None else []
        return max(at + 1, min(candidates))

    def _wanted(self) -> Ints:
        """Ticks around moments at which a version, or what is known of a deployment, begins or ends."""
        width, tick_s, quiet_s = self._settings.bin_width_s, self._settings.tick_s, self._loop.quiet_s
        seen_s = width + self._settings.watermark_s  # from a bin's beginning until it can be seen
        begins, ends = (find(quiet_s - width) for find in (self._presence.beginnings, self._presence.ends))
        facts = [d.started_at for d in self._stored.values()]
        facts += [d.finished_at for d in self._stored.values() if d.finished_at is not None]
        spans = [
            (begins, seen_s - _BEFORE_S, seen_s + 2 * quiet_s + _BEFORE_S),
            (ends, seen_s - tick_s, seen_s + quiet_s + tick_s),
            (ends, _LONG_LOOK_S - _BEFORE_S, _LONG_LOOK_S + tick_s),
            (np.array([fact.timestamp() for fact in facts]), 0.0, 2 * quiet_s + _BEFORE_S),
        ]
        return np.unique(np.concatenate([_ticks(at, low, high, tick_s) for at, low, high in spans]))

    def _report(self, now: datetime) -> None:
        """Tell of stored deployments what was known of them by now."""
        while self._waiting and self._waiting[0].started_at <= now:
            begun = self._waiting.pop(0)
            with contextlib.suppress(ConflictError):  # the same version is being deployed already
                self._deployments.add(replace(begun, status=Status.IN_PROGRESS, finished_at=None))
                self._going.append(begun)
        for ended in [one for one in self._going if one.finished_at is not None and one.finished_at <= now]:
            self._going.remove(ended)
            self._deployments.update(ended.id, status=ended.status, finished_at=ended.finished_at)

    def _note(self, environment: str, now: datetime) -> None:
        """Keep what has become known at this tick."""
        for deployment in self._deployments.of_service(self._presence.service, environment, limit=200):
            stored = self._stored.get(deployment.id)
            as_known = deployment if stored is None else _as_stored(stored, now)
            known = self._known.setdefault(deployment.id, [])
            if not known or known[-1].deployment != as_known:
                known.append(Known(now, as_known))


def _as_stored(stored: Deployment, now: datetime) -> Deployment:
    """A stored deployment as it was at `now`: what the present knows of it, but for its end."""
    if stored.finished_at is not None and stored.finished_at <= now:
        return stored
    return replace(stored, status=Status.IN_PROGRESS, finished_at=None)


def _ticks(at: NDArray[Any], low_s: float, high_s: float, tick_s: float) -> Ints:
    """Numbers of all ticks from `low_s` to `high_s` around the moments."""
    offsets = np.arange(math.floor(low_s / tick_s), math.ceil(high_s / tick_s) + 1)
    found: Ints = (np.ceil(at / tick_s).astype(np.int64)[:, None] + offsets[None, :]).ravel()
    return found


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
