"""Which deployments does a complaint follow? Those whose version this customer met last before complaining.

Of each service that served the customer, it is the latest deployment that began before the complaint, not longer ago
than the window, and whose version has served this customer since. A rollback is passed over: who complains after it
complains about what was rolled back. A ticket that names a service follows a deployment of that service only, and where
telemetry says nothing of the customer there, the latest one.

That is all it says: after, not because.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from onejob.explain.exposure import began_at
from onejob.model.complaint import Complaint
from onejob.model.customer import Use
from onejob.model.deployment import Deployment
from onejob.store.customers import BIN_S
from onejob.verdict.arms import is_version


def followed(
    complaint: Complaint,
    deployments: Iterable[Deployment],
    uses: Sequence[Use],
    window: timedelta,
    default_environment: str,
) -> tuple[str, ...]:
    """Ids, the latest first, at most one of each service and environment. `uses` are of this customer."""
    before = [one for one in deployments if _is_before(complaint, one, window)]
    latest: set[tuple[str, str]] = set()
    found = []
    for one in sorted(before, key=lambda one: (began_at(one), one.id), reverse=True):
        place = (one.service, one.environment)
        here = [use for use in uses if (use.service, use.environment or default_environment) == place]
        met = any(_met(complaint, one, use) for use in here) or (complaint.service is not None and not here)
        if met and place not in latest:
            latest.add(place)
            found.append(one.id)
    return tuple(found)


def _is_before(complaint: Complaint, deployment: Deployment, window: timedelta) -> bool:
    if complaint.service not in (None, deployment.service) or deployment.rollback_of is not None:
        return False
    return timedelta(0) <= complaint.at - began_at(deployment) <= window


def _met(complaint: Complaint, deployment: Deployment, use: Use) -> bool:
    """Did its version serve the customer from its beginning to the complaint? To ten minutes, as uses are counted."""
    if not is_version(deployment.version, use.version, use.build):
        return False
    since, until = began_at(deployment).timestamp() - BIN_S, complaint.at.timestamp()
    return any(since < at <= until for at in use.bins)
