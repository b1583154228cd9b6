"""The addresses of the pages about customers. As `routes`: each asks, builds a view and renders it."""

from datetime import timedelta

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from onejob.web.pages import complaints, customers, downloads
from onejob.web.pages.routes import Data, show

_LONGEST_NAME = 200
_USUAL_DAYS = 30

router = APIRouter(include_in_schema=False)


@router.get("/customers")
def one(request: Request, data: Data) -> HTMLResponse:
    """*Customer*, or the form that asks for which one."""
    name = request.query_params.get("customer", "")[:_LONGEST_NAME]
    if not name.strip():
        return show(request, data, "customers.html", complaints=complaints.lately(data))
    asked = request.query_params.get("days", "")
    days = int(asked) if asked in map(str, customers.DAYS) else _USUAL_DAYS
    view = customers.view(name, days, data.customer(name, timedelta(days=days)), data.now())
    return show(request, data, "customer.html", view=view, complaints=complaints.of_customer(name, data))


@router.get("/deployments/{deployment_id}/customers.csv")
def as_csv(data: Data, deployment_id: str) -> Response:
    """Every customer that was compared, as CSV."""
    record = data.record(deployment_id)
    if record is None:
        raise HTTPException(404, "There is no such deployment.")
    text = downloads.customers(data.customers_of(record.deployment))
    headers = {"content-disposition": 'attachment; filename="customers.csv"'}
    return Response(text, media_type=downloads.CSV, headers=headers)
