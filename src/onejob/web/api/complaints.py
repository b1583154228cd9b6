"""Complaints: told by whoever has the tickets, with a token; by webhooks that sign what they send; and listed.

A webhook has no token, so these addresses are open to everybody, and refuse whatever is not signed with the secret
(`X-Hub-Signature: sha256=...` over the body as it was sent, as WebSub has it, and Jira).
"""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from onejob.changes.errors import InvalidReportError
from onejob.changes.texts import MAX_NAME_CHARS, read_name, read_text, read_url
from onejob.changes.times import read_moment
from onejob.customers import jira
from onejob.model.complaint import Told, Withdrawn
from onejob.state.codec import to_plain
from onejob.state.complaints import ComplaintFilter
from onejob.state.errors import NotFoundError
from onejob.web.api.answers import answer
from onejob.web.api.bodies import BodyError, BoundedRequest, plain_media_type
from onejob.web.api.parameters import Text, read_since
from onejob.web.api.problems import ProblemRoute, Responses
from onejob.web.api.requests import ComplaintBody
from onejob.web.api.schemas import ComplaintDocument, ComplaintsDocument, HookDocument, Problem
from onejob.web.asked import By, Uses
from onejob.web.caller import Caller
from onejob.web.services import Services

_MOST_BYTES = 2**20  # Jira sends all fields of a ticket, and its comments
_SIGNATURE = "x-hub-signature"
_NO_SECRET = "This server takes no webhooks: set ONEJOB_HOOK_SECRET, and the same secret where they are sent."  # noqa: S105
_UNSIGNED = f"The request is not signed with ONEJOB_HOOK_SECRET: {_SIGNATURE} must be sha256= and the HMAC of the body."

router = APIRouter(prefix="/api/v1", tags=["complaints"], route_class=ProblemRoute, responses={422: {"model": Problem}})


@router.post(
    "/complaints",
    status_code=201,
    responses={
        201: {"model": ComplaintDocument, "description": "It is recorded."},
        200: {"model": ComplaintDocument, "description": "It was known: what it says now is recorded."},
    },
)
def tell(body: ComplaintBody, services: Uses, by: By) -> Response:
    """Record a complaint. The same `external_id` of the same `source` is the same complaint, told anew."""
    told = _told(body, services.clock())
    told = replace(told, service=told.service or by.principal.service)
    by.check(told.service or "")
    with by.doing("complaint.tell", f"{told.source} {told.reference}"):
        complaint, is_new = services.complaints.tell(told, only_of=by.principal.service)
    return answer(to_plain(complaint), 201 if is_new else 200)


