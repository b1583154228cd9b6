"""Everything that the server keeps, as one file; hashes of passwords and tokens too, so it is for admins."""

import asyncio
from contextlib import ExitStack

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from onejob.backup.archive import written
from onejob.backup.snapshot import Place, Snapshot, snapshot
from onejob.web.api.problems import ProblemRoute
from onejob.web.api.schemas import Problem
from onejob.web.asked import By, Uses

router = APIRouter(tags=["server"], route_class=ProblemRoute)
_TAR = "application/x-tar"


class _Sent(StreamingResponse):
    """Lets go of the moment that it holds however it ends: a client that goes away ends it nowhere in particular."""

    def __init__(self, held: Snapshot, stack: ExitStack) -> None:
        super().__init__(written(held.members, held.told), media_type=_TAR)
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await asyncio.shield(asyncio.to_thread(self._stack.close))  # the engine has to be waited for


@router.post(
    "/api/v1/backup",
    response_class=StreamingResponse,
    responses={200: {"content": {_TAR: {}}, "description": "A tar."}, 409: {"model": Problem}},
)
def backup(services: Uses, by: By) -> Response:
    """A tar of one moment: of each project telemetry, facts and the spool; and the key of the hashes. Checksums at its
    end.

    `onejob restore` makes an installation of it, on any engine. What ends without `manifest.json.sha256` was cut off.
    """
    stack, settings = ExitStack(), services.settings
    running = services.with_projects().items()
    places = [Place(name, its.settings, its.database, its.engine, its.intake) for name, its in running]
    with by.doing("backup", "everything"):
        held = stack.enter_context(snapshot(settings, places, services.clock()))
    return _Sent(held, stack)
