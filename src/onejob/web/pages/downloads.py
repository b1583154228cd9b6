"""The tables as CSV: what the page shows, in plain units, for a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from onejob.model.customer import ComparedCustomer, ComparedCustomers
from onejob.model.known_error import KnownError
from onejob.model.verdict import SignalResult
from onejob.state.deployments import DeploymentFilter, DeploymentRecord
from onejob.state.error_lists import ErrorFilter, Order
from onejob.verdict.basis import decided_by
from onejob.web.pages.data import PageData

CSV = "text/csv; charset=utf-8"
_MOST_ROWS = 10_000
_PAGE = 500
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def deployments(data: PageData, wanted: DeploymentFilter) -> Iterator[str]:
    """Every deployment of the filter, newest first, a page at a time."""
    yield _line(
        ["id", "service", "environment", "version", "previous_version", "strategy", "source", "status", "actor",
         "started_at", "finished_at", "verdict", "reason", "sentence", "decided_at"]
    )  # fmt: skip
    cursor, written = None, 0
    while written < _MOST_ROWS:
        page = data.page(wanted, _PAGE, cursor)
        yield "".join(_line(_deployment(record)) for record in page.items)
        written += len(page.items)
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


def _deployment(record: DeploymentRecord) -> list[object]:
    one, verdict = record.deployment, record.verdict
    finished = one.finished_at.isoformat() if one.finished_at else ""
    told: list[object] = ["", "", "", ""]
    if verdict:
        decided = verdict.decided_at.isoformat() if verdict.decided_at else ""
        told = [verdict.state.value, verdict.reason.value if verdict.reason else "", verdict.sentence, decided]
    return [
        one.id, one.service, one.environment, one.version, one.previous_version or "", one.strategy.value,
        one.source.value, one.status.value, one.actor or "", one.started_at.isoformat(), finished, *told,
    ]  # fmt: skip


def customers(found: ComparedCustomers | None) -> str:
    """One row per customer that was compared; nothing but the head while the engine is away."""
    head = [
        "customer", "state", "requests", "requests_before", "error_rate", "error_rate_before", "errors_low",
        "errors_high", "p50_s", "p50_s_before", "p95_s", "p95_s_before", "p95_ratio_low", "p95_ratio_high",
    ]  # fmt: skip
    return _line(head) + "".join(_line(_customer(one)) for one in (found.items if found else ()))


def _customer(one: ComparedCustomer) -> list[object]:
    return [
        one.customer, one.state.value, one.new.requests, one.old.requests, one.new.error_rate, one.old.error_rate,
        one.errors.low, one.errors.high, one.new.p50_s, one.old.p50_s, one.new.p95_s, one.old.p95_s,
        one.latency_p95.low, one.latency_p95.high,
    ]  # fmt: skip


def errors(data: PageData, wanted: ErrorFilter, order: Order) -> Iterator[str]:
    """Every error of the filter, newest first, a page at a time; `last_day` is empty while the engine is away."""
    yield _line(
        ["id", "service", "environment", "kind", "status", "severity", "title", "message", "first_version",
         "last_version", "first_seen_at", "last_seen_at", "last_day"]
    )  # fmt: skip
    cursor, written = None, 0
    while written < _MOST_ROWS:
        listed = data.errors.page(wanted, limit=_PAGE, cursor=cursor, order=order)
        yield "".join(_line(_error(one, listed.counts, data.now())) for one in listed.page.items)
        written += len(listed.page.items)
        cursor = listed.page.next_cursor
        if cursor is None:
            return


def _error(one: KnownError, counts: Mapping[str, int] | None, now: datetime) -> list[object]:
    return [
        one.id, one.service, one.environment, one.kind.value, one.status_at(now).value, one.severity, one.title,
        one.message, one.first_version, one.last_version, one.first_seen_at.isoformat(), one.last_seen_at.isoformat(),
        "" if counts is None else counts.get(one.id, 0),
    ]  # fmt: skip


def evidence(signals: Sequence[SignalResult]) -> str:
    """One row per signal; seconds for latencies, fractions for rates, a KPI's own unit for KPIs."""
    head = [
        "operation", "signal", "verdict", "decided_by", "control", "treatment", "effect_kind", "effect", "low", "high",
        "tolerance", "control_requests", "treatment_requests", "log_evidence", "log_evidence_better", "phi",
        "theta_0", "weight", "family", "unit", "direction", "exploratory",
    ]  # fmt: skip
    return _line(head) + "".join(_line(_signal(one)) for one in signals)


def _signal(one: SignalResult) -> list[object]:
    return [
        one.operation, one.signal, one.state.value, decided_by(one), one.control, one.treatment, one.effect_kind.value,
        one.effect, one.low, one.high, one.tolerance, one.control_requests, one.treatment_requests, one.log_evidence,
        one.log_evidence_better, one.phi, one.theta_0, one.weight, one.family, one.unit,
        one.direction.value, one.exploratory,
    ]  # fmt: skip


def _line(cells: Iterable[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([_harmless(cell) for cell in cells])
    return buffer.getvalue()


def _harmless(cell: object) -> object:
    """A text that a spreadsheet would run as a formula is quoted; numbers stay numbers."""
    if not isinstance(cell, str):
        return "" if cell is None else cell
    text = cell.replace("\x00", "\ufffd")
    return f"'{text}" if text.startswith(_FORMULA) else text