@router.get("/complaints", responses={200: {"model": ComplaintsDocument}})
def page(
    services: Uses,
    customer: Text = None,
    deployment: Annotated[str | None, Query(max_length=200, description="That follow this one, by its id.")] = None,
    since: Annotated[str | None, Query(description="Made at or after; ISO 8601.")] = None,
    until: Annotated[str | None, Query(description="Made before; ISO 8601.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=300, description="`next_cursor` of the page before.")] = None,
) -> Response:
    """Complaints, newest first."""
    wanted = ComplaintFilter(
        customer=read_text(customer, "customer") if customer else None,
        deployment_id=read_text(deployment, "deployment") if deployment else None,
        since=read_since(since, "since"),
        until=read_since(until, "until"),
    )
    found = services.complaints.page(wanted, limit=limit, cursor=cursor)
    return answer({"items": [to_plain(one) for one in found.items], "next_cursor": found.next_cursor})


_UNKNOWN: Responses = {404: {"model": Problem, "description": "No complaint has this id."}}


@router.delete("/complaints/{complaint_id}", status_code=204, responses=_UNKNOWN)
def remove(complaint_id: str, services: Uses, by: By) -> Response:
    """Take a complaint off the record: its customer and text are deleted."""
    with by.doing("complaint.remove", complaint_id[:100]):
        if not complaint_id.isprintable() or not services.complaints.remove(complaint_id):
            raise NotFoundError(f"There is no complaint {complaint_id[:100]!r}: GET /api/v1/complaints lists them.")
    return Response(status_code=204)


class _HookRoute(ProblemRoute):
    """Takes bodies that are signed, and of no other kind than JSON."""

    async def read(self, request: Request) -> Request:
        secret = request.app.state.services.settings.hook_secret
        if secret is None:
            raise BodyError(404, "No webhooks here", _NO_SECRET)
        said = request.headers.get(_SIGNATURE, "").strip()
        if not said.startswith("sha256="):  # before a byte of the body is read
            raise BodyError(401, "Not signed", _UNSIGNED)
        bounded = BoundedRequest(request.scope, request.receive, _MOST_BYTES)
        signed = hmac.new(secret.get_secret_value().encode(), await bounded.body(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"sha256={signed}".encode(), said.lower().encode("utf-8", "replace")):
            raise BodyError(401, "Not signed", _UNSIGNED)
        if plain_media_type(bounded) != "application/json":
            raise BodyError(415, "Not JSON", "Send Content-Type: application/json.")
        return bounded


hooks = APIRouter(prefix="/api/v1/hooks", tags=["complaints"], route_class=_HookRoute)
_REFUSED: Responses = {
    401: {"model": Problem, "description": "It is not signed."},
    404: {"model": Problem, "description": "There is no secret to sign with."},
    422: {"model": Problem},
}
_PARAMETER: dict[str, Any] = {
    "parameters": [
        {"name": "X-Hub-Signature", "in": "header", "required": True, "schema": {"type": "string"},
         "description": "`sha256=` and the HMAC-SHA256 of the body in hexadecimal."}
    ]
}  # fmt: skip


@hooks.post("/complaints", responses={200: {"model": HookDocument}, **_REFUSED}, openapi_extra=_PARAMETER)
def hooked(body: ComplaintBody, services: Uses, by: By) -> Response:
    """As `POST /api/v1/complaints`, for whoever signs instead of sending a token."""
    return _recorded(services, by, _told(body, services.clock()))


@hooks.post(
    "/jira",
    responses={200: {"model": HookDocument}, **_REFUSED},
    openapi_extra=_PARAMETER
    | {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def from_jira(request: Request, services: Uses, by: By) -> Response:
    """A webhook of Jira: a ticket was made, changed or deleted. What is no customer's is not recorded."""
    try:
        payload = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise BodyError(400, "Malformed JSON", "The body is no JSON: send what Jira's webhooks send.") from error
    found = jira.read(payload, services.settings.jira_customer_fields, services.clock())
    return await run_in_threadpool(_recorded, services, by, found)


def _recorded(services: Services, by: Caller, found: Told | Withdrawn | str) -> Response:
    """A sender only wants to know that it need not send it again."""
    if isinstance(found, str):
        return answer({"recorded": False, "why": found, "id": None})
    if isinstance(found, Withdrawn):
        if services.complaints.withdraw(found):
            _note(services, by, "complaint.withdraw", f"{found.source} {found.external_id}")
        return answer({"recorded": False, "why": "The ticket is no customer's complaint.", "id": None})
    complaint, is_new = services.complaints.tell(found)
    if is_new:
        _note(services, by, "complaint.tell", f"{found.source} {found.reference}")
    return answer({"recorded": True, "why": "", "id": complaint.id})


def _note(services: Services, by: Caller, action: str, what: str) -> None:
    """Once it is done: a ticket is told of again and again, and what changes nothing is no news."""
    services.record(actor="webhook", action=action, object=what, source=by.source)


def _told(body: ComplaintBody, now: datetime) -> Told:
    customer = read_name(body.customer, "customer")
    summary = _line(body.summary or body.text or "")
    if not summary:
        raise InvalidReportError("summary", "summary and text are empty: send what the customer said, in one line.")
    at = read_moment(body.at, "at", now).at if body.at is not None else now
    source = read_text(body.source or "", "source", MAX_NAME_CHARS) or "api"
    external_id = read_text(body.external_id or "", "external_id", jira.MAX_SUMMARY_CHARS)
    content = "\x00".join((customer, at.isoformat() if body.at is not None else "", summary))
    return Told(
        source=source,
        external_id=external_id or hashlib.sha256(content.encode()).hexdigest()[:32],
        reference=external_id[:MAX_NAME_CHARS],
        customer=customer,
        at=at,
        summary=summary,
        told_at=now,
        url=read_url(body.url, "url") if body.url else None,
        service=read_name(body.service, "service") if body.service else None,
        is_closed=body.closed,
    )


def _line(text: str) -> str:
    """The first lines of it, as one: tickets have many."""
    words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return read_text(words[: jira.MAX_SUMMARY_CHARS], "summary")
