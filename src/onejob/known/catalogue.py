"""What is asked of known errors, and said of them: the use cases behind API, pages and commands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from onejob.known import counts
from onejob.known.lifecycle import reopened, resolved
from onejob.model.known_error import ErrorCount, KnownError, SeenIn, StatusChange
from onejob.state import error_lists
from onejob.state.database import Database
from onejob.state.error_lists import ErrorFilter, Order
from onejob.state.errors import NotFoundError
from onejob.state.known_errors import KnownErrors
from onejob.state.paging import Page
from onejob.state.versions import KnownVersions
from onejob.store.engine import Engine
from onejob.store.errors import StoreError

COUNTED_FOR = timedelta(days=1)  # what a list counts
_WAIT_S = 5.0  # for the engine; what is known is told without it
_STEPS = 120  # of a chart, about
_ROUND_S = (60, 300, 900, 3600, 4 * 3600, 24 * 3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A page of errors, and how often each came in the last day; None where the engine does not answer."""

    page: Page[KnownError]
    counts: dict[str, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Everything known of one error; `counts` in steps of `step_s` within [since, until), None without the engine."""

    error: KnownError
    seen_in: list[SeenIn]
    history: list[StatusChange]
    since: datetime
    until: datetime
    step_s: int
    counts: Sequence[ErrorCount] | None


class Catalogue:
    """Over the facts, and the engine where there is one."""

    def __init__(self, database: Database, engine: Engine | None, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._errors = KnownErrors(database)
        self._versions = KnownVersions(database)
        self._engine = engine
        self._clock = clock

    def page(
        self, wanted: ErrorFilter, *, limit: int = 50, cursor: str | None = None, order: Order = "last_seen"
    ) -> Listed:
        """Newest first; BadCursorError for a cursor that was never handed out."""
        now = self._clock()
        found = error_lists.page(self._database, wanted, now, limit=limit, cursor=cursor, order=order)
        return Listed(page=found, counts=self._totals([one.id for one in found.items], now - COUNTED_FOR))

    def last_day(self, error_id: str) -> int | None:
        """How often it came in the last day; None where the engine does not answer."""
        counted = self._totals([error_id], self._clock() - COUNTED_FOR)
        return None if counted is None else counted.get(error_id, 0)

    def how_many(self, wanted: ErrorFilter) -> int:
        """That `page` would list in all."""
        return error_lists.how_many(self._database, wanted, self._clock())

    def places(self) -> list[tuple[str, str]]:
        """(service, environment) of which any is known."""
        return error_lists.services(self._database)

    def one(self, error_id: str) -> KnownError:
        """NotFoundError if there is none."""
        error = self._errors.get(error_id) if error_id.isprintable() else None
        if error is None:
            raise NotFoundError(f"There is no error {error_id!r}: GET /api/v1/errors lists what there is.")
        return error

    def detail(self, error_id: str, back: timedelta = timedelta(days=7)) -> Detail:
        """One of them, with its counts of the last days. NotFoundError if there is none."""
        error = self.one(error_id)
        now = self._clock()
        step_s = _step_s(back)
        until = now + timedelta(seconds=step_s)
        return Detail(
            error=error,
            seen_in=self._errors.seen_in(error_id),
            history=self._errors.history(error_id),
            since=now - back,
            until=until,
            step_s=step_s,
            counts=self._counts(error_id, now - back, until, step_s),
        )

    def resolve(
        self, error_id: str, by: str, version: str | None = None, *, in_next_version: bool = False
    ) -> KnownError:
        """It is gone in this version, or in the next one; unless said, in the one that began to serve last."""
        if not in_next_version and version is None:
            version = self._newest(self.one(error_id))
        at, fixed_in = self._clock(), None if in_next_version else version
        return self._errors.change(error_id, lambda error: resolved(error, at, by, fixed_in))

    def reopen(self, error_id: str, by: str) -> KnownError:
        """It is not gone."""
        at = self._clock()
        return self._errors.change(error_id, lambda error: reopened(error, at, by))

    def _newest(self, error: KnownError) -> str:
        """The version that began to serve last; of a service that only logs, the one that showed it last."""
        served = self._versions.of_service(error.service, error.environment)
        return served[-1].version if served else error.last_version

    def _totals(self, ids: list[str], since: datetime) -> dict[str, int] | None:
        if self._engine is None:
            return None
        try:
            return counts.read_totals(self._engine, ids, since, timeout_s=_WAIT_S)
        except StoreError:
            return None

    def _counts(self, error_id: str, since: datetime, until: datetime, step_s: int) -> list[ErrorCount] | None:
        if self._engine is None:
            return None
        try:
            return counts.read_counts(self._engine, error_id, since, until, step_s, timeout_s=_WAIT_S)
        except StoreError:
            return None


def _step_s(back: timedelta) -> int:
    wanted = back.total_seconds() / _STEPS
    return next((step for step in _ROUND_S if step >= wanted), _ROUND_S[-1])
