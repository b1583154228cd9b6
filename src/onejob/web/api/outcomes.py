"""KPIs and tolerances: those of the configuration are listed, those that people named are changed here too.

A change holds for deployments to come. One that is judged already keeps what it began with.
"""

from typing import Any

from fastapi import APIRouter, Response

from onejob.changes.texts import read_name, read_text
from onejob.config import Settings
from onejob.model.kpi import Kpi
from onejob.outcomes import warnings
from onejob.outcomes.book import ListedKpi, ListedTolerance, made_kpi, made_tolerance, said_of
from onejob.outcomes.errors import ContradictionError
from onejob.outcomes.preview import preview
from onejob.state.codec import to_plain
from onejob.store.errors import EngineUnavailable
from onejob.web.api.answers import answer
from onejob.web.api.outcome_bodies import KpiBody, PreviewBody, ToleranceBody
from onejob.web.api.problems import ProblemRoute, Responses
from onejob.web.api.schemas import (
    KpiDocument,
    KpisDocument,
    PreviewDocument,
    Problem,
    ToleranceDocument,
    TolerancesDocument,
)
from onejob.web.asked import By, Uses

router = APIRouter(prefix="/api/v1", tags=["KPIs"], route_class=ProblemRoute, responses={422: {"model": Problem}})
_UNKNOWN: Responses = {404: {"model": Problem, "description": "There is none of this name or id."}}
_TAKEN: Responses = {409: {"model": Problem, "description": "The name is taken, or it is set in the configuration."}}


@router.get("/kpis", responses={200: {"model": KpisDocument}})
def kpis(services: Uses) -> Response:
    """All KPIs, those of the configuration first. One that `is_hidden` gives way to one of the configuration."""
    return answer({"items": [kpi_document(one, services.settings) for one in services.outcomes.kpis()]})


@router.post("/kpis", status_code=201, responses={201: {"model": KpiDocument}, **_TAKEN})
def add_kpi(body: KpiBody, services: Uses, by: By) -> Response:
    """Name one: deployments that begin from now on are judged by it."""
    kpi = _kpi(body, body.name)
    with by.doing("kpi.create", kpi.name, said_of(kpi)):
        made = services.outcomes.add_kpi(kpi, by.principal.name)
    return answer(kpi_document(made, services.settings), 201)


@router.post("/kpis/preview", responses={200: {"model": PreviewDocument}, **_UNKNOWN, 503: {"model": Problem}})
def preview_kpi(body: PreviewBody, services: Uses) -> Response:
    """What recent telemetry says of a KPI that is not stored: is it seen, at which level, what does its tolerance take?

    Of the `service` if that is one, else of the busiest that it is for.
    """
    if services.engine is None:
        raise EngineUnavailable("No telemetry store is open in this process: ask a server that has one.")
    environment = read_name(body.environment, "environment") if body.environment else None
    seen = preview(services.engine, services.settings, _kpi(body, body.name), services.clock(), environment=environment)
    return answer(to_plain(seen, non_finite=lambda _: None))


@router.get("/kpis/{name}", responses={200: {"model": KpiDocument}, **_UNKNOWN})
def kpi(name: str, services: Uses) -> Response:
    """The one that holds under this name."""
    return answer(kpi_document(services.outcomes.kpi(name), services.settings))


@router.put("/kpis/{name}", responses={200: {"model": KpiDocument}, **_UNKNOWN, **_TAKEN})
def change_kpi(name: str, body: KpiBody, services: Uses, by: By) -> Response:
    """Another one in its place, under the same name: verdicts call it so."""
    kpi = _kpi(body, body.name)
    if kpi.name != name:
        raise ContradictionError("A KPI keeps its name: delete it, and name another.")
    services.outcomes.kpi(name)
    with by.doing("kpi.change", name, said_of(kpi)):
        changed = services.outcomes.change_kpi(kpi, by.principal.name)
    return answer(kpi_document(changed, services.settings))


@router.delete("/kpis/{name}", responses={200: {"model": KpiDocument}, **_UNKNOWN, **_TAKEN})
def remove_kpi(name: str, services: Uses, by: By) -> Response:
    """It is judged no more in deployments to come. The answer is what it was."""
    known = services.outcomes.kpi(name)
    with by.doing("kpi.delete", name, said_of(known.kpi)):
        services.outcomes.remove_kpi(name)
    return answer(kpi_document(known, services.settings))


@router.get("/tolerances", responses={200: {"model": TolerancesDocument}})
def tolerances(services: Uses) -> Response:
    """All tolerances, in the order in which they hold: of those that fit a service, signal and operation, the first."""
    return answer({"items": [tolerance_document(one) for one in services.outcomes.tolerances()]})


@router.post("/tolerances", status_code=201, responses={201: {"model": ToleranceDocument}, **_TAKEN})
def add_tolerance(body: ToleranceBody, services: Uses, by: By) -> Response:
    """One that comes before all others."""
    tolerance = made_tolerance(_texts(body.model_dump()))
    with by.doing("tolerance.create", tolerance.signal, said_of(tolerance)):
        made = services.outcomes.add_tolerance(tolerance, by.principal.name)
    return answer(tolerance_document(made), 201)


@router.put("/tolerances/{tolerance_id}", responses={200: {"model": ToleranceDocument}, **_UNKNOWN})
def change_tolerance(tolerance_id: str, body: ToleranceBody, services: Uses, by: By) -> Response:
    """Another one in its place."""
    tolerance = made_tolerance(_texts(body.model_dump()))
    services.outcomes.tolerance(tolerance_id)
    with by.doing("tolerance.change", tolerance_id, said_of(tolerance)):
        changed = services.outcomes.change_tolerance(tolerance_id, tolerance, by.principal.name)
    return answer(tolerance_document(changed))


@router.delete("/tolerances/{tolerance_id}", responses={200: {"model": ToleranceDocument}, **_UNKNOWN})
def remove_tolerance(tolerance_id: str, services: Uses, by: By) -> Response:
    """It holds no more for deployments to come. The answer is what it was."""
    known = services.outcomes.tolerance(tolerance_id)
    with by.doing("tolerance.delete", tolerance_id, said_of(known.tolerance)):
        services.outcomes.remove_tolerance(tolerance_id)
    return answer(tolerance_document(known))


def kpi_document(one: ListedKpi, settings: Settings) -> dict[str, Any]:
    """As the API tells it: the fields of the KPI, where it is from, and what is wrong with it."""
    told: Any = to_plain(one)
    return {**told.pop("kpi"), **told, "warnings": list(warnings.of(one.kpi, settings))}


def tolerance_document(one: ListedTolerance) -> dict[str, Any]:
    """As the API tells it."""
    told: Any = to_plain(one)
    return {**told.pop("tolerance"), **told}


def _kpi(body: KpiBody, name: str) -> Kpi:
    return made_kpi(_texts({**body.values(), "name": name}))


def _texts(values: dict[str, Any]) -> dict[str, Any]:
    """With texts that can be stored everywhere."""
    return {key: read_text(value, key) if type(value) is str else value for key, value in values.items()}
