"""The views of customers: those that a deployment affected, and the page of one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from onejob import words
from onejob.customers.service import MOST_COMPARED
from onejob.model.customer import (
    ComparedCustomer,
    ComparedCustomers,
    CustomerChange,
    CustomerHistory,
    CustomerStep,
    CustomerVersion,
    Rates,
)
from onejob.model.known_error import ErrorCount
from onejob.model.verdict import EffectKind
from onejob.web.charts import columns
from onejob.web.pages.filters import deployment_link

_ROWS = 8
_MOST_STEPS = 400
DAYS = (1, 7, 30, 90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One customer beside its own past."""

    url: str
    customer: str
    state: str
    state_words: str
    requests: str
    failed_before: str
    failed_now: str
    errors: str
    p95_before: str
    p95_now: str
    latency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """*Customers* on a deployment's page."""

    answer: str
    rows: list[Row]
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version that served the customer; `url` is its deployment's page, where there is one."""

    service: str
    environment: str
    version: str
    url: str
    requests: str
    failed: str
    rate: str
    p50: str
    p95: str
    last_at: datetime
    last_ago: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """The same in one step of time."""

    at: datetime
    name: str
    requests: str
    failed: str
    p95: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything the page of one customer writes; `is_counted` is false while the engine is away."""

    customer: str
    days: int
    under: str
    is_counted: bool
    versions: list[VersionRow]
    chart: columns.Chart | None
    latest: str
    steps: list[StepRow]
    ranges: list[tuple[int, str]]
    json: str


def link(customer: str, **values: object) -> str:
    """The page of one customer; the name may hold anything, so it is no part of the path."""
    return "/customers?" + urlencode({"customer": customer, **values})


def section(found: ComparedCustomers | None) -> Section | None:
    """Whom a deployment affected, a few; None where telemetry names no customer."""
    if found is None or not found.customers:
        return None
    return Section(answer=_answer(found), rows=[_row(one) for one in found.items[:_ROWS]], basis=_basis(found))


def _answer(found: ComparedCustomers) -> str:
    all_of = words.plural(found.customers, "customer")
    if not found.worse:
        whole = all_of if found.customers == found.compared else f"the {found.compared} that look worst of {all_of}"
        return f"none of {whole} is known to be worse off than before"
    many = f"{words.count(found.worse)}{' or more' if found.worse == MOST_COMPARED < found.customers else ''}"
    return f"{many} of {all_of} {'is' if found.worse == 1 else 'are'} worse off than before"


def _basis(found: ComparedCustomers) -> str:
    return (
        f"Most affected first. Each is compared with its own past since {words.absolute(found.past_since)}; the "
        f"intervals hold for all customers and looks together, with {words.percent(found.alpha)} false alarms. They "
        "are no part of the verdict."
    )


def _row(one: ComparedCustomer) -> Row:
    return Row(
        url=link(one.customer),
        customer=one.customer,
        state=one.state.value,
        state_words=one.state.value.replace("_", " "),
        requests=words.count(one.new.requests),
        failed_before=_rate(one.old),
        failed_now=_rate(one.new),
        errors=_change(one.errors, EffectKind.DIFFERENCE),
        p95_before=words.seconds(one.old.p95_s),
        p95_now=words.seconds(one.new.p95_s),
        latency=_change(one.latency_p95, EffectKind.RATIO),
    )


def _rate(rates: Rates) -> str:
    return words.percent(rates.error_rate)


def _change(change: CustomerChange, kind: EffectKind) -> str:
    return words.interval(kind, change.low, change.high) or (
        "not known yet" if change.effect is not None else words.DASH
    )


def view(customer: str, days: int, found: CustomerHistory | None, now: datetime) -> Page:
    """The page of one customer."""
    versions = found.versions if found else ()
    latest = versions[0] if versions else None
    return Page(
        customer=customer,
        days=days,
        under=_under(found, days, now),
        is_counted=found is not None,
        versions=[_version(one, now) for one in versions],
        chart=_chart(found, latest) if found and latest else None,
        latest=_name(latest) if latest else "",
        steps=[_step(one) for one in (found.steps if found else ())[:_MOST_STEPS]],
        ranges=[(each, link(customer, days=each)) for each in DAYS],
        json="/api/v1/customers?" + urlencode({"customer": customer, "days": days}),
    )


def _under(found: CustomerHistory | None, days: int, now: datetime) -> str:
    if found is None:
        return "Not counted now, as the engine does not answer."
    when = f"in the last {'day' if days == 1 else f'{days} days'}"
    if not found.versions:
        return f"No request {when} named this customer."
    requests, failed = (sum(getattr(one.rates, what) for one in found.versions) for what in ("requests", "errors"))
    last = max(one.last_at for one in found.versions)
    return (
        f"{words.plural(requests, 'request')} {when}, {words.count(failed)} failed · served last "
        f"{words.ago(min(last, now), now)}"
    )


def _name(one: CustomerVersion | CustomerStep) -> str:
    return f"{words.shorten(one.service, 40)} {words.shorten(one.version or one.build or '(no version)', 30)}"


def _version(one: CustomerVersion, now: datetime) -> VersionRow:
    last = min(one.last_at, now)
    return VersionRow(
        service=one.service,
        environment=one.environment,
        version=one.version or one.build,
        url=deployment_link(one.deployment_id) if one.deployment_id else "",
        requests=words.count(one.rates.requests),
        failed=words.count(one.rates.errors),
        rate=_rate(one.rates),
        p50=words.seconds(one.rates.p50_s),
        p95=words.seconds(one.rates.p95_s),
        last_at=last,
        last_ago=words.ago(last, now),
    )


def _chart(found: CustomerHistory, latest: CustomerVersion) -> columns.Chart | None:
    counts = [
        ErrorCount(version=_name(one), bin_start=int(one.at.timestamp()), count=one.rates.errors)
        for one in found.steps
        if one.rates.errors
    ]
    since = datetime.fromtimestamp(found.since.timestamp() // found.step_s * found.step_s, found.since.tzinfo)
    return columns.draw(counts, since, found.until + timedelta(seconds=1), found.step_s, _name(latest))


def _step(one: CustomerStep) -> StepRow:
    return StepRow(
        at=one.at,
        name=_name(one),
        requests=words.count(one.rates.requests),
        failed=f"{words.count(one.rates.errors)} ({_rate(one.rates)})",
        p95=words.seconds(one.rates.p95_s),
    )
