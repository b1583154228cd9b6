"""Replays of the past: backtests, and calibrations of services. Both take minutes: started, then asked about."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from onejob.changes.texts import read_name
from onejob.changes.times import read_moment
from onejob.history.errors import HistoryError
from onejob.history.jobs import Job
from onejob.history.places import check_served, places
from onejob.history.service import LOOK_BACK, History
from onejob.model.backtest import Backtest
from onejob.state.codec import to_plain
from onejob.state.errors import NotFoundError
from onejob.web.api.answers import answer
from onejob.web.api.parameters import Text
from onejob.web.api.problems import ProblemRoute, Responses
from onejob.web.api.requests import BacktestBody, CalibrationBody
from onejob.web.api.schemas import BacktestDocument, CalibrationsDocument, JobDocument, Problem
from onejob.web.asked import By, Uses
from onejob.web.places import at
from onejob.web.services import Services

router = APIRouter(prefix="/api/v1", tags=["history"], route_class=ProblemRoute, responses={422: {"model": Problem}})
_UNKNOWN: Responses = {404: {"model": Problem, "description": "Nothing has this id."}}
_BUSY: Responses = {409: {"model": Problem, "description": "Another replay is at work."}}


@router.post("/backtests", status_code=202, responses={202: {"model": JobDocument}, **_BUSY})
def start_backtest(request: Request, body: BacktestBody, services: Uses, by: By) -> Response:
    """Judge every deployment of a time again, as it would have been judged live."""
    now = services.clock()
    since = read_moment(body.since, "since", now).at if body.since is not None else now - timedelta(days=30)
    until = read_moment(body.until, "until", now).at if body.until is not None else None
    names = tuple(read_name(name, "services") for name in body.services)
    with by.doing("backtest.start", ", ".join(names) or "all services"):
        job = _history(services).start_backtest(since, until, names)
    return answer(job_document(job), 202, headers={"location": at(request, f"/api/v1/backtests/{job.id}")})


@router.get("/backtests/{backtest_id}", responses={200: {"model": BacktestDocument}, **_UNKNOWN})
def backtest(backtest_id: str, services: Uses) -> Response:
    """A report, or how far it is; `latest` is the newest report."""
    found = services.backtests.latest() if backtest_id == "latest" else _stored(services, backtest_id)
    job = services.history.jobs.get(backtest_id) if services.history else None
    if found is None and job is None:
        raise NotFoundError(f"There is no backtest {backtest_id!r}: start one with POST /api/v1/backtests.")
    report = None if found is None else to_plain(found, non_finite=lambda _: None)
    return answer({"job": job_document(job) if job else None, "report": report})


@router.post("/calibrations", status_code=202, responses={202: {"model": JobDocument}, **_UNKNOWN, **_BUSY})
def start_calibration(body: CalibrationBody, services: Uses, by: By) -> Response:
    """Measure how many false alarms a service would have had, on its own last 30 days."""
    service = read_name(body.service, "service")
    default, now = services.settings.default_environment, services.clock()
    environment = read_name(body.environment, "environment") if body.environment else default
    history = _history(services)
    if services.engine is not None:
        check_served(service, environment, places(services.engine, default, now - LOOK_BACK, now))
    with by.doing("calibration.start", f"{service} in {environment}"):
        job = history.start_calibration(service, environment)
    return answer(job_document(job), 202)


@router.get("/calibrations", responses={200: {"model": CalibrationsDocument}})
def calibrations(services: Uses, service: Text = None, environment: Text = None) -> Response:
    """What was measured of each service, and the replay that is at work, if one is."""
    found = [
        to_plain(one, non_finite=lambda _: None)
        for one in services.calibrations.all()
        if service in (None, one.service) and environment in (None, one.environment)
    ]
    running = services.history.jobs.running() if services.history else None
    return answer({"items": found, "running": job_document(running) if running else None})


@router.get("/replays/{job_id}", responses={200: {"model": JobDocument}, **_UNKNOWN})
def replay(job_id: str, services: Uses) -> Response:
    """How far a backtest or a calibration is."""
    job = services.history.jobs.get(job_id) if services.history else None
    if job is None:
        raise NotFoundError(f"There is no replay {job_id!r} since this server was started.")
    return answer(job_document(job))


def job_document(job: Job) -> Any:
    """The job as the API tells it."""
    return to_plain(job)


def _stored(services: Services, backtest_id: str) -> Backtest | None:
    return services.backtests.get(backtest_id) if backtest_id.isprintable() else None


def _history(services: Services) -> History:
    if services.history is None:
        raise HistoryError("This server replays no history: ask one that judges (`onejob serve`).")
    return services.history
