"""The web application: pages, API and static files behind one guard."""

from pathlib import Path

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from onejob import __version__
from onejob.web.pages import routes
from onejob.web.pages.data import PageData
from onejob.web.pages.render import render
from onejob.web.security import Guard

_STATIC = Path(__file__).parent / "static"


class Cached(StaticFiles):
    """Files whose address carries the version may be kept; the others are asked about again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        is_versioned = scope["query_string"].startswith(b"v=") or path.startswith("vendor/")
        response.headers["cache-control"] = "public, max-age=31536000" if is_versioned else "no-cache"
        return response


def build(data: PageData, *routers: APIRouter) -> FastAPI:
    """The application over anything that knows what the pages need."""
    app = FastAPI(title="onejob", version=__version__, docs_url=None, redoc_url=None)
    app.state.page_data = data
    for router in (*routers, routes.router):
        app.include_router(router)
    app.mount("/static", Cached(directory=_STATIC), name="static")
    app.add_exception_handler(404, _not_found)
    app.add_middleware(Guard)
    return app


async def _not_found(request: Request, error: Exception) -> Response:
    """A page for people, problem+json for programs."""
    detail = error.detail if isinstance(error, (HTTPException, StarletteHTTPException)) else "Not found"
    if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        body = {"title": "Not found", "status": 404, "detail": detail}
        return JSONResponse(body, 404, media_type="application/problem+json")
    now = request.app.state.page_data.now()
    html = render("message.html", now=now, theme="", here=request.url.path, title=detail, back="/deployments")
    return HTMLResponse(html, 404)
