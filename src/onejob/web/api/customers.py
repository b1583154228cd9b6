"""Customers: whom a deployment affected, each beside their own past; and how one was served over time."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from onejob.changes.texts import read_name
from onejob.model.customer import ComparedCustomers, CustomerHistory
from onejob.state.codec import to_plain
from onejob.web.api.answers import answer
from onejob.web.api.deployments import UNKNOWN, record_of
from onejob.web.api.problems import ProblemRoute, Responses, problem
from onejob.web.api.schemas import Problem
from onejob.web.asked import By, Uses

router = APIRouter(prefix="/api/v1", tags=["customers"], route_class=ProblemRoute, responses={422: {"model": Problem}})
_AWAY: Responses = {503: {"model": Problem, "description": "The telemetry store does not answer."}}


@router.get("/deployments/{deployment_id}/customers", responses={200: {"model": ComparedCustomers}, **UNKNOWN, **_AWAY})
def of_deployment(
    deployment_id: str,
    services: Uses,
    by: By,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many of them.")] = 50,
) -> Response:
    """Customers that the deployment's version served, each beside their own past, most affected first.

    Their intervals hold for all of them together. They are no part of the verdict.
    """
    deployment = record_of(services, by, deployment_id).deployment
    found = services.customers.of_deployment(deployment)
    if found is None:
        return _no_telemetry()
    return answer(to_plain(replace(found, items=found.items[:limit])))


@router.get("/customers", responses={200: {"model": CustomerHistory}, **_AWAY})
def one(
    services: Uses,
    customer: Annotated[str, Query(min_length=1, max_length=200, description="As its telemetry names it.")],
    days: Annotated[int, Query(ge=1, le=400, description="How far back.")] = 30,
) -> Response:
    """How one customer was served over time, by which versions of which services."""
    found = services.customers.history(read_name(customer, "customer"), timedelta(days=days))
    return _no_telemetry() if found is None else answer(to_plain(found))


def _no_telemetry() -> Response:
    return problem(503, "No telemetry is kept here", "Ask the server that telemetry is sent to.")
