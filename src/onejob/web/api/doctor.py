"""What is wrong with this server, and what to do."""

from fastapi import APIRouter, Response

from onejob.doctor.examine import examine
from onejob.doctor.finding import is_healthy
from onejob.ingest.counters import IntakeStats
from onejob.state.codec import to_plain
from onejob.web.api.answers import answer
from onejob.web.api.problems import ProblemRoute
from onejob.web.api.schemas import DoctorDocument
from onejob.web.asked import Uses

router = APIRouter(tags=["server"], route_class=ProblemRoute)


@router.get("/api/v1/doctor", responses={200: {"model": DoctorDocument}})
def doctor(services: Uses) -> Response:
    """Look at everything: disk, engine, state database, intake, the last day's telemetry, routers of rollouts."""
    stats = services.intake.stats() if services.intake is not None else None
    findings = examine(
        services.settings,
        services.database,
        services.engine,
        stats if isinstance(stats, IntakeStats) else None,
        services.clock(),
    )
    return answer({"healthy": is_healthy(findings), "findings": [to_plain(finding) for finding in findings]})
