"""The stream of what changed, so that open pages stay true (server-sent events).

A change is said by the deployment's id only; the page fetches itself again and takes what differs.
"""

import json
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from onejob.web.pages.data import PageData

_HEARTBEAT_S = 15.0
_TELEMETRY_S = 1.0


async def stream(data: PageData, only: str = "", telemetry: bool = False) -> AsyncIterator[str]:
    """`event: deployment` for changes (of one deployment, if asked); `event: telemetry` with the counts so far."""
    yield "retry: 2000\n\n"
    last, wait = "", _TELEMETRY_S if telemetry else _HEARTBEAT_S
    async for event in data.follow(wait):
        if event is None:
            yield ": still here\n\n"
        elif not only or event.deployment_id == only:
            yield _event("deployment", {"id": event.deployment_id, "what": event.what})
        if telemetry and (now := await _counts(data)) != last:
            last = now
            yield f"event: telemetry\ndata: {now}\n\n"


async def _counts(data: PageData) -> str:
    known = await run_in_threadpool(data.telemetry)
    return json.dumps({"spans": known.spans, "services": list(known.services)[:20]})


def _event(name: str, value: dict[str, str]) -> str:
    return f"event: {name}\ndata: {json.dumps(value)}\n\n"
