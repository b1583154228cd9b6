"""One sentence as an answer: a page for people, problem+json for programs."""

from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from onejob.web.pages.data import PageData
from onejob.web.pages.frame import framed


def message(
    request: Request,
    status: int,
    title: str,
    detail: str,
    *,
    data: PageData | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """`data` is the application's, unless said."""
    if not wants_page(request):
        problem = {"title": title, "status": status, "detail": detail}
        return JSONResponse(problem, status, headers, media_type="application/problem+json")
    now = (data or request.app.state.page_data).now()
    return HTMLResponse(framed(request, "message.html", now, title=detail, back="/deployments"), status, headers)


def wants_page(request: Request) -> bool:
    """Whether a person asks."""
    return "text/html" in request.headers.get("accept", "")
