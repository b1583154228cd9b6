"""What the pages need to know, and nothing more.

The pages are drawn against this protocol instead of the whole product, so that a test can fill it from a list and the
product from its repositories (`product.py`).
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from onejob.history.jobs import Job
from onejob.known.catalogue import Detail, Listed
from onejob.model.access import Principal
from onejob.model.backtest import Backtest
from onejob.model.complaint import Complaint
from onejob.model.customer import ComparedCustomers, CustomerHistory
from onejob.model.deployment import Deployment
from onejob.model.known_error import KnownError
from onejob.state.complaints import ComplaintFilter
from onejob.state.deployments import DeploymentFilter, DeploymentRecord, FilterChoices
from onejob.state.error_lists import ErrorFilter, Order
from onejob.state.events import Event
from onejob.state.paging import Page
from onejob.state.timeline import Mark
from onejob.store.rollup import SeriesPoint
from onejob.store.sessions import Sessions

Command = Literal["promote", "hold", "resume", "abort"]
Records = Page[DeploymentRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What has arrived: spans stored, the services they are from and where to send more."""

    spans: int
    services: Sequence[str]
    otlp_grpc: str
    otlp_http: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenProject:
    """A project that somebody may see; its addresses begin with `root`, empty or `/p/shop`, below the server."""

    name: str
    root: str
    is_current: bool


class CommandRefused(Exception):  # noqa: N818
    """The rollout cannot do that now; the message says why and what to do."""


class ErrorData(Protocol):
    """Errors and log messages as the pages see them: `known.catalogue.Catalogue`, or a test's lists."""

    def page(
        self, wanted: ErrorFilter, *, limit: int = 50, cursor: str | None = None, order: Order = "last_seen"
    ) -> Listed:
        """Newest first; BadCursorError for a cursor that was never handed out."""

    def how_many(self, wanted: ErrorFilter) -> int: ...

    def places(self) -> list[tuple[str, str]]: ...

    def detail(self, error_id: str) -> Detail:
        """NotFoundError if there is none; so below."""

    def resolve(
        self, error_id: str, by: str, version: str | None = None, *, in_next_version: bool = False
    ) -> KnownError: ...

    def reopen(self, error_id: str, by: str) -> KnownError: ...


class PageData(Protocol):
    """The product as the pages see it; thread-safe, and synchronous but for `follow`."""

    def now(self) -> datetime: ...

    def page(self, wanted: DeploymentFilter, limit: int, cursor: str | None, whole: bool = False) -> Records:
        """Newest first; BadCursorError for a cursor that was never handed out."""

    def marks(self, wanted: DeploymentFilter, limit: int) -> Sequence[Mark]: ...

    def has_deployments(self) -> bool: ...

    def choices(self) -> FilterChoices: ...

    def record(self, deployment_id: str) -> DeploymentRecord | None: ...

    def series(
        self, deployment: Deployment, operation: str, since: int, until: int, step_s: int
    ) -> Sequence[SeriesPoint]:
        """Counts per version and step; nothing while the engine is away."""

    def sessions(self, deployment: Deployment) -> Sequence[Sessions]:
        """Of users, per version, from a day before it began; nothing while the engine is away."""

    def telemetry(self) -> Telemetry: ...

    def bin_width_s(self) -> int: ...

    def command(self, rollout_id: str, command: Command, actor: str, *, router_is_gone: bool = False) -> None:
        """CommandRefused if the rollout cannot do that now. `router_is_gone`: abort without it."""

    def audit(self, *, actor: str, action: str, object: str, source: str, detail: str = "") -> None:
        """Add to the audit log."""

    def recompute(self, deployment_id: str) -> bool:
        """Whether the verdict computed again from its stored counts is the stored one."""

    def backtest(self, backtest_id: str | None = None) -> Backtest | None:
        """A report, the newest unless said."""

    def replaying(self) -> Job | None:
        """The replay of history that is at work, or that ended last."""

    def start_backtest(self, back: timedelta) -> None:
        """HistoryError or CommandRefused if it cannot be done now."""

    def customers_of(self, deployment: Deployment) -> ComparedCustomers | None:
        """Whom its version served; None while the engine is away."""

    def customer(self, customer: str, back: timedelta) -> CustomerHistory | None:
        """How one customer was served since `back` ago; None while the engine is away."""

    def complaints(self, wanted: ComplaintFilter, limit: int) -> Sequence[Complaint]:
        """Newest first."""

    @property
    def errors(self) -> ErrorData:
        """What is known of errors and log messages."""

    def projects(self, who: Principal | None) -> Sequence[SeenProject]:
        """Those that whoever asks may see, `default` first. None of them are worth showing if there is one only."""

    def follow(self, heartbeat_s: float) -> AsyncIterator[Event | None]:
        """What changes from now on; None every `heartbeat_s` without news."""
