"""Dead letters: acknowledged telemetry that the engine refuses. Look at them, and have them tried once more."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from onejob.ingest.errors import TryLater
from onejob.state.codec import to_plain
from onejob.web.api.answers import answer
from onejob.web.api.problems import ProblemRoute, problem
from onejob.web.api.requests import ReplayBody
from onejob.web.api.schemas import DeadLettersDocument, Problem, ReplayedDocument
from onejob.web.asked import By, Uses

router = APIRouter(
    prefix="/api/v1/dead-letters", tags=["server"], route_class=ProblemRoute, responses={503: {"model": Problem}}
)


@router.get("", responses={200: {"model": DeadLettersDocument}})
def dead_letters(services: Uses) -> Response:
    """What the engine refuses, and why; the oldest first."""
    if services.intake is None:
        return _no_intake()
    return answer({"items": [to_plain(letter) for letter in services.intake.dead_letters()]})


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


def _no_intake() -> Response:
    return problem(503, "No telemetry is taken here", "Ask the server that telemetry is sent to.")
