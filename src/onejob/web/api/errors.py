"""Errors and log messages that telemetry has shown: list and search them, look at one, resolve and reopen it."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Response

from onejob.changes.errors import InvalidReportError
from onejob.changes.texts import read_name, read_text
from onejob.model.known_error import KnownError
from onejob.state.codec import iso, to_plain
from onejob.web.api.answers import answer
from onejob.web.api.documents import error_document
from onejob.web.api.parameters import ChosenErrors
from onejob.web.api.problems import ProblemRoute, Responses
from onejob.web.api.requests import ReopenBody, ResolveBody
from onejob.web.api.schemas import ErrorDetailDocument, ErrorDocument, ErrorsDocument, Problem
from onejob.web.asked import By, Uses
from onejob.web.caller import Caller
from onejob.web.services import Services

router = APIRouter(
    prefix="/api/v1/errors", tags=["errors"], route_class=ProblemRoute, responses={422: {"model": Problem}}
)
_UNKNOWN: Responses = {404: {"model": Problem, "description": "No error has this id."}}


@router.get("", responses={200: {"model": ErrorsDocument}})
def page(
    services: Uses,
    wanted: ChosenErrors,
    order: Literal["last_seen", "first_seen"] = "last_seen",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=300, description="`next_cursor` of the page before.")] = None,
) -> Response:
    """Errors and log messages, newest first."""
    listed = services.errors.page(wanted, limit=limit, cursor=cursor, order=order)
    items = [_document(services, one, _count(one.id, listed.counts)) for one in listed.page.items]
    return answer({"items": items, "next_cursor": listed.page.next_cursor})


@router.get("/{error_id}", responses={200: {"model": ErrorDetailDocument}, **_UNKNOWN})
def one(
    error_id: str,
    services: Uses,
    by: By,
    hours: Annotated[int, Query(ge=1, le=9_600, description="How far back to count; a week unless said.")] = 168,
) -> Response:
    """One of them: its stack or line, an example, and how often it came over time in each version."""
    by.check(services.errors.one(error_id).service)
    found = services.errors.detail(error_id, timedelta(hours=hours))
    more = {
        "seen_in": [to_plain(one) for one in found.seen_in],
        "history": [to_plain(change) for change in found.history],
        "since": iso(found.since),
        "until": iso(found.until),
        "step_s": found.step_s,
        "counts": None if found.counts is None else [to_plain(count) for count in found.counts],
    }
    return answer(_document(services, found.error, services.errors.last_day(error_id)) | more)


@router.post("/{error_id}/resolve", responses={200: {"model": ErrorDocument}, **_UNKNOWN})
def resolve(error_id: str, services: Uses, by: By, body: Annotated[ResolveBody | None, Body()] = None) -> Response:
    """Say that it is gone. Seen again in a version that is not older, it is a regression."""
    body = body or ResolveBody()
    if body.in_next_version and body.version is not None:
        raise InvalidReportError("version", "version and in_next_version contradict each other: send one of them.")
    version = read_name(body.version, "version") if body.version is not None else None
    actor = _actor(by, body.actor)
    by.check(services.errors.one(error_id).service)
    with by.doing("error.resolve", error_id, "in the next version" if body.in_next_version else version or "", actor):
        error = services.errors.resolve(error_id, actor, version, in_next_version=body.in_next_version)
    return answer(_document(services, error, services.errors.last_day(error_id)))


@router.post("/{error_id}/reopen", responses={200: {"model": ErrorDocument}, **_UNKNOWN})
def reopen(error_id: str, services: Uses, by: By, body: Annotated[ReopenBody | None, Body()] = None) -> Response:
    """Say that it is not gone."""
    actor = _actor(by, body.actor if body else None)
    by.check(services.errors.one(error_id).service)
    with by.doing("error.reopen", error_id, actor=actor):
        error = services.errors.reopen(error_id, actor)
    return answer(_document(services, error, services.errors.last_day(error_id)))


def _actor(by: Caller, said: str | None) -> str:
    return by.actor(read_text(said or "", "actor"), "api")


def _count(error_id: str, counts: dict[str, int] | None) -> int | None:
    return None if counts is None else counts.get(error_id, 0)


def _document(services: Services, error: KnownError, last_day: int | None) -> dict[str, Any]:
    return error_document(error, services.clock(), last_day)
