"""How many sessions of users did not crash, per version of a service."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from onejob.changes.texts import read_name
from onejob.state.codec import iso
from onejob.store.errors import EngineUnavailable
from onejob.store.sessions import crash_free, read_sessions
from onejob.web.api.answers import answer
from onejob.web.api.parameters import Text
from onejob.web.api.problems import ProblemRoute
from onejob.web.api.schemas import Problem, SessionsDocument
from onejob.web.asked import By, Uses

_WAIT_S = 10.0

router = APIRouter(
    prefix="/api/v1/sessions",
    tags=["sessions"],
    route_class=ProblemRoute,
    responses={422: {"model": Problem}, 503: {"model": Problem}},
)


@router.get("", responses={200: {"model": SessionsDocument}})
def sessions(
    services: Uses,
    by: By,
    service: Annotated[str, Query(max_length=200)],
    environment: Text = None,
    hours: Annotated[int, Query(ge=1, le=9_600, description="How far back to count; a week unless said.")] = 168,
) -> Response:
    """Sessions that Sentry's SDKs reported, per version: how many, and the share that did not crash."""
    name, default = read_name(service, "service"), services.settings.default_environment
    by.check(name)
    place = read_name(environment, "environment") if environment else default
    until = services.clock()
    since = until - timedelta(hours=hours)
    if services.engine is None:
        raise EngineUnavailable("No engine runs in this process: ask the server that telemetry is sent to.")
    found = read_sessions(
        services.engine,
        service=name,
        environment=place,
        default_environment=default,
        since=int(since.timestamp()),
        until=int(until.timestamp()) + 1,
        timeout_s=_WAIT_S,
    )
    items = [asdict(one) | {"crash_free": asdict(crash_free(one))} for one in found]
    return answer({"items": items, "since": iso(since), "until": iso(until)})
