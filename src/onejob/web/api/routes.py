"""All routes of the API in one router, and an honest answer for addresses under it that do not exist."""

from fastapi import APIRouter, Request, Response
from starlette.routing import Match

from onejob.web.api import deployments, gate, rollouts, status
from onejob.web.api.problems import ProblemRoute, problem

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

router = APIRouter()
for part in (deployments, rollouts, gate, status):
    router.include_router(part.router)

_elsewhere = APIRouter(route_class=ProblemRoute)


@_elsewhere.api_route("/api/{rest:path}", methods=_METHODS, include_in_schema=False)
def nothing_here(rest: str, request: Request) -> Response:
    """404 for an unknown address, 405 for a known one with another method."""
    allowed = sorted(
        {
            method
            for route in router.routes
            if route.matches(request.scope)[0] is Match.PARTIAL
            for method in getattr(route, "methods", ())
        }
    )
    if allowed:
        detail = f"This address answers {', '.join(allowed)}."
        return problem(405, "Method not allowed", detail, headers={"allow": ", ".join(allowed)})
    return problem(404, "Not found", f"There is nothing at /api/{rest}: /openapi.json lists what there is.")


router.include_router(_elsewhere)
