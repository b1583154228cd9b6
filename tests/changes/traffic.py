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
        self.loop = DetectLoop(self.deployments, self.rollouts, self.versions, Events(), self._look, self.settings)

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
        rows = [self._seen(serving, since, until) for serving in self.traffic]
        return [row for row in rows if row is not None]

    def _seen(self, serving: Serving, since: int, until: int) -> VersionSeen | None:
        base = START.timestamp()
        earliest = math.ceil(since / BIN_S) * BIN_S - base
        latest = min(math.ceil(until / BIN_S) * BIN_S - base - 1e-6, self.now_s - 5)
        steps = int((serving.until - serving.since) / serving.every_s)
        first = max(0, math.ceil((earliest - serving.since) / serving.every_s))
        last = min(steps - 1, math.floor((latest - serving.since) / serving.every_s))
        if last < first:
            return None
        first_bin, last_bin = (
            int((base + serving.since + step * serving.every_s) // BIN_S * BIN_S) for step in (first, last)
        )
        return VersionSeen(
            service=serving.service,
            environment=serving.environment,
            version=serving.version,
            build=serving.build,
            version_source=serving.source,
            first_bin=first_bin,
            last_bin=last_bin,
            count=last - first + 1,
            instances=(serving.instance,),
        )
