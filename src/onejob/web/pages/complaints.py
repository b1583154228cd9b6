"""The views of complaints: beside the deployment that they follow, of one customer, and the latest of all."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from onejob import words
from onejob.model.complaint import Complaint
from onejob.state.complaints import ComplaintFilter
from onejob.state.deployments import DeploymentRecord
from onejob.web.pages.customers import link
from onejob.web.pages.data import PageData
from onejob.web.pages.deployment import safe_url
from onejob.web.pages.filters import deployment_link

_ROWS = 10
_ROWS_OF_A_PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One complaint; `deployments` are names and pages of those that it follows."""

    at: datetime
    ago: str
    customer: str
    customer_url: str
    summary: str
    reference: str
    url: str
    is_closed: bool
    deployments: list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaints:
    """A table of them; `total` is how many there are, `json` lists them all."""

    rows: list[Row]
    total: int
    json: str


def of_deployment(record: DeploymentRecord, data: PageData) -> Complaints | None:
    """Those that follow it; None without any."""
    if not record.complaints:
        return None
    wanted = ComplaintFilter(deployment_id=record.deployment.id)
    return _listed(data, wanted, _ROWS, record.complaints, deployment=record.deployment.id)


def of_customer(customer: str, data: PageData) -> Complaints:
    """Those of one customer, newest first."""
    return _listed(data, ComplaintFilter(customer=customer), _ROWS_OF_A_PAGE, customer=customer)


def lately(data: PageData) -> Complaints:
    """Those made last."""
    return _listed(data, ComplaintFilter(), _ROWS_OF_A_PAGE)


def _listed(data: PageData, wanted: ComplaintFilter, limit: int, total: int | None = None, **asked: str) -> Complaints:
    found = data.complaints(wanted, limit)
    json = "/api/v1/complaints" + (f"?{urlencode(asked)}" if asked else "")
    rows = [_row(one, data.now()) for one in found]
    return Complaints(rows=rows, total=len(rows) if total is None else total, json=json)


def _row(one: Complaint, now: datetime) -> Row:
    return Row(
        at=one.at,
        ago=words.ago(one.at, now),
        customer=one.customer,
        customer_url=link(one.customer),
        summary=one.summary,
        reference=one.reference or one.source,
        url=safe_url(one.url),
        is_closed=one.is_closed,
        deployments=[
            (
                f"{words.shorten(each.service, 32)} {words.shorten(each.version, 24)}",
                deployment_link(each.deployment_id),
            )
            for each in one.deployments
        ],
    )
