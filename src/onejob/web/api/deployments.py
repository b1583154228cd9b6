"""Deployments: report them, follow them, list them, and ask for their verdict."""

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from onejob.changes.errors import UnknownDeploymentError
from onejob.state.deployments import DeploymentRecord
from onejob.state.errors import ConflictError
from onejob.web.api.answers import answer
from onejob.web.api.documents import change_document, record_document, verdict_document
from onejob.web.api.parameters import Chosen
from onejob.web.api.problems import ProblemRoute, Responses
from onejob.web.api.requests import ProgressBody, StartBody
from onejob.web.api.schemas import (
    DeploymentDocument,
    DeploymentsDocument,
    HistoryDocument,
    Problem,
    RecomputedDocument,
)
from onejob.web.asked import By, Uses
from onejob.web.caller import Caller
from onejob.web.places import at
from onejob.web.recomputing import recomputed
from onejob.web.services import Services

router = APIRouter(
    prefix="/api/v1/deployments", tags=["deployments"], route_class=ProblemRoute, responses={422: {"model": Problem}}
)
UNKNOWN: Responses = {404: {"model": Problem, "description": "No deployment has this id."}}


@router.post(
    "",
    status_code=201,
    responses={
        201: {"model": DeploymentDocument, "description": "It is recorded."},
        200: {"model": DeploymentDocument, "description": "It was known already: the same start twice is one."},
        400: {"model": Problem},
    },
)
def report(request: Request, body: StartBody, services: Uses, by: By) -> Response:
    """Report that a version starts to be deployed. Reporting the same start again changes nothing but what is added."""
    by.check(body.service)
    actor = by.actor(body.actor, "")
    told = replace(body.report(), actor=actor or None)
    with by.doing("deployment.report", f"{body.service} {body.version}", actor=actor or None):
        reported = services.reports.report(told, services.clock())
    document = record_document(record_of(services, by, reported.deployment.id), services.clock())
    location = {"location": at(request, f"/api/v1/deployments/{reported.deployment.id}")}
    return answer(document, 201 if reported.is_new else 200, headers=location)


@router.get("", responses={200: {"model": DeploymentsDocument}})
def page(
    services: Uses,
    chosen: Chosen,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=300, description="`next_cursor` of the page before.")] = None,
    view: Annotated[
        Literal["full", "summary"],
        Query(description="`summary` leaves out the explanation and all but the three worst signals: much faster."),
    ] = "full",
) -> Response:
    """Deployments, newest first."""
    found = services.deployments.page(chosen, limit, cursor, whole=view == "full")
    items = [record_document(record, services.clock()) for record in found.items]
    return answer({"items": items, "next_cursor": found.next_cursor})


@router.get("/{deployment_id}", responses={200: {"model": DeploymentDocument}, **UNKNOWN})
def one(deployment_id: str, services: Uses, by: By) -> Response:
    """A deployment with its rollout, its verdict and the explanation."""
    return answer(record_document(record_of(services, by, deployment_id), services.clock()))


@router.patch("/{deployment_id}", responses={200: {"model": DeploymentDocument}, **UNKNOWN, 409: {"model": Problem}})
def progress(deployment_id: str, body: ProgressBody, services: Uses, by: By) -> Response:
    """Report how a deployment goes on: its traffic share, its status, its end."""
    record_of(services, by, deployment_id)
    told = replace(body.progress(), actor=by.actor(body.actor, "") if body.actor else None)
    with by.doing("deployment.progress", deployment_id, str(body.status or ""), actor=by.actor(body.actor, "") or None):
        services.reports.progress(deployment_id, told, services.clock())
    return answer(record_document(record_of(services, by, deployment_id), services.clock()))


@router.get("/{deployment_id}/verdicts", responses={200: {"model": HistoryDocument}, **UNKNOWN})
def history(deployment_id: str, services: Uses, by: By) -> Response:
    """Everything its verdict ever said, oldest first."""
    record_of(services, by, deployment_id)
    return answer({"items": [change_document(change) for change in services.verdicts.history(deployment_id)]})


@router.post(
    "/{deployment_id}/recompute",
    responses={200: {"model": RecomputedDocument}, **UNKNOWN, 409: {"model": Problem}},
)
def recompute(deployment_id: str, services: Uses, by: By) -> Response:
    """Compute the verdict again from its stored counts, and say whether it is the same."""
    record_of(services, by, deployment_id)
    again = recomputed(services, deployment_id)
    if again is None:
        raise ConflictError("This deployment has no verdict yet: there is nothing to recompute. Try again later.")
    document = verdict_document(again.record, again.verdict)
    return answer({"same": again.is_same, "verdict": document})


def record_of(services: Services, by: Caller, deployment_id: str) -> DeploymentRecord:
    """UnknownDeploymentError if there is none, ForbiddenError if it is none of the caller's."""
    record = services.deployments.record(_known_id(deployment_id))
    if record is None:
        raise unknown(deployment_id)
    by.check(record.deployment.service)
    return record


def _known_id(deployment_id: str) -> str:
    if not deployment_id.isprintable():  # a NUL would be PostgreSQL's error, not ours
        raise unknown(repr(deployment_id))
    return deployment_id


def unknown(deployment_id: str) -> UnknownDeploymentError:
    """A 404 that says where ids come from."""
    return UnknownDeploymentError(
        f"There is no deployment {deployment_id}. Report one with POST /api/v1/deployments, or find its id with "
        "GET /api/v1/deployments?service=NAME."
    )
