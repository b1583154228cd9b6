"""The pages' view of the running product: `PageData` over `Services`."""

import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from onejob.act.errors import ActError
from onejob.customers.service import SERVED
from onejob.history.jobs import Job
from onejob.known.catalogue import Catalogue
from onejob.model.access import Principal, Via
from onejob.model.backtest import Backtest
from onejob.model.complaint import Complaint
from onejob.model.customer import ComparedCustomers, CustomerHistory
from onejob.model.deployment import Deployment
from onejob.model.project import DEFAULT_PROJECT
from onejob.state.complaints import ComplaintFilter
from onejob.state.deployments import DeploymentFilter, DeploymentRecord, FilterChoices
from onejob.state.events import Event
from onejob.state.timeline import Mark, timeline
from onejob.store import rollup
from onejob.store.errors import StoreError
from onejob.store.rollup import SeriesPoint
from onejob.store.sessions import Sessions, read_sessions
from onejob.verdict.signals import EVERYWHERE
from onejob.web.pages.data import Command, CommandRefused, Records, SeenProject, Telemetry
from onejob.web.recomputing import recomputed
from onejob.web.services import Services

T = TypeVar("T")

_RECENT_S = 2.0
_CUSTOMERS_S = 20.0  # a week of everybody's counts
_CHOICES_S = 30.0  # three scans over all deployments
_LOOK_BACK_S = 86_400
_SESSIONS_S = 10.0  # they are reported once a minute
_SESSIONS_WAIT_S = 2.0  # for one line of a page, which has waited for its charts already
_SESSIONS_AROUND = timedelta(days=1)  # the old version's are from before, those that end late from after
_WAIT_S = 5.0  # for the engine; a page without its chart is better than no page
_MOST_KEPT = 256


