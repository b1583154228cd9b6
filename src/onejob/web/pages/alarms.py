"""What those who may do something about it are told on every page: telemetry that is refused, or that cannot be stored.

Made of counts that the intake keeps anyway: no page waits for the engine, or for the disk, to say it.
"""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request

from onejob.ingest.counters import IntakeStats
from onejob.model.access import LOCAL, Role
from onejob.web.services import Services
from onejob.web.who import is_stranger, principal_of
from onejob.words import plain, plural


def alarms_for(request: Request) -> list[str]:
    """Sentences, of the project whose page it is; none for who may not act on them."""
    services: Services | None = getattr(request.app.state, "services", None)
    if services is None or services.intake is None or is_stranger(request):
        return []
    if not (principal_of(request) or LOCAL).role.covers(Role.OPERATOR):
        return []
    stats = services.intake.stats()
    return list(_of(stats)) if isinstance(stats, IntakeStats) else []


def _of(stats: IntakeStats) -> Iterator[str]:
    if stats.trouble:
        yield f"Telemetry waits or is refused, and nothing acknowledged is lost. {stats.trouble}"
    if stats.dead_letters:
        yield (
            f"Dead letters: {plural(stats.dead_letters, 'request')} "
            f"({plain(stats.dead_letter_bytes / 1e6)} MB) acknowledged and refused by the engine. "
            "`onejob dead-letters list` says why; replay them, or delete them."
        )
