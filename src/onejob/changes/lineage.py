"""Which version a new one replaces, and whether it takes that one back.

Telemetry knows best who serves now; where it says nothing, earlier deployments do. A version that served, or was
deployed, before the one it replaces is an old version that comes back: a rollback.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from onejob.model.deployment import Deployment
from onejob.state.deployments import Deployments
from onejob.state.versions import KnownVersion, KnownVersions

_SERVES_STILL = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Lineage:
    """Answers from the versions telemetry has shown and the deployments before."""

    deployments: Deployments
    versions: KnownVersions

    def previous(self, service: str, environment: str, version: str, at: datetime) -> str | None:
        """The version that serves most of the traffic beside `version`."""
        others = [known for known in self.versions.of_service(service, environment) if known.version != version]
        serving = serving_now(others)
        if serving is not None:
            return serving.version
        found = self.deployments.previous_version(service, environment, at)
        return found if found != version else None

    def taken_back(self, service: str, environment: str, version: str, previous: str | None) -> Deployment | None:
        """The deployment that bringing `version` back undoes; None where it is no rollback."""
        if previous is None or previous == version:
            return None
        of_service = self.deployments.of_service(service, environment, limit=200)
        known = self.versions.of_service(service, environment)
        was, replaced = _first_known(version, of_service, known), _first_known(previous, of_service, known)
        if was is None or replaced is None or was >= replaced:
            return None
        return next((found for found in of_service if found.version == previous), None)


def serving_now(known: list[KnownVersion]) -> KnownVersion | None:
    """Of the versions seen last, the one with the most traffic."""
    if not known:
        return None
    latest = max(version.last_seen_at for version in known)
    recent = [version for version in known if latest - version.last_seen_at <= _SERVES_STILL]
    return max(recent, key=lambda version: (version.rate_per_s, version.last_seen_at))


def _first_known(version: str, deployments: list[Deployment], known: list[KnownVersion]) -> datetime | None:
    moments = [found.started_at for found in deployments if found.version == version]
    moments += [found.first_seen_at for found in known if found.version == version]
    return min(moments, default=None)
