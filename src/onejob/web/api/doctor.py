"""What is wrong with this server, and what to do."""

from dataclasses import replace

from fastapi import APIRouter, Response

from onejob.doctor.examine import examine
from onejob.doctor.finding import Finding, Health, is_healthy, ok, problem
from onejob.ingest.counters import IntakeStats
from onejob.model.access import Role
from onejob.state.codec import to_plain
from onejob.web.api.answers import answer
from onejob.web.api.problems import ProblemRoute
from onejob.web.api.schemas import DoctorDocument
from onejob.web.asked import By, Uses
from onejob.web.services import Services

router = APIRouter(tags=["server"], route_class=ProblemRoute)


@router.get("/api/v1/doctor", responses={200: {"model": DoctorDocument}})
def doctor(services: Uses, by: By) -> Response:
    """Look at everything: disk, engine, state database, intake, the last day's telemetry, routers of rollouts.

    Admins of the server are told what is wrong with other projects, too.
    """
    findings = _examined(services)
    if by.principal.role is Role.ADMIN and services.projects is not None:
        for name, trouble in services.projects.troubles().items():
            findings.append(problem(f"project {name}", f"it does not run: {trouble}", "see what it says"))
        for name, its in services.projects.running().items():
            findings += _of_project(name, _examined(its))
    return answer({"healthy": is_healthy(findings), "findings": [to_plain(finding) for finding in findings]})


def _examined(services: Services) -> list[Finding]:
    stats = services.intake.stats() if services.intake is not None else None
    return examine(
        services.settings,
        services.database,
        services.engine,
        stats if isinstance(stats, IntakeStats) else None,
        services.clock(),
    )


def _of_project(name: str, findings: list[Finding]) -> list[Finding]:
    """What is well with each of many projects is said in a line."""
    wrong = [replace(one, check=f"project {name}: {one.check}") for one in findings if one.health is not Health.OK]
    return wrong or [ok(f"project {name}", "nothing is wrong")]
