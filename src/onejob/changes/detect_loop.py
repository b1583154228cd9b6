"""Looks at telemetry every tick, and records the deployments it shows.

Two looks: a short one, every tick, in which a version that had gone can be seen to come back; and a long one, every
minute, that finds new versions however late their spans arrive or however long onejob itself was away, and measures
how much traffic each version has.
"""

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from onejob.changes.detect import Findings, Place, Reappearance, Start, Timing, detect
from onejob.changes.detected import Detections
from onejob.changes.returns import Look, Question, Returns
from onejob.config import Settings
from onejob.model.deployment import Deployment, Source, Status
from onejob.state.deployments import Deployments
from onejob.state.events import Events
from onejob.state.returns import Key, WaitingReturns
from onejob.state.rollouts import Rollouts
from onejob.state.versions import KnownVersion, KnownVersions

_LONG_LOOK_EVERY = timedelta(minutes=1)
_LONG_LOOK = timedelta(hours=1)
_FIRST_LOOK = timedelta(hours=24)
_CLOCKS_AHEAD = timedelta(hours=1)  # later spans are in no bin
_TAKES_BUILDS_IN = timedelta(minutes=30)


class DetectLoop:
    """`tick` is called by one process at a time. `look` is `versions_seen` with its engine."""

    def __init__(
        self,
        deployments: Deployments,
        rollouts: Rollouts,
        versions: KnownVersions,
        returns: WaitingReturns,
        events: Events,
        look: Look,
        settings: Settings,
    ) -> None:
        self._deployments = deployments
        self._versions = versions
        self._look = look
        self._settings = settings
        self._detections = Detections(deployments, rollouts, events)
        self._long_look_at: datetime | None = None
        self._ticked_at: datetime | None = None
        self._returns = Returns(returns)
        self._timing = Timing(
            bin_s=settings.bin_width_s,
            quiet_s=3 * settings.bin_width_s + 2 * settings.watermark_s,
            together_s=max(15.0, 2.0 * settings.bin_width_s),
        )

    def tick(self, now: datetime) -> list[Deployment]:
        """Record what started since the last tick, and end what never ends; returns what was detected."""
        found = self._long(now) + self._short(now)
        self._ticked_at = now
        still_open, known = self._deployments.open(), self._versions.all()
        self._detections.mark_first_seen(still_open, known)
        settled_before = now - timedelta(seconds=2 * self._timing.quiet_s)
        self._detections.notice_replacements(still_open, known, settled_before)
        self._detections.close_overdue(still_open, now, self._settings.judge_horizon_s)
        return found

    @property
    def quiet_s(self) -> float:
        """How long a version must not be seen to have gone."""
        return self._timing.quiet_s

    @property
    def next_due(self) -> datetime | None:
        """When a tick may next find something although nothing new is seen; None if it cannot."""
        return self._returns.next_due()

    def skip_to(self, now: datetime) -> None:
        """Be as if every tick until `now` had been made, in a time in which no version began or ceased to serve.

        For replays of history. Of the skipped looks only the last long one and the last short one leave a trace.
        """
        if self._long_look_at is None:
            return
        every_s = math.ceil(_LONG_LOOK_EVERY.total_seconds() / self._settings.tick_s) * self._settings.tick_s
        passed = math.floor((now - self._long_look_at).total_seconds() / every_s)
        if passed > 0:
            self._long_look_at += timedelta(seconds=passed * every_s)
            self._learn(self._long_look_at, _LONG_LOOK, _without_last_seen)
        self._learn(now, timedelta(seconds=self._timing.quiet_s), _without_rate)
        self._ticked_at = now

    def _learn(self, now: datetime, look: timedelta, without: Callable[..., list[KnownVersion]]) -> None:
        """Save what a look at `now` tells of known versions."""
        known = self._versions.all()
        arrived = now - timedelta(seconds=self._settings.watermark_s + self._settings.bin_width_s - 1)
        findings = self._findings(known, now - look, now, until=arrived)
        self._versions.save([version for version in without(findings.versions, known) if version not in known])

    def _long(self, now: datetime) -> list[Deployment]:
        was_away = self._ticked_at is None or (now - self._ticked_at).total_seconds() > self._timing.quiet_s
        if self._long_look_at is not None and not was_away and now - self._long_look_at < _LONG_LOOK_EVERY:
            return []
        known = self._versions.all()
        findings = self._findings(known, now - (_FIRST_LOOK if was_away else _LONG_LOOK), now)
        found = self._record(findings.starts, now)
        # A long look would close the gap of a version that came back, so it does not tell when one was last seen. But
        # after onejob was away nobody knows who was gone meanwhile: then it does, and no gap is claimed.
        renewed = list(findings.versions) if was_away else _without_last_seen(findings.versions, known)
        self._versions.save([version for version in renewed if version not in known])
        self._long_look_at = now
        return found

    def _short(self, now: datetime) -> list[Deployment]:
        known = self._versions.all()
        findings = self._findings(known, now - timedelta(seconds=self._timing.quiet_s), now)
        expected, settled = self._returned(findings.back, known, now)
        returned = [start for start in settled.values() if start is not None]
        found = self._record([*findings.starts, *expected, *returned], now)
        self._returns.forget(settled)  # after they are recorded: a kill in between asks again, and matches them
        self._versions.save([version for version in _without_rate(findings.versions, known) if version not in known])
        return found

    def _returned(
        self, back: Iterable[Reappearance], known: list[KnownVersion], now: datetime
    ) -> tuple[list[Start], dict[Key, Start | None]]:
        """Versions that came back: those whose return was expected, at once; the others when it is sure."""
        question = Question(self._look, known, self._settings.default_environment, self._timing)
        expected: list[Start] = []
        for waiting in filter(None, map(question.replaced_meanwhile, back)):
            if self._detections.is_expected(waiting.start):
                expected.append(waiting.start)
            else:
                self._returns.wait_for(waiting)
        return expected, self._returns.settled(question, now)

    def _findings(
        self, known: list[KnownVersion], since: datetime, now: datetime, until: datetime | None = None
    ) -> Findings:
        seen = self._look(int(since.timestamp()), int((until or now + _CLOCKS_AHEAD).timestamp()))
        return detect(
            known,
            seen,
            default_environment=self._settings.default_environment,
            timing=self._timing,
            forming=_forming(self._deployments.open(), known, now),
        )

    def _record(self, starts: Iterable[Start], now: datetime) -> list[Deployment]:
        """Stored before the versions are, so that a kill in between finds them again, and matches them."""
        recorded = (self._detections.record(start, now) for start in starts)
        return [deployment for deployment in recorded if deployment is not None]


