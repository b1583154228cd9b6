"""The web application: pages, API and static files behind one guard."""

from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from onejob import __version__
from onejob.access.service import Access
from onejob.model.project import DEFAULT_PROJECT
from onejob.state.errors import StateError
from onejob.web.admission import Admission
from onejob.web.api import router as api_router
from onejob.web.api.description import DescribedApp
from onejob.web.head import HeadAsGet
from onejob.web.messages import message
from onejob.web.mishaps import Mishaps
from onejob.web.pages import (
    account,
    audit,
    customer_routes,
    error_routes,
    history,
    login,
    outcome_routes,
    routes,
    second_factor,
)
from onejob.web.pages.data import PageData
from onejob.web.pages.product import ProductData
from onejob.web.places import AtPublicUrl, path_in_app
from onejob.web.security import Guard, known_to
from onejob.web.services import Services
from onejob.web.timing import Answers, Timing

_STATIC = Path(__file__).parent / "static"
_TELEMETRY = ("/v1/traces", "/v1/metrics", "/v1/logs")


class Cached(StaticFiles):
    """Files whose address carries the version may be kept; the others are asked about again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        is_versioned = scope["query_string"].startswith(b"v=") or path.startswith("vendor/")
        response.headers["cache-control"] = "public, max-age=31536000" if is_versioned else "no-cache"
        return response


def create_app(services: Services) -> FastAPI:
    """The application over the running product."""
    is_known = known_to(services.settings)
    own_pages = (login.router, account.router, second_factor.router, audit.router, outcome_routes.router)
    data, access, answers = ProductData(services), services.access, services.answers
    app = build(data, api_router, *own_pages, is_known=is_known, access=access, answers=answers)
    app.state.services = services
    return app


def build(
    data: PageData,
    *routers: APIRouter,
    is_known: Callable[[str], bool] = lambda _: True,
    access: Access | None = None,
    answers: Answers | None = None,
) -> FastAPI:
    """The application over anything that knows what the pages need. Without `access` everybody is let in.

    `answers` are told how long each request took.
    """
    # The usual interactive documentation loads scripts from elsewhere; /openapi.json is what tools read.
    app = DescribedApp(title="onejob", version=__version__, docs_url=None, redoc_url=None)
    app.is_project = access is not None and access.project != DEFAULT_PROJECT
    app.state.page_data = data
    for router in (*routers, routes.router, error_routes.router, customer_routes.router, history.router):
        app.router.routes.extend(router.routes)  # `include_router` makes each route anew: a quarter of a second
    app.mount("/static", Cached(directory=_STATIC), name="static")
    app.add_exception_handler(404, _not_found)
    app.add_exception_handler(StateError, _no_state)
    app.add_middleware(HeadAsGet)
    if access is not None:
        app.add_middleware(Admission, access=access, page_data=data)
    app.add_middleware(Mishaps, data=data)
    public_url = access.public_url if access else None
    app.add_middleware(Guard, is_known=is_known, public_url=public_url)
    if answers is not None:
        app.add_middleware(Timing, answers=answers)
    app.add_middleware(AtPublicUrl, public_url=public_url)
    return app


async def _not_found(request: Request, error: Exception) -> Response:
    """A page for people, problem+json for programs."""
    detail = error.detail if isinstance(error, HTTPException) else "There is nothing at this address."
    if path_in_app(request.scope) in _TELEMETRY:
        detail = "This port has the pages and the API. Telemetry goes to the port for OTLP/HTTP, 4318 unless changed."
    return message(request, 404, "Not found", "There is nothing at this address." if detail == "Not Found" else detail)


async def _no_state(request: Request, error: Exception) -> Response:
    """The state database does not answer: nothing that is acknowledged is lost by that."""
    return message(request, 503, "The state database does not answer", f"{error} Try again in a moment.")
