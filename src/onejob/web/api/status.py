"""What this server is doing; and the two probes of an orchestrator."""

from dataclasses import asdict, is_dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from onejob.model.access import Role
from onejob.state.codec import to_plain
from onejob.state.errors import StateError
from onejob.store.engine import Engine
from onejob.store.errors import StoreError
from onejob.store.rollup import Totals, totals
from onejob.web.api.answers import answer
from onejob.web.api.problems import ProblemRoute, problem
from onejob.web.api.schemas import Problem, StatusDocument
from onejob.web.asked import By, Uses
from onejob.web.services import IntakeControl, Services

_WAIT_S = 1.0  # asked twice; whoever asks wants to hear soon that something is wrong

router = APIRouter(tags=["server"], route_class=ProblemRoute)


@router.get("/api/v1/status", responses={200: {"model": StatusDocument}, 503: {"model": Problem}})
def status(request: Request, services: Uses, by: By) -> Response:
    """Version, what is stored, what is on its way, and whether the engine and the state database answer.

    `projects` are the others, for admins of the server.
    """
    settings = services.settings
    trouble = _trouble(services.engine)
    found = _totals(services.engine) if not trouble else None
    return answer(
        {
            "version": services.version,
            "engine": {
                "kind": "clickhouse" if settings.store_url else "embedded",
                "up": not trouble,
                "trouble": trouble,
            },
            "state": {
                "kind": "sqlite" if services.database.is_sqlite else "postgresql",
                "deployments": _deployments(services),
                "trouble": services.database.trouble,
            },
            "intake": _stats(services.intake),
            "ports": {
                "web": request.url.port or settings.web_port,
                "otlp_grpc": services.otlp_ports[0],
                "otlp_http": services.otlp_ports[1],
            },
            "spans_stored": found.spans if found else None,
            "services": found.services if found else None,
            "last_span_at": to_plain(found.last_span_at) if found else None,
            "projects": _projects(services) if by.principal.role is Role.ADMIN else [],
        }
    )


def _projects(services: Services) -> list[dict[str, Any]]:
    if services.projects is None:
        return []
    running, troubles = services.projects.running(), services.projects.troubles()
    return [
        {
            "name": name,
            "trouble": troubles.get(name, ""),
            "deployments": _deployments(running[name]) if name in running else None,
            "intake": _stats(running[name].intake) if name in running else None,
        }
        for name in sorted({*running, *troubles})
    ]


@router.get("/healthz", include_in_schema=False)
def healthz() -> Response:
    """The process runs."""
    return answer({"status": "ok"})


@router.get("/readyz", include_in_schema=False)
def readyz(services: Uses) -> Response:
    """Facts and telemetry can be read."""
    try:
        services.database.ping()
    except StateError as error:
        return problem(503, "The state database does not answer", str(error))
    if services.engine is not None and not services.engine.is_up():
        return problem(503, "The telemetry store does not answer", "It is started again by itself: try again soon.")
    return answer({"status": "ready"})


def _trouble(engine: Engine | None) -> str:
    """Why the engine does not answer; nothing when it does."""
    if engine is None:
        return "No engine runs in this process."
    try:
        engine.query("SELECT 1", timeout_s=_WAIT_S)
    except StoreError as error:
        return str(error)
    return ""


def _deployments(services: Services) -> int | None:
    """None when the state database does not answer: then its `trouble` says why."""
    try:
        return services.deployments.count()
    except StateError:
        return None


def _totals(engine: Engine | None) -> Totals | None:
    """None also when counting takes too long: that is no fault."""
    if engine is None:
        return None
    try:
        return totals(engine, timeout_s=_WAIT_S)
    except StoreError:
        return None


def _stats(intake: IntakeControl | None) -> Any:
    if intake is None:
        return None
    stats = intake.stats()
    if is_dataclass(stats) and not isinstance(stats, type):
        stats = asdict(stats)
    return to_plain(stats, non_finite=lambda _: None)