def _forming(
    deployments: Iterable[Deployment], known: Iterable[KnownVersion], now: datetime
) -> dict[Place, Collection[str]]:
    """Versions that came with a report and are still being rolled out: their builds appear one by one."""
    first_seen = {_key(version): version.first_seen_at for version in known}
    forming: dict[Place, Collection[str]] = {}
    for found in deployments:
        is_young = found.source is Source.REPORTED and now - found.started_at < _TAKES_BUILDS_IN
        came_at = first_seen.get((found.service, found.environment, found.version))
        came_with_it = came_at is not None and came_at > found.started_at - _TAKES_BUILDS_IN
        if is_young and came_with_it and found.status is Status.IN_PROGRESS:
            place = (found.service, found.environment)
            forming[place] = {*forming.get(place, ()), found.version}
    return forming


def _without_last_seen(versions: Iterable[KnownVersion], known: Iterable[KnownVersion]) -> list[KnownVersion]:
    before = {_key(version): version.last_seen_at for version in known}
    return [replace(found, last_seen_at=before.get(_key(found), found.last_seen_at)) for found in versions]


def _without_rate(versions: Iterable[KnownVersion], known: Iterable[KnownVersion]) -> list[KnownVersion]:
    before = {_key(version): version.rate_per_s for version in known}
    return [replace(found, rate_per_s=before.get(_key(found), found.rate_per_s)) for found in versions]


def _key(version: KnownVersion) -> tuple[str, str, str]:
    return version.service, version.environment, version.version
