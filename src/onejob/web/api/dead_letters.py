"""Dead letters: acknowledged telemetry that the engine refuses. Look at them, try them again, delete them."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from onejob.ingest.errors import TryLater
from onejob.state.codec import to_plain
from onejob.web.api.answers import answer
from onejob.web.api.problems import ProblemRoute, problem
from onejob.web.api.requests import ReplayBody
from onejob.web.api.schemas import DeadLettersDocument, DeletedDocument, Problem, ReplayedDocument
from onejob.web.asked import By, Uses

_IDS = r"^[0-9]{1,18}(,[0-9]{1,18}){0,999}$"

router = APIRouter(
    prefix="/api/v1/dead-letters", tags=["server"], route_class=ProblemRoute, responses={503: {"model": Problem}}
)


@router.get("", responses={200: {"model": DeadLettersDocument}})
def dead_letters(services: Uses) -> Response:
    """What the engine refuses, and why; the oldest first, a thousand at most. `status` says how many there are."""
    if services.intake is None:
        return _no_intake()
    items = [to_plain(letter) for letter in services.intake.dead_letters()]
    return answer({"project": services.access.project, "items": items})


@router.post("/replay", responses={200: {"model": ReplayedDocument}})
def replay(services: Uses, by: By, body: Annotated[ReplayBody | None, Body()] = None) -> Response:
    """Try them once more, each exactly once; what is refused again is a dead letter again, under another id."""
    if services.intake is None:
        return _no_intake()
    try:
        with by.doing("dead-letters.replay", "some" if body and body.ids is not None else "all"):
            replayed = services.intake.replay_dead_letters(body.ids if body else None)
    except TryLater as error:
        return problem(503, "The spool cannot be written", str(error))
    return answer({"replayed": replayed})


@router.delete("", responses={200: {"model": DeletedDocument}, 422: {"model": Problem}})
def delete(
    services: Uses,
    by: By,
    ids: Annotated[str | None, Query(pattern=_IDS, description="Of those to delete: `7,8`.", examples=["7,8"])] = None,
    every: Annotated[bool, Query(alias="all", description="All that there are.")] = False,
) -> Response:
    """Delete some, or all, for good: they were acknowledged, and are never stored. Ids that are not here are none."""
    if every == (ids is not None):
        return problem(422, "Which dead letters?", "Say either `ids=7,8`, or `all=true`.")
    if services.intake is None:
        return _no_intake()
    wanted = None if ids is None else [int(one) for one in ids.split(",")]
    try:
        with by.doing("dead-letters.delete", "all" if wanted is None else "some", (ids or "")[:500]):
            deleted = services.intake.delete_dead_letters(wanted)
    except TryLater as error:
        return problem(503, "The spool cannot be written", str(error))
    return answer({"deleted": deleted})


def _no_intake() -> Response:
    return problem(503, "No telemetry is taken here", "Ask the server that telemetry is sent to.")
