"""The addresses of the pages about errors. As `routes`: each asks, builds a view and renders it."""

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from onejob.state.errors import BadCursorError, NotFoundError
from onejob.web.caller import caller_of
from onejob.web.pages import downloads, error, error_filters, errors
from onejob.web.pages.data import PageData
from onejob.web.pages.routes import Data, show
from onejob.web.places import see_other

_ROWS = 50
_CSV = downloads.CSV

router = APIRouter(include_in_schema=False)


@router.get("/errors")
def listed(request: Request, data: Data) -> HTMLResponse:
    """*Errors*."""
    query = error_filters.parse(request.query_params)
    try:
        found = data.errors.page(query.wanted(), limit=_ROWS, cursor=query.cursor or None, order=query.order)
    except BadCursorError:
        return show(request, data, "message.html", title="This page of the list does not exist", back=query.link())
    view = errors.view(query, found, data.errors, data.now())
    choices = {"statuses": error_filters.STATUSES, "kinds": error_filters.KINDS, "levels": error_filters.LEVELS}
    return show(request, data, "errors.html", view=view, query=query.values, problems=query.problems, **choices)


@router.get("/errors.csv")
def as_csv(request: Request, data: Data) -> StreamingResponse:
    """The list as CSV, with the page's filters."""
    query = error_filters.parse(request.query_params)
    headers = {"content-disposition": 'attachment; filename="errors.csv"'}
    text = downloads.errors(data, query.wanted(), query.order)
    return StreamingResponse(text, media_type=_CSV, headers=headers)


@router.get("/errors/{error_id}")
def one(request: Request, data: Data, error_id: str) -> Response:
    """*Error*."""
    return _known(request, data, lambda: show(request, data, "error.html", view=_view(data, error_id)))


@router.post("/errors/{error_id}/resolve")
def resolve(request: Request, data: Data, error_id: str, in_next_version: bool = False) -> Response:
    """A button: it is gone, now or in the next version."""

    def said() -> Response:
        by = caller_of(request, data.audit)
        actor, when = by.actor(None, "web page"), "in the next version" if in_next_version else ""
        with by.doing("error.resolve", error_id, when, actor):
            data.errors.resolve(error_id, actor, in_next_version=in_next_version)
        return see_other(request, error_filters.error_link(error_id))

    return _known(request, data, said)


@router.post("/errors/{error_id}/reopen")
def reopen(request: Request, data: Data, error_id: str) -> Response:
    """A button: it is not gone."""

    def said() -> Response:
        by = caller_of(request, data.audit)
        actor = by.actor(None, "web page")
        with by.doing("error.reopen", error_id, actor=actor):
            data.errors.reopen(error_id, actor)
        return see_other(request, error_filters.error_link(error_id))

    return _known(request, data, said)


def _view(data: PageData, error_id: str) -> error.Page:
    return error.view(data.errors.detail(error_id), data.now())


def _known(request: Request, data: PageData, answer: Callable[[], Response]) -> Response:
    try:
        return answer()
    except NotFoundError:
        page = show(request, data, "message.html", title="There is no such error", back="/errors")
        page.status_code = 404
        return page
