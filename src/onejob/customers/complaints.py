"""Takes what tickets say, and finds the deployments that complaints follow.

Telemetry comes some seconds late, and deployments are reported late: so what a new complaint follows is found at once,
as far as it is known, and looked at again for some hours.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from onejob.config import Settings
from onejob.customers.matching import followed
from onejob.model.complaint import Complaint, Told, Withdrawn
from onejob.state.complaints import ComplaintFilter, Complaints
from onejob.state.deployments import Deployments
from onejob.state.events import Events
from onejob.state.paging import Page
from onejob.store.customers import BIN_S, uses
from onejob.store.engine import Engine
from onejob.store.errors import StoreError
from onejob.store.redaction import plan_of
from onejob.store.redaction_nested import NestedRedaction

_AGAIN_FOR = timedelta(hours=6)
_MOST_AT_ONCE = 200
_WAIT_S = 5.0


class ComplaintDesk:
    """Over the facts, and the engine where there is one."""

    def __init__(
        self,
        complaints: Complaints,
        deployments: Deployments,
        engine: Engine | None,
        events: Events,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._complaints = complaints
        self._deployments = deployments
        self._engine = engine
        self._events = events
        self._settings = settings
        self._clock = clock
        self._redaction: NestedRedaction | None = None

    def tell(self, told: Told, *, only_of: str | None = None) -> tuple[Complaint, bool]:
        """Record what a ticket says now, and what it follows as far as that is known yet; whether it is new.

        What telemetry may not say, its text may not either. `only_of` as in `state.complaints`. Raises StoreError if
        the key of hashes is damaged.
        """
        complaint, is_new = self._complaints.tell(self._redacted(told), self._clock(), only_of=only_of)
        with suppress(StoreError):  # the engine starts again by itself, and `look` comes back to it
            self._match([complaint])
        return self._complaints.get(complaint.id) or complaint, is_new

    def withdraw(self, gone: Withdrawn) -> bool:
        """A ticket is gone; whether it was on record."""
        return self._complaints.withdraw(gone, self._clock())

    def remove(self, row_id: str) -> bool:
        """By its id here; whether it was on record."""
        return self._complaints.remove(row_id, self._clock())

    def page(self, wanted: ComplaintFilter, *, limit: int = 50, cursor: str | None = None) -> Page[Complaint]:
        """Newest first; BadCursorError for a cursor that was never handed out."""
        return self._complaints.page(wanted, limit=limit, cursor=cursor)

    def look(self, now: datetime) -> bool:
        """Look again at what late telemetry or a late report may have changed. Always all there is: False."""
        since = now - _AGAIN_FOR
        self._match(self._complaints.recent(since, since, _MOST_AT_ONCE))
        return False

    def forget(self, now: datetime) -> None:
        """Delete those that are kept no longer."""
        self._complaints.forget_before(now - timedelta(days=self._settings.customer_retention_days))

    def _redacted(self, told: Told) -> Told:
        """The customer is named as telemetry names it, which redaction's defaults leave alone."""
        if self._redaction is None:
            self._redaction = NestedRedaction(plan_of(self._settings))
        summary = self._redaction.redact(told.summary, key="")
        return replace(told, summary=summary if isinstance(summary, str) else "")

    def _match(self, found: Sequence[Complaint]) -> None:
        """Raises what `engine.query` raises."""
        if not found or self._engine is None:
            return
        window = timedelta(hours=self._settings.complaint_window_hours)
        since, until = min(one.at for one in found) - window, max(one.at for one in found)
        begin, end = max(int(since.timestamp()) - BIN_S, 0), int(until.timestamp()) + BIN_S
        used = uses(self._engine, {one.customer for one in found}, begin, end, timeout_s=_WAIT_S)
        begun = self._deployments.begun(since, until + _AGAIN_FOR)  # one may be seen before it is reported
        environment = self._settings.default_environment
        changed: dict[str, tuple[str, ...]] = {}
        news: set[str] = set()
        for one in found:
            of_it = [use for use in used if use.customer == one.customer]
            follows = followed(one, begun, of_it, window, environment)
            before = tuple(each.deployment_id for each in one.deployments)
            if follows != before:
                changed[one.id] = follows
                news |= {*follows, *before}
        if changed:
            self._complaints.follow(changed)
        for deployment_id in news:
            self._events.publish(deployment_id)