class Recent:
    """Answers of the engine for a moment: a page that ten people watch asks once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    def get(self, key: Hashable, ask: Callable[[], Any], for_s: float = _RECENT_S) -> Any:
        """What was answered within `for_s`, else a new answer."""
        with self._lock:
            kept = self._kept.get(key)
        if kept and self._clock() < kept[0]:
            return kept[1]
        answer = ask()
        with self._lock:
            self._kept[key] = (self._clock() + for_s, answer)
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return answer


def _root(project: str) -> str:
    return "" if project == DEFAULT_PROJECT else f"/p/{project}"


class ProductData:
    """What the pages ask, answered by repositories and the engine."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._recent = Recent()

    def now(self) -> datetime:
        return self._services.clock()

    def bin_width_s(self) -> int:
        return self._services.settings.bin_width_s

    def page(self, wanted: DeploymentFilter, limit: int, cursor: str | None, whole: bool = False) -> Records:
        return self._services.deployments.page(wanted, limit, cursor, whole=whole)

    def marks(self, wanted: DeploymentFilter, limit: int) -> Sequence[Mark]:
        return timeline(self._services.database, wanted, limit)

    def has_deployments(self) -> bool:
        return bool(self._services.deployments.page(DeploymentFilter(), 1).items)

    def choices(self) -> FilterChoices:
        choices: FilterChoices = self._recent.get("choices", self._services.deployments.choices, _CHOICES_S)
        return choices

    def record(self, deployment_id: str) -> DeploymentRecord | None:
        return self._services.deployments.record(deployment_id)

    def series(
        self, deployment: Deployment, operation: str, since: int, until: int, step_s: int
    ) -> Sequence[SeriesPoint]:
        place = (deployment.service, deployment.environment, operation, since, until, step_s)
        is_past = until < self.now().timestamp() - 600
        answer: Sequence[SeriesPoint] = self._recent.get(
            place, lambda: self._series(deployment, operation, since, until, step_s), 600.0 if is_past else _RECENT_S
        )
        return answer

    def _series(
        self, deployment: Deployment, operation: str, since: int, until: int, step_s: int
    ) -> Sequence[SeriesPoint]:
        if self._services.engine is None:
            return ()
        try:
            return rollup.series(
                self._services.engine,
                service=deployment.service,
                environment=deployment.environment,
                default_environment=self._services.settings.default_environment,
                operation=None if operation == EVERYWHERE else operation,
                since=since,
                until=until,
                step_s=step_s,
                timeout_s=_WAIT_S,
            )
        except StoreError:
            return ()  # the page says everything else; charts come back with the engine

    def sessions(self, deployment: Deployment) -> Sequence[Sessions]:
        found: Sequence[Sessions] = self._recent.get(
            ("sessions", deployment.id), lambda: self._sessions(deployment), _SESSIONS_S
        )
        return found

    def _sessions(self, deployment: Deployment) -> Sequence[Sessions]:
        if self._services.engine is None:
            return ()
        until = min(self.now(), (deployment.finished_at or self.now()) + _SESSIONS_AROUND)
        try:
            return read_sessions(
                self._services.engine,
                service=deployment.service,
                environment=deployment.environment,
                default_environment=self._services.settings.default_environment,
                since=int((deployment.started_at - _SESSIONS_AROUND).timestamp()),
                until=int(until.timestamp()) + 1,
                timeout_s=_SESSIONS_WAIT_S,
            )
        except StoreError:
            return ()

    def telemetry(self) -> Telemetry:
        told: Telemetry = self._recent.get("telemetry", self._telemetry, 0.9)
        return told

    def _telemetry(self) -> Telemetry:
        spans, services = 0, set()
        if self._services.engine is not None:
            try:
                spans = rollup.totals(self._services.engine, timeout_s=_WAIT_S).spans
                now = int(self.now().timestamp())
                seen = rollup.versions_seen(
                    self._services.engine, since=now - _LOOK_BACK_S, until=now + 60, timeout_s=_WAIT_S
                )
                services = {one.service for one in seen}
            except StoreError:
                pass  # the engine starts again by itself; until then nothing is known
        grpc, http = self._endpoints()
        return Telemetry(spans=spans, services=sorted(services), otlp_grpc=grpc, otlp_http=http)

    def _endpoints(self) -> tuple[str, str]:
        settings = self._services.settings
        host = "127.0.0.1" if settings.listen_host in {"0.0.0.0", "::", ""} else settings.listen_host  # noqa: S104
        host = f"[{host}]" if ":" in host else host
        grpc, http = self._services.otlp_ports
        return f"http://{host}:{grpc}", f"http://{host}:{http}"

    def audit(self, *, actor: str, action: str, object: str, source: str, detail: str = "") -> None:
        self._services.record(actor=actor, action=action, object=object, source=source, detail=detail)

    def command(self, rollout_id: str, command: Command, actor: str, *, router_is_gone: bool = False) -> None:
        if self._services.controller is None:
            raise CommandRefused("No rollout controller runs in this process: ask the server that moves the traffic.")
        try:
            self._services.controller.command(rollout_id, command, actor, router_is_gone=router_is_gone)
        except ActError as error:
            raise CommandRefused(str(error)) from error

    def recompute(self, deployment_id: str) -> bool:
        again = recomputed(self._services, deployment_id)
        if again is None:
            raise CommandRefused("There is no verdict to compute again yet.")
        return again.is_same

    def backtest(self, backtest_id: str | None = None) -> Backtest | None:
        backtests = self._services.backtests
        if backtest_id is None:
            return backtests.latest()
        return backtests.get(backtest_id) if backtest_id.isprintable() else None

    def replaying(self) -> Job | None:
        return self._services.history.jobs.latest() if self._services.history else None

    def start_backtest(self, back: timedelta) -> None:
        if self._services.history is None:
            raise CommandRefused("No history is replayed in this process: ask the server that judges.")
        self._services.history.start_backtest(self.now() - back)

    def customers_of(self, deployment: Deployment) -> ComparedCustomers | None:
        is_over = self.now() - deployment.started_at > SERVED
        ask, for_s = (lambda: self._services.customers.of_deployment(deployment)), 600.0 if is_over else _CUSTOMERS_S
        return _unless_away(lambda: self._recent.get(("customers", deployment), ask, for_s))

    def customer(self, customer: str, back: timedelta) -> CustomerHistory | None:
        return _unless_away(lambda: self._services.customers.history(customer, back))

    def complaints(self, wanted: ComplaintFilter, limit: int) -> Sequence[Complaint]:
        return self._services.complaints.page(wanted, limit=limit).items

    @property
    def errors(self) -> Catalogue:
        return self._services.errors

    def projects(self, who: Principal | None) -> Sequence[SeenProject]:
        access = self._services.access
        if who is None or who.via is Via.TOKEN:
            return ()
        names = (DEFAULT_PROJECT, *access.members.seen_by(who.user_id))
        return [SeenProject(name=name, root=_root(name), is_current=name == access.project) for name in names]

    def follow(self, heartbeat_s: float) -> AsyncIterator[Event | None]:
        return self._services.events.follow(heartbeat_s)


def _unless_away(ask: Callable[[], T | None]) -> T | None:
    """A page says everything else while the engine starts again."""
    try:
        return ask()
    except StoreError:
        return None
