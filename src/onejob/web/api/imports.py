"""Telemetry of the past, as `onejob import` sends it: many OTLP requests in one body, each judged by itself.

Problem: a file has a million requests, and of one that is wrong its place must be told. Solution: a body holds as many
requests as fit, and the answer says what became of each that is not simply stored. A body that is sent again after a
lost answer stores nothing twice.
"""

from dataclasses import asdict, dataclass

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from onejob.ingest.door import Door
from onejob.ingest.errors import TryLater
from onejob.web.api.answers import answer
from onejob.web.api.bodies import MAX_BODY_BYTES, BodyError, BoundedRequest, plain_media_type
from onejob.web.api.problems import Handler, ProblemRoute, problem
from onejob.web.api.schemas import ImportDocument, Problem
from onejob.web.asked import Uses

_LINES, _PROTOBUF = "application/x-ndjson", "application/x-protobuf"
_MOST_REQUESTS = 100_000  # in one body; each takes some microseconds, also where it is empty
_ROOM = 2**20  # beside one request of the largest size: for prefixes, and small ones sent together


@dataclass(slots=True)
class _Held:
    """How much of one request is in the memory that all telemetry on its way shares."""

    door: Door | None = None
    size: int = 0

    def more(self, size: int) -> None:
        if self.door is None:
            return
        try:
            self.door.hold(size)
        except TryLater as error:
            message = f"{error} Send it again in a moment."
            raise BodyError(429, "Too much at once", message, retry_after_s=error.retry_after_s) from error
        self.size += size

    def let_go(self) -> None:
        if self.door is not None:
            self.door.release(self.size)


class _ImportRoute(ProblemRoute):
    """Takes bodies as large as the intake does, of two kinds that no form of another site can send."""

    async def read(self, request: Request) -> Request:
        services, held = request.app.state.services, request.state.held
        held.door = services.intake.door if services.intake is not None else None
        limit = services.settings.max_request_bytes + _ROOM if held.door is not None else MAX_BODY_BYTES
        bounded = BoundedRequest(request.scope, request.receive, limit, held.more)
        await bounded.body()
        if plain_media_type(bounded) not in (_LINES, _PROTOBUF):
            raise BodyError(
                415, "Not OTLP", f"Send OTLP/JSON, a request per line, as {_LINES}, or protobuf as {_PROTOBUF}."
            )
        return bounded

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_and_let_go(request: Request) -> Response:
            request.state.held = held = _Held()
            try:
                return await handle(request)
            finally:
                held.let_go()

        return handle_and_let_go


router = APIRouter(tags=["server"], route_class=_ImportRoute)


@router.post(
    "/api/v1/import",
    responses={200: {"model": ImportDocument}, 400: {"model": Problem}, 503: {"model": Problem}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {_LINES: {"schema": {"type": "string"}}, _PROTOBUF: {"schema": {"type": "string"}}},
        }
    },
)
async def take(request: Request, services: Uses) -> Response:
    """Store telemetry of the past.

    Export requests of OTLP, of any kind: as NDJSON one per line, as protobuf each after its length in 4 bytes,
    big-endian.
    """
    if services.intake is None:
        return problem(503, "No intake here", "This server takes no telemetry: send it to one that does.")
    body = await request.body()
    if plain_media_type(request) == _LINES:
        _check_count(body.count(b"\n"))
        form, bodies = "json", body.split(b"\n")
        bodies = bodies if bodies[-1] else bodies[:-1]
    else:
        form, bodies = "protobuf", _framed(body)
    return answer(asdict(await run_in_threadpool(services.intake.backfill, form, bodies)))


def _check_count(requests: int) -> None:
    if requests > _MOST_REQUESTS:
        raise BodyError(
            413, "Too many requests in one body", f"The body has more than {_MOST_REQUESTS:,} requests: send fewer."
        )


def _framed(body: bytes) -> list[bytes]:
    bodies: list[bytes] = []
    at = 0
    while at < len(body):
        end = at + 4 + int.from_bytes(body[at : at + 4], "big")
        if end > len(body):
            raise BodyError(400, "Cut off", f"The body ends within its request {len(bodies) + 1}: send it whole.")
        _check_count(len(bodies) + 1)
        bodies.append(body[at + 4 : end])
        at = end
    return bodies
