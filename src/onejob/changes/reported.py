"""Deployments that people and pipelines report.

Pipelines retry, report late, and report what telemetry has shown already. So a report is matched first: a version that
is being deployed to that place is the same deployment, whoever noticed it first, and is completed, not doubled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from onejob.changes.errors import InvalidReportError, ProgressConflictError, UnknownDeploymentError
from onejob.changes.lineage import Lineage
from onejob.changes.overlap import Overlap
from onejob.changes.texts import read_name, read_text, read_url
from onejob.changes.times import read_moment
from onejob.config import Settings
from onejob.model.deployment import Deployment, Source, Status, Strategy
from onejob.state.codec import iso
from onejob.state.deployments import BUILD_SEPARATOR, Deployments
from onejob.state.errors import ConflictError
from onejob.state.events import Events
from onejob.state.ids import new_id
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Verdicts
from onejob.state.versions import KnownVersions

_SAME_START = timedelta(minutes=30)
_MAY_BECOME_FROM = {
    Status.FINISHED: (Status.IN_PROGRESS, Status.SUPERSEDED),
    Status.FAILED: (Status.IN_PROGRESS, Status.SUPERSEDED, Status.FINISHED),
    Status.ROLLED_BACK: (Status.IN_PROGRESS, Status.SUPERSEDED, Status.FINISHED, Status.FAILED),
    Status.IN_PROGRESS: (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A start as it was sent; times as text or numbers, None where nothing was said."""

    service: str
    version: str
    environment: str | None = None
    previous_version: str | None = None
    strategy: Strategy | None = None
    commit: str | None = None
    repository: str | None = None
    actor: str | None = None
    url: str | None = None
    started_at: str | float | None = None
    finished_at: str | float | None = None
    traffic_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a later report adds; None where nothing was said."""

    status: Status | None = None
    traffic_share: float | None = None
    finished_at: str | float | None = None
    previous_version: str | None = None
    commit: str | None = None
    repository: str | None = None
    actor: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """The deployment a report is about; `is_new` unless it was known before."""

    deployment: Deployment
    is_new: bool


@dataclass(frozen=True, slots=True)
class Reports:
    """The use cases of whoever reports."""

    deployments: Deployments
    rollouts: Rollouts
    verdicts: Verdicts
    versions: KnownVersions
    events: Events
    settings: Settings

    def report(self, report: Report, now: datetime) -> Reported:
        """A version starts to be deployed; the same start twice is one deployment."""
        fields, notes = _read_fields(report, now)
        fields["environment"] = fields["environment"] or self.settings.default_environment
        started_at = fields.pop("started_at")
        known = self._same_start(fields, started_at)
        if known is not None:
            return Reported(self._complete(known, fields, started_at, notes), is_new=False)
        try:
            return Reported(self._start(fields, started_at or now, notes, now), is_new=True)
        except ConflictError:  # the same start arrived on another connection a moment ago
            known = self._same_start(fields, started_at)
            if known is None:
                raise
            return Reported(self._complete(known, fields, started_at, notes), is_new=False)

    def progress(self, deployment_id: str, progress: Progress, now: datetime) -> Deployment:
        """Traffic share, status, end, and what was not said at the start."""
        deployment = self.deployments.get(deployment_id)
        if deployment is None:
            raise UnknownDeploymentError(_UNKNOWN.format(deployment_id))
        changes, notes = _read_progress(progress, deployment, now)
        updated = self.deployments.update(deployment_id, **changes)
        for note in notes:
            updated = self.deployments.note(deployment_id, note)
        self.events.publish(deployment_id)
        return updated

    def _same_start(self, fields: dict[str, Any], started_at: datetime | None) -> Deployment | None:
        of_service = self.deployments.of_service(fields["service"], fields["environment"], limit=200)
        same = [found for found in of_service if _is_named(found.version, fields["version"])]
        return next((found for found in same if _is_same_start(found, started_at)), None)

    def _complete(
        self, known: Deployment, fields: dict[str, Any], started_at: datetime | None, notes: list[str]
    ) -> Deployment:
        changes = {
            name: value
            for name, value in fields.items()
            if name not in ("service", "environment", "version") and value is not None and getattr(known, name) != value
        }
        if known.source is Source.DETECTED:
            notes = [*notes, "Seen in telemetry before it was reported."]
            if started_at is not None and started_at < known.started_at:
                changes["started_at"] = started_at
        if "finished_at" in changes and known.status is Status.IN_PROGRESS:
            changes["status"] = Status.FINISHED
        updated = self.deployments.update(known.id, **changes)
        for note in notes:
            updated = self.deployments.note(known.id, note)
        self.events.publish(known.id)
        return updated

    def _start(self, fields: dict[str, Any], started_at: datetime, notes: list[str], now: datetime) -> Deployment:
        service, environment, version = fields["service"], fields["environment"], fields["version"]
        lineage = Lineage(self.deployments, self.versions)
        previous = fields["previous_version"] or lineage.previous(service, environment, version, started_at)
        taken_back = lineage.taken_back(service, environment, version, previous)
        notes = [*notes, *self._remarks(service, environment, version, started_at, now)]
        # Unsaid, it may have a control that serves beside it, so it is judged as if it had.
        inherited = taken_back.strategy if taken_back else Strategy.ROLLING
        deployment = Deployment(
            **(fields | {"previous_version": previous, "strategy": fields["strategy"] or inherited}),
            id=new_id("dep", now),
            source=Source.REPORTED,
            status=Status.FINISHED if fields["finished_at"] else Status.IN_PROGRESS,
            started_at=started_at,
            rollback_of=taken_back.id if taken_back else None,
            notes=tuple(notes),
        )
        self.deployments.add(deployment)
        changed = Overlap(self.deployments, self.rollouts).settle(deployment)
        for deployment_id in {deployment.id, *changed}:
            self.events.publish(deployment_id)
        return self.deployments.get(deployment.id) or deployment

    def _remarks(self, service: str, environment: str, version: str, started_at: datetime, now: datetime) -> list[str]:
        remarks = []
        rejected = self.verdicts.rejected_version(service, environment, version)
        if rejected is not None:
            when = rejected.decided_at or rejected.judged_at
            remarks.append(f"This version was judged worse on {when:%Y-%m-%d %H:%M} UTC: {rejected.sentence}")
        if now - started_at > timedelta(seconds=self.settings.judge_horizon_s):
            remarks.append("Reported too long after its start to be judged.")
        known = [k for k in self.versions.of_service(service, environment) if k.version == version]
        if known and started_at - known[0].first_seen_at > _SAME_START and now - known[0].last_seen_at < _SAME_START:
            first_seen = f"{known[0].first_seen_at:%Y-%m-%d %H:%M} UTC"
            remarks.append(f"This version has served since {first_seen}: old and new differ by their build at most.")
        return remarks


_UNKNOWN = (
    "There is no deployment {}. Report one with POST /api/v1/deployments, or find its id with "
    "GET /api/v1/deployments?service=NAME."
)


def _is_named(label: str, version: str) -> bool:
    return label == version or label.startswith(version + BUILD_SEPARATOR)


def _is_same_start(known: Deployment, started_at: datetime | None) -> bool:
    if known.status is Status.IN_PROGRESS or known.started_at == started_at:
        return True
    is_unreported = known.source is Source.DETECTED and known.actor is None and known.commit is None
    return is_unreported and started_at is not None and abs(known.started_at - started_at) < _SAME_START


def _read_fields(report: Report, now: datetime) -> tuple[dict[str, Any], list[str]]:
    fields: dict[str, Any] = {
        "service": read_name(report.service, "service"),
        "version": read_name(report.version, "version"),
        "environment": _maybe(read_text, report.environment, "environment"),
        "previous_version": _maybe(read_name, report.previous_version, "previous_version"),
        "strategy": report.strategy,
        "traffic_share": _read_share(report.traffic_share),
        **_read_links(report),
    }
    notes: list[str] = []
    for name, value in (("started_at", report.started_at), ("finished_at", report.finished_at)):
        fields[name] = _read_time(value, name, now, notes)
    _check_order(fields["started_at"] or now, fields["finished_at"])
    return fields, notes


def _read_progress(progress: Progress, known: Deployment, now: datetime) -> tuple[dict[str, Any], list[str]]:
    notes: list[str] = []
    fields: dict[str, Any] = {
        "status": progress.status,
        "traffic_share": _read_share(progress.traffic_share),
        "finished_at": _read_time(progress.finished_at, "finished_at", now, notes),
        "previous_version": _maybe(read_name, progress.previous_version, "previous_version"),
        **_read_links(progress),
    }
    _check_order(known.started_at, fields["finished_at"])
    if progress.status is None and fields["finished_at"] is not None and known.status is Status.IN_PROGRESS:
        fields["status"] = Status.FINISHED
    if known.status is Status.ROLLED_BACK and fields["status"] is Status.FAILED:
        fields["status"] = None  # a pipeline fails because onejob rolled back: the better word stays
    _check_transition(known, fields["status"])
    is_over = fields["status"] not in (None, Status.IN_PROGRESS)
    if is_over and known.finished_at is None and fields["finished_at"] is None:
        fields["finished_at"] = max(now, known.started_at)
    return {name: value for name, value in fields.items() if value is not None}, notes


def _read_links(sent: Report | Progress) -> dict[str, str | None]:
    return {
        "commit": _maybe(read_text, sent.commit, "commit"),
        "repository": _maybe(read_text, sent.repository, "repository"),
        "actor": _maybe(read_text, sent.actor, "actor"),
        "url": _maybe(read_url, sent.url, "url"),
    }


def _maybe(read: Callable[[str, str], str], value: str | None, field: str) -> str | None:
    return read(value, field) or None if value else None


def _read_time(value: str | float | None, field: str, now: datetime, notes: list[str]) -> datetime | None:
    if value is None:
        return None
    moment = read_moment(value, field, now)
    if moment.note:
        notes.append(moment.note)
    return moment.at


def _read_share(share: float | None) -> float | None:
    if share is not None and not 0 <= share <= 1:
        raise InvalidReportError("traffic_share", f"traffic_share is {share}: send a share in 0..1, 0.1 for 10 %.")
    return share


def _check_order(started_at: datetime, finished_at: datetime | None) -> None:
    if finished_at is not None and finished_at < started_at:
        raise InvalidReportError("finished_at", f"finished_at is before started_at ({iso(started_at)}).")


def _check_transition(known: Deployment, status: Status | None) -> None:
    if status is None or status is known.status:
        return
    if status is Status.SUPERSEDED:
        raise InvalidReportError("status", "status superseded follows from a newer deployment: report that one.")
    if known.status not in _MAY_BECOME_FROM[status]:
        raise ProgressConflictError(
            f"This deployment is {known.status.value.replace('_', ' ')} and cannot become "
            f"{status.value.replace('_', ' ')}: report a new one (`onejob deployment start`, POST /api/v1/deployments)."
        )
