"""The audit log, in the order it was written: what `onejob audit verify` checks and `export` keeps."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from onejob.state.codec import to_plain
from onejob.state.errors import NotFoundError
from onejob.web.api.access_bodies import AuditDocument
from onejob.web.api.answers import answer
from onejob.web.api.problems import ProblemRoute
from onejob.web.api.schemas import Problem
from onejob.web.asked import Uses

router = APIRouter(
    prefix="/api/v1/audit", tags=["access"], route_class=ProblemRoute, responses={422: {"model": Problem}}
)


@router.get("", responses={200: {"model": AuditDocument}, 404: {"model": Problem}})
def audit(
    services: Uses,
    after: Annotated[int, Query(ge=0, le=2**62, description="The number of the last entry you have.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    project: Annotated[str | None, Query(max_length=32, description="Another project's log.")] = None,
) -> Response:
    """Entries from the one after `after` on; an empty list is the end.

    Each project has a log of its own. At the server's address those of all can be read, by naming one.
    """
    found = services.with_projects().get(project) if project is not None else services
    if found is None:
        raise NotFoundError(f"There is no project {project!r} that runs here: `onejob project list` shows them.")
    return answer({"items": [to_plain(entry) for entry in found.audit.after(after, limit)]})
