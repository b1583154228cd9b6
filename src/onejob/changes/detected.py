"""What is done about a version that telemetry shows: matched with its report, or recorded as a deployment itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from onejob.changes.detect import Start
from onejob.changes.overlap import Overlap
from onejob.model.deployment import Deployment, Source, Status, Strategy
from onejob.state.deployments import BUILD_SEPARATOR, Deployments
from onejob.state.errors import ConflictError
from onejob.state.events import Events
from onejob.state.ids import new_id
from onejob.state.rollouts import Rollouts
from onejob.state.versions import KnownVersion

_CLOCKS_DIFFER = timedelta(minutes=1)
_SEEN_WITH_REPORT = timedelta(hours=1)
_LAST_LOOKS = timedelta(minutes=10)  # for the judge to look at what was still on its way
_REPORTED_WITH_BUILD = timedelta(minutes=30)
_TOLD_BY = {
    "service.version": "its service.version had not served before",
    "image_digest": "its image digest had not served before",
    "pod_template_hash": "its pod-template hash had not served before",
    "deployment_revision": "its deployment revision had not served before",
    "build": "the version is the same, its build (image digest, pod-template hash or revision) had not served before",
}


@dataclass(frozen=True, slots=True)
class Detections:
    """Writes what was detected."""

    deployments: Deployments
    rollouts: Rollouts
    events: Events

    def record(self, start: Start, now: datetime) -> Deployment | None:
        """A new deployment, or None where one is known already."""
        of_service = self.deployments.of_service(start.service, start.environment, limit=200)
        known = next((found for found in of_service if _is_start_of(found, start)), None)
        if known is not None:
            self._match(known, start, of_service)
            return None
        deployment = _deployment(start, of_service, now)
        try:
            self.deployments.add(deployment)
        except ConflictError:  # its report arrived a moment ago: the next tick matches them
            return None
        for changed in {deployment.id, *Overlap(self.deployments, self.rollouts).settle(deployment)}:
            self.events.publish(changed)
        return deployment

    def is_expected(self, start: Start) -> bool:
        """Is a version that came back being deployed, or was it taken away on purpose when it was deployed last?"""
        of_service = self.deployments.of_service(start.service, start.environment, limit=200)
        if any(_is_start_of(found, start) for found in of_service):
            return True
        last = next((found for found in of_service if found.version == start.version), None)
        return last is not None and last.status in (Status.FAILED, Status.ROLLED_BACK)

    def mark_first_seen(self, deployments: Iterable[Deployment], versions: Iterable[KnownVersion]) -> None:
        """Say of reported deployments when telemetry first showed their version."""
        known = {(version.service, version.environment, version.version): version for version in versions}
        for waiting in (found for found in deployments if found.first_seen_at is None):
            version = known.get((waiting.service, waiting.environment, waiting.version))
            if version is not None and version.last_seen_at >= waiting.started_at:
                is_its = version.first_seen_at > waiting.started_at - _SEEN_WITH_REPORT
                self._mark(waiting, version.first_seen_at if is_its else waiting.started_at)

    def notice_replacements(
        self, deployments: Iterable[Deployment], versions: Iterable[KnownVersion], settled_before: datetime
    ) -> None:
        """Detected ones whose previous version was never seen beside them, happened all at once."""
        known = {(version.service, version.environment, version.version): version for version in versions}
        for found in deployments:
            is_guess = found.source is Source.DETECTED and found.rollback_of is None and found.actor is None
            if not is_guess or found.strategy is not Strategy.ROLLING or found.started_at > settled_before:
                continue
            previous = known.get((found.service, found.environment, found.previous_version or ""))
            if previous is not None and previous.last_seen_at < found.started_at:
                self.deployments.update(found.id, strategy=Strategy.ALL_AT_ONCE)
                self.events.publish(found.id)

    def close_overdue(self, deployments: Iterable[Deployment], now: datetime, horizon_s: float) -> None:
        """End deployments whose end was never reported, and their judging should nobody else have."""
        horizon = timedelta(seconds=horizon_s)
        for overdue in (found for found in deployments if now - found.started_at > horizon):
            if overdue.status is Status.IN_PROGRESS:
                hours = f"{horizon_s / 3600:.3g} h"
                self.deployments.note(overdue.id, f"Its end was never reported: taken as finished after {hours}.")
                finished_at = overdue.started_at + horizon
                self.deployments.update(overdue.id, status=Status.FINISHED, finished_at=finished_at)
                self.events.publish(overdue.id)
            if now - overdue.started_at > horizon + _LAST_LOOKS:
                self.deployments.close(overdue.id, now)

    def _match(self, known: Deployment, start: Start, of_service: list[Deployment]) -> None:
        changes: dict[str, Any] = {}
        if known.version != start.version and BUILD_SEPARATOR in start.version:
            changes |= {"version": start.version, "first_seen_at": start.at}
            note = f"Version {known.version} served already: this is its build {_build_of(start.version)}."
            self.deployments.note(known.id, note)
        if known.previous_version is None and start.previous is not None:
            changes["previous_version"] = start.previous
        taken_back = _taken_back(start, of_service)
        if known.rollback_of is None and taken_back is not None and taken_back.id != known.id:
            changes["rollback_of"] = taken_back.id
        if changes:
            updated = self.deployments.update(known.id, **changes)
            Overlap(self.deployments, self.rollouts).settle(updated)
        if known.first_seen_at is None:
            self._mark(known, start.at)
        elif changes:
            self.events.publish(known.id)

    def _mark(self, deployment: Deployment, at: datetime) -> None:
        self.deployments.update(deployment.id, first_seen_at=at)
        early_s = (deployment.started_at - at).total_seconds()
        if early_s > _CLOCKS_DIFFER.total_seconds():
            sentence = (
                f"Telemetry shows this version {early_s:.0f} s before its reported start: "
                "it was reported late, or clocks differ."
            )
            self.deployments.note(deployment.id, sentence)
        self.events.publish(deployment.id)


def _is_start_of(known: Deployment, start: Start) -> bool:
    """Is the deployment the one telemetry shows?"""
    names = {start.version, *(f"{start.version}{BUILD_SEPARATOR}{build}" for build in start.builds)}
    if known.version not in names:
        # A report names the version; telemetry tells its builds apart.
        is_its = known.version == start.version.partition(BUILD_SEPARATOR)[0]
        is_recent = abs(start.at - known.started_at) < _REPORTED_WITH_BUILD
        return is_its and is_recent and known.source is Source.REPORTED
    if known.status is Status.IN_PROGRESS:
        return True
    if start.gone_since is not None:
        return known.started_at >= start.gone_since
    return True  # never seen before: whatever is known of this version is about this start


def _deployment(start: Start, of_service: list[Deployment], now: datetime) -> Deployment:
    taken_back = _taken_back(start, of_service)
    seen = Strategy.ROLLING if start.is_concurrent else Strategy.ALL_AT_ONCE
    return Deployment(
        id=new_id("dep", now),
        service=start.service,
        environment=start.environment,
        version=_told_apart(start),
        previous_version=start.previous,
        strategy=taken_back.strategy if taken_back else seen,
        source=Source.DETECTED,
        status=Status.IN_PROGRESS,
        started_at=min(start.at, now),
        first_seen_at=min(start.at, now),
        rollback_of=taken_back.id if taken_back else None,
        notes=tuple(_notes(start, now)),
    )


def _taken_back(start: Start, of_service: list[Deployment]) -> Deployment | None:
    if not start.is_old:
        return None
    return next((found for found in of_service if found.version == start.previous), None)


def _told_apart(start: Start) -> str:
    """`version@build` for a plain version that comes back after one of its own builds."""
    is_sibling = start.previous is not None and start.previous.startswith(start.version + BUILD_SEPARATOR)
    return f"{start.version}{BUILD_SEPARATOR}{start.builds[0]}" if is_sibling and start.builds else start.version


def _notes(start: Start, now: datetime) -> Iterable[str]:
    how = "it had served before, and came back" if start.is_return else _TOLD_BY.get(start.told_by, "it is new")
    yield f"Detected in telemetry: {how}."
    if start.at - now > _CLOCKS_DIFFER:
        ahead_s = (start.at - now).total_seconds()
        yield f"Its spans are {ahead_s:.0f} s ahead of this server's clock: check the clocks of its hosts."


def _build_of(label: str) -> str:
    return label.partition(BUILD_SEPARATOR)[2]
