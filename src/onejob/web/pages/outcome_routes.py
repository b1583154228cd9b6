"""The addresses of the pages about KPIs and tolerances."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from onejob.model.access import Role
from onejob.model.kpi import Kpi
from onejob.outcomes.book import Origin, said_of
from onejob.outcomes.errors import OutcomeError
from onejob.outcomes.preview import preview
from onejob.state.errors import ConflictError, NotFoundError
from onejob.store.errors import StoreError
from onejob.web.asked import By, Uses
from onejob.web.caller import Caller
from onejob.web.pages import outcomes
from onejob.web.pages.forms import form_of
from onejob.web.pages.routes import Data, show
from onejob.web.places import see_other
from onejob.web.services import Services

router = APIRouter(include_in_schema=False)
_LIST = "/settings/kpis"
_CHOICES = {
    "kinds": outcomes.KINDS,
    "directions": outcomes.DIRECTIONS,
    "sources": outcomes.SOURCES,
    "signals": outcomes.SIGNALS,
}


@router.get("/settings/kpis")
def listed(request: Request, data: Data, services: Uses, by: By) -> Response:
    """*KPIs and tolerances*."""
    return _list(request, data, services, by)


@router.post("/settings/kpis")
async def add(request: Request, data: Data, services: Uses, by: By) -> Response:
    """Name a KPI."""
    form = await form_of(request)

    def attempt() -> Response:
        kpi = outcomes.kpi_of_form(form)
        with by.doing("kpi.create", kpi.name, said_of(kpi)):
            services.outcomes.add_kpi(kpi, by.principal.name)
        return see_other(request, outcomes.kpi_link(kpi.name))

    def again(error: str) -> Response:
        return _list(request, data, services, by, form=form, error=error)

    return await run_in_threadpool(_or_say, attempt, again)


@router.get("/settings/kpi-preview")
def looked(request: Request) -> Response:
    """Whoever comes back to what a form was answered with, such as after switching to dark."""
    return see_other(request, _LIST)


@router.post("/settings/kpi-preview")
async def look(request: Request, data: Data, services: Uses, by: By) -> Response:
    """What telemetry says of the KPI that the form says, before it is stored."""
    form = await form_of(request)

    def attempt() -> Response:
        seen = _seen(services, outcomes.kpi_of_form({"name": "preview", **_named(form)}))
        return _list(request, data, services, by, form=form, seen=seen)

    def again(error: str) -> Response:
        return _list(request, data, services, by, form=form, error=error)

    return await run_in_threadpool(_or_say, attempt, again)


@router.get("/settings/kpis/{name}")
def one(request: Request, data: Data, services: Uses, by: By, name: str) -> Response:
    """One KPI, and what recent telemetry says of it."""
    return _kpi_page(request, data, services, by, name)


@router.post("/settings/kpis/{name}")
async def change(request: Request, data: Data, services: Uses, by: By, name: str) -> Response:
    """Another one in its place."""
    form = await form_of(request)

    def attempt() -> Response:
        kpi = outcomes.kpi_of_form({**form, "name": name})
        with by.doing("kpi.change", kpi.name, said_of(kpi)):
            services.outcomes.change_kpi(kpi, by.principal.name)
        return see_other(request, outcomes.kpi_link(kpi.name))

    def again(error: str) -> Response:
        return _kpi_page(request, data, services, by, name, form=form, error=error)

    return await run_in_threadpool(_or_say, attempt, again)


@router.post("/settings/kpis/{name}/delete")
def remove(request: Request, data: Data, services: Uses, by: By, name: str) -> Response:
    """It is judged no more in deployments to come."""

    def attempt() -> Response:
        known = services.outcomes.kpi(name)
        with by.doing("kpi.delete", name, said_of(known.kpi)):
            services.outcomes.remove_kpi(name)
        return see_other(request, _LIST)

    return _or_say(attempt, lambda error: _kpi_page(request, data, services, by, name, error=error))


@router.post("/settings/tolerances")
async def add_tolerance(request: Request, data: Data, services: Uses, by: By) -> Response:
    """Name a tolerance."""
    form = await form_of(request)

    def attempt() -> Response:
        told = outcomes.tolerance_of_form(form)
        with by.doing("tolerance.create", told.signal, said_of(told)):
            services.outcomes.add_tolerance(told, by.principal.name)
        return see_other(request, f"{_LIST}#tolerances")

    def again(error: str) -> Response:
        return _list(request, data, services, by, tolerance=form, error=error)

    return await run_in_threadpool(_or_say, attempt, again)


@router.get("/settings/tolerances/{tolerance_id}")
def one_tolerance(request: Request, data: Data, services: Uses, by: By, tolerance_id: str) -> Response:
    """One tolerance."""
    return _tolerance_page(request, data, services, by, tolerance_id)


@router.post("/settings/tolerances/{tolerance_id}")
async def change_tolerance(request: Request, data: Data, services: Uses, by: By, tolerance_id: str) -> Response:
    """Another one in its place."""
    form = await form_of(request)

    def attempt() -> Response:
        told = outcomes.tolerance_of_form(form)
        services.outcomes.tolerance(tolerance_id)
        with by.doing("tolerance.change", tolerance_id, said_of(told)):
            services.outcomes.change_tolerance(tolerance_id, told, by.principal.name)
        return see_other(request, f"{_LIST}#tolerances")

    def again(error: str) -> Response:
        return _tolerance_page(request, data, services, by, tolerance_id, form=form, error=error)

    return await run_in_threadpool(_or_say, attempt, again)


@router.post("/settings/tolerances/{tolerance_id}/delete")
def remove_tolerance(request: Request, data: Data, services: Uses, by: By, tolerance_id: str) -> Response:
    """It holds no more for deployments to come."""

    def attempt() -> Response:
        known = services.outcomes.tolerance(tolerance_id)
        with by.doing("tolerance.delete", tolerance_id, said_of(known.tolerance)):
            services.outcomes.remove_tolerance(tolerance_id)
        return see_other(request, f"{_LIST}#tolerances")

    return _or_say(attempt, lambda error: _tolerance_page(request, data, services, by, tolerance_id, error=error))


def _or_say(attempt: Callable[[], Response], again: Callable[[str], Response]) -> Response:
    """The page again, with what is wrong above the form as it was filled in."""
    try:
        return attempt()
    except (OutcomeError, ConflictError, NotFoundError) as error:
        response = again(str(error))
        if response.status_code == 200:
            response.status_code = 409 if isinstance(error, ConflictError) else 422
        return response


def _named(form: Mapping[str, str]) -> dict[str, str]:
    """What is filled in; a name may come later."""
    return {key: value for key, value in form.items() if key != "name" or value.strip()}


def _seen(services: Services, kpi: Kpi) -> list[str]:
    if services.engine is None:
        return ["No telemetry store is open in this process."]
    try:
        seen = preview(services.engine, services.settings, kpi, services.clock())
    except (OutcomeError, StoreError) as error:
        return [str(error)]
    return outcomes.said_of_preview(seen, kpi)


def _list(
    request: Request,
    data: Data,
    services: Services,
    by: Caller,
    *,
    form: Mapping[str, str] | None = None,
    tolerance: Mapping[str, str] | None = None,
    seen: list[str] | None = None,
    error: str = "",
) -> Response:
    return show(
        request,
        data,
        "kpis.html",
        kpis=[outcomes.kpi_row(one) for one in services.outcomes.kpis()],
        tolerances=[outcomes.tolerance_row(one) for one in services.outcomes.tolerances()],
        form={**outcomes.EMPTY_KPI, **(form or {})},
        tolerance={**outcomes.EMPTY_TOLERANCE, **(tolerance or {})},
        seen=seen or [],
        error=error,
        is_open=form is not None,
        may_change=by.principal.role.covers(Role.OPERATOR),
        **_CHOICES,
    )


def _kpi_page(
    request: Request,
    data: Data,
    services: Services,
    by: Caller,
    name: str,
    *,
    form: Mapping[str, str] | None = None,
    error: str = "",
) -> Response:
    try:
        known = services.outcomes.kpi(name)
    except NotFoundError:
        return _nothing(request, data, "There is no such KPI")
    checked = {} if form is None else dict.fromkeys(("guardrail", "per_instance"), "")
    return show(
        request,
        data,
        "kpi.html",
        row=outcomes.kpi_row(known),
        kpi=known.kpi,
        form={**outcomes.form_of_kpi(known.kpi), **checked, **(form or {}), "name": known.kpi.name},
        seen=_seen(services, known.kpi),
        error=error,
        may_change=by.principal.role.covers(Role.OPERATOR) and known.origin is Origin.PAGE,
        **_CHOICES,
    )


def _tolerance_page(
    request: Request,
    data: Data,
    services: Services,
    by: Caller,
    tolerance_id: str,
    *,
    form: Mapping[str, str] | None = None,
    error: str = "",
) -> Response:
    try:
        known = services.outcomes.tolerance(tolerance_id)
    except NotFoundError:
        return _nothing(request, data, "There is no such tolerance")
    return show(
        request,
        data,
        "tolerance.html",
        row=outcomes.tolerance_row(known),
        tolerance={**outcomes.form_of_tolerance(known.tolerance), **(form or {})},
        error=error,
        may_change=by.principal.role.covers(Role.OPERATOR),
        **_CHOICES,
    )


def _nothing(request: Request, data: Data, title: str) -> Response:
    page = show(request, data, "message.html", title=title, back=_LIST)
    page.status_code = 404
    return page
