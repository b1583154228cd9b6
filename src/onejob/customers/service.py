"""The use cases: whom a deployment affected, and how one customer was served over time."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from onejob.config import Settings
from onejob.customers.compare import Tolerances, compare, rates
from onejob.explain.exposure import began_at
from onejob.model.customer import (
    ComparedCustomers,
    CustomerHistory,
    CustomerStep,
    CustomerVersion,
    Rates,
    ServedStep,
)
from onejob.model.deployment import Deployment, Status
from onejob.model.verdict import State
from onejob.state.deployments import Deployments
from onejob.store.customers import BIN_S, Sides, served_customers, served_over_time
from onejob.store.engine import Engine

PAST = timedelta(days=7)  # of each customer, so that every day of the week is in it
SERVED = timedelta(days=7)  # of the version
MOST_COMPARED = 200
_MOST_VERSIONS = 50
_STEPS_S = (3600, 4 * 3600, 86_400)
_MOST_STEPS = 60
_WAIT_S = 5.0  # for the engine: a page or an answer without it is better than none
_OVER = {Status.ROLLED_BACK, Status.FAILED, Status.SUPERSEDED}


class Customers:
    """Over the engine and the facts. Both questions raise what `engine.query` raises; None without an engine."""

    def __init__(
        self, engine: Engine | None, deployments: Deployments, settings: Settings, clock: Callable[[], datetime]
    ) -> None:
        self._engine = engine
        self._deployments = deployments
        self._settings = settings
        self._clock = clock

    def of_deployment(self, deployment: Deployment) -> ComparedCustomers | None:
        """Whom its version served, each beside their own past, most affected first."""
        if self._engine is None:
            return None
        asked = sides(deployment, self._settings.default_environment, self._clock())
        found, customers = served_customers(self._engine, asked, MOST_COMPARED, timeout_s=_WAIT_S)
        settings = self._settings
        tolerances = Tolerances(
            errors=settings.tolerance_errors,
            errors_ratio=settings.tolerance_errors_ratio,
            tail=settings.tolerance_tail,
        )
        items = compare(found, customers, tolerances, settings.alpha)
        return ComparedCustomers(
            since=_moment(asked.since),
            until=_moment(asked.until),
            past_since=_moment(asked.past_since),
            customers=customers,
            compared=len(items),
            worse=sum(one.state is State.WORSE for one in items),
            alpha=settings.alpha,
            items=tuple(items),
        )

    def history(self, customer: str, back: timedelta) -> CustomerHistory | None:
        """One customer since `back` ago; empty of a name that no request had."""
        if self._engine is None:
            return None
        until = self._clock()
        since = until - back
        step_s = next((s for s in _STEPS_S if back.total_seconds() / s <= _MOST_STEPS), _STEPS_S[-1])
        steps = served_over_time(
            self._engine,
            customer,
            int(since.timestamp()) // step_s * step_s,
            int(until.timestamp()) + BIN_S,
            step_s,
            timeout_s=_WAIT_S,
        )
        return CustomerHistory(
            customer=customer,
            since=since,
            until=until,
            step_s=step_s,
            versions=tuple(self._versions(steps)),
            steps=tuple(_step(step) for step in steps),
        )

    def _versions(self, steps: Iterable[ServedStep]) -> list[CustomerVersion]:
        by_version: dict[tuple[str, str, str, str], list[ServedStep]] = {}
        for step in steps:
            by_version.setdefault((step.service, step.environment, step.version, step.build), []).append(step)
        last = sorted(by_version.items(), key=lambda one: -max(step.last_bin for step in one[1]))
        return [self._version(*key, found) for key, found in last[:_MOST_VERSIONS]]

    def _version(
        self, service: str, environment: str, version: str, build: str, steps: list[ServedStep]
    ) -> CustomerVersion:
        named = environment or self._settings.default_environment
        deployment = self._deployments.find(service, named, version)
        return CustomerVersion(
            service=service,
            environment=named,
            version=version,
            build=build,
            deployment_id=deployment.id if deployment else None,
            first_at=_moment(min(step.first_bin for step in steps)),
            last_at=_moment(max(step.last_bin for step in steps) + BIN_S),
            rates=_rates(steps),
        )


def sides(deployment: Deployment, default_environment: str, now: datetime) -> Sides:
    """Since its first request and until it was over; a version that served before is told from it by the time."""
    began = began_at(deployment)
    ended = deployment.finished_at if deployment.status in _OVER else None
    until = min(now, began + SERVED, ended or now)
    return Sides(
        service=deployment.service,
        environment=deployment.environment,
        default_environment=default_environment,
        version=deployment.version,
        previous=deployment.previous_version,
        is_by_time=deployment.version == deployment.previous_version or deployment.rollback_of is not None,
        past_since=int((began - PAST).timestamp()),
        since=int(began.timestamp()),
        until=int(until.timestamp()) + BIN_S,
    )


def _step(step: ServedStep) -> CustomerStep:
    return CustomerStep(
        at=_moment(step.bin_start),
        service=step.service,
        environment=step.environment,
        version=step.version,
        build=step.build,
        rates=rates(step),
    )


def _rates(steps: list[ServedStep]) -> Rates:
    """Of all these steps together."""
    buckets: Counter[int] = Counter()
    for step in steps:
        buckets.update(step.buckets)
    names = ("count", "errors", "adjusted", "adjusted_errors", "adjusted_sq", "tail_sampled", "zeros")
    sums = {name: sum(getattr(step, name) for step in steps) for name in names}
    return rates(replace(steps[0], buckets=buckets, **sums))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
