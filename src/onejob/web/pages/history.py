"""The addresses of the page about the past. As `routes`: each asks, builds a view and renders it."""

from datetime import timedelta

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from onejob.history.errors import HistoryError
from onejob.web.caller import caller_of
from onejob.web.pages import backtest
from onejob.web.pages.data import CommandRefused
from onejob.web.pages.forms import form_of
from onejob.web.pages.routes import Data, show
from onejob.web.places import see_other

router = APIRouter(include_in_schema=False)


@router.get("/backtest")
def newest(request: Request, data: Data) -> HTMLResponse:
    """*Backtest*: the newest report, and how far the one at work is."""
    view = backtest.view(data.backtest(), data.replaying())
    return show(request, data, "backtest.html", view=view, ranges_of_backtest=backtest.RANGES)


@router.post("/backtest")
async def start(request: Request, data: Data) -> Response:
    """Start one."""
    days = (await form_of(request)).get("days", "30")
    if days not in backtest.RANGES:
        raise HTTPException(422, "Choose one of the times on the page.")
    try:
        with caller_of(request, data.audit).doing("backtest.start", "backtest", f"{days} days"):
            data.start_backtest(timedelta(days=int(days)))
    except (HistoryError, CommandRefused) as error:
        refused = show(request, data, "message.html", title=str(error), back="/backtest")
        refused.status_code = 409
        return refused
    return see_other(request, "/backtest")


@router.get("/backtest/{backtest_id}.html")
def file(data: Data, backtest_id: str) -> HTMLResponse:
    """A report as one file that needs no server."""
    report = data.backtest(backtest_id)
    if report is None:
        raise HTTPException(404, "There is no such backtest.")
    headers = {"content-disposition": f'attachment; filename="{report.id}.html"'}
    return HTMLResponse(backtest.standalone(report, data.now()), headers=headers)
