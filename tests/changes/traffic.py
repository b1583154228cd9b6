"""Telemetry as a schedule: who served, when and how fast; and a onejob that looks at it every tick."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from onejob.changes.detect_loop import DetectLoop
from onejob.changes.reported import Progress, Report, Reported, Reports
from onejob.config import Settings
from onejob.model.deployment import Deployment
from onejob.state.database import Database
from onejob.state.deployments import DeploymentFilter, Deployments
from onejob.state.events import Events
from onejob.state.returns import WaitingReturns
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Verdicts
from onejob.state.versions import KnownVersions
from onejob.store.rollup import VersionSeen

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BIN_S = 10


@dataclass
class Serving:
    """A version that serves from `since` to `until` (seconds after START), `every_s` a request."""

    version: str
    since: float
    until: float
    build: str = ""
    service: str = "checkout"
    environment: str = ""
    every_s: float = 0.5
    instance: str = "pod-1"
    clock_ahead_s: int = 0
    source: str = "service.version"


@dataclass
class World:
    """A service's traffic, and the parts of onejob that notice deployments."""

    database: Database
    settings: Settings = field(default_factory=lambda: Settings(bin_width_s=BIN_S))
    traffic: list[Serving] = field(default_factory=list)
    now_s: float = 0.0

    def __post_init__(self) -> None:
        self.deployments, self.rollouts = Deployments(self.database), Rollouts(self.database)
        self.versions, self.verdicts = KnownVersions(self.database), Verdicts(self.database)
        self.reports = Reports(self.deployments, self.rollouts, self.verdicts, self.versions, Events(), self.settings)
        self.restart()

    def restart(self) -> None:
        """onejob is stopped and started again."""
        returns = WaitingReturns(self.database)
        self.loop = DetectLoop(
            self.deployments, self.rollouts, self.versions, returns, Events(), self._look, self.settings
        )

    def serve(self, version: str, since: float, until: float, **said: Any) -> "World":
        """Add traffic."""
        self.traffic.append(Serving(version, since, until, **said))
        return self

    def run(self, until_s: float, tick_s: float = 10.0) -> list[Deployment]:
        """Tick until then; all deployments known, oldest first."""
        while self.now_s < until_s:
            self.now_s += tick_s
            self.loop.tick(self.now)
        return self.known()

    def known(self) -> list[Deployment]:
        """All deployments, oldest first."""
        found = self.deployments.page(DeploymentFilter(), limit=200).items
        return [record.deployment for record in reversed(found)]

    def report(self, version: str, **said: Any) -> Reported:
        """Somebody reports a start, now."""
        return self.reports.report(Report(**{"service": "checkout", "version": version} | said), self.now)

    def progress(self, deployment_id: str, **said: Any) -> Deployment:
        """Somebody reports progress, now."""
        return self.reports.progress(deployment_id, Progress(**said), self.now)

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.now_s)

    def _look(self, since: int, until: int) -> list[VersionSeen]:
        """What has arrived by now, five seconds after it happened."""
        found: dict[tuple[str, ...], tuple[int, set[int]]] = {}
        for serving in self.traffic:
            key = (serving.service, serving.environment, serving.version, serving.build, serving.source)
            count, bins = self._served(serving, since, until)
            before, others = found.get(key, (0, set()))
            found[key] = (before + count, others | bins)
        return [_seen(key, count, bins) for key, (count, bins) in found.items() if bins]

    def _served(self, serving: Serving, since: int, until: int) -> tuple[int, set[int]]:
        """Requests in bins of [since, until), and those bins, by the clock of the host."""
        base = START.timestamp() + serving.clock_ahead_s + serving.since
        earliest = math.ceil(since / BIN_S) * BIN_S - base
        latest = math.ceil(until / BIN_S) * BIN_S - base - 1e-6
        arrived = self.now_s - 5 - serving.since
        first = max(0, math.ceil(earliest / serving.every_s))
        last = min(
            math.ceil((serving.until - serving.since) / serving.every_s) - 1,
            math.floor(min(latest, arrived) / serving.every_s),
        )
        if last < first:
            return 0, set()
        ends = (int((base + step * serving.every_s) // BIN_S * BIN_S) for step in (first, last))
        if serving.every_s <= BIN_S:
            begins, ends_at = ends
            return last - first + 1, set(range(begins, ends_at + 1, BIN_S))
        return last - first + 1, {int((base + n * serving.every_s) // BIN_S * BIN_S) for n in range(first, last + 1)}


def _seen(key: tuple[str, ...], count: int, bins: set[int]) -> VersionSeen:
    service, environment, version, build, source = key
    return VersionSeen(
        service=service,
        environment=environment,
        version=version,
        build=build,
        version_source=source,
        first_bin=min(bins),
        last_bin=max(bins),
        bins=len(bins),
        count=count,
        instances=("pod-1",),
    )
