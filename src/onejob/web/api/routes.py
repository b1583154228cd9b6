"""All routes of the API in one router, and an honest answer for addresses under it that do not exist."""

from fastapi import APIRouter, Request, Response
from starlette.routing import Match

from onejob.web.api import (
    audit,
    backup,
    complaints,
    customers,
    dead_letters,
    deployments,
    doctor,
    errors,
    forgetting,
    gate,
    history,
    imports,
    metrics,
    outcomes,
    projects,
    rollouts,
    sessions,
    status,
    tokens,
    users,
)
from onejob.web.api.problems import ProblemRoute, problem

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_PARTS = (
    deployments.router,
    rollouts.router,
    gate.router,
    history.router,
    imports.router,
    status.router,
    dead_letters.router,
    errors.router,
    sessions.router,
    outcomes.router,
    customers.router,
    complaints.router,
    complaints.hooks,
    forgetting.router,
    doctor.router,
    backup.router,
    metrics.router,
    users.router,
    projects.router,
    tokens.router,
    audit.router,
)

router = APIRouter()
for part in _PARTS:
    router.include_router(part)

_elsewhere = APIRouter(route_class=ProblemRoute)


@_elsewhere.api_route("/api/{rest:path}", methods=_METHODS, include_in_schema=False)
def nothing_here(rest: str, request: Request) -> Response:
    """404 for an unknown address, 405 for a known one with another method."""
    allowed = ", ".join(sorted(_methods_at(request)))
    if allowed:
        return problem(405, "Method not allowed", f"This address answers {allowed}.", headers={"allow": allowed})
    return problem(404, "Not found", f"There is nothing at /api/{rest}: /openapi.json lists what there is.")


def _methods_at(request: Request) -> set[str]:
    found = (route for part in _PARTS for route in part.routes if route.matches(request.scope)[0] is not Match.NONE)
    methods = {method for route in found for method in getattr(route, "methods", ())}
    return methods | ({"HEAD"} if "GET" in methods else set())  # see web/head.py


router.include_router(_elsewhere)
