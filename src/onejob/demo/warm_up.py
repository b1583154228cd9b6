"""Warming a new process up: a few requests of every kind, past Envoy, before the first customer reaches it.

Imports, connection pools and the database's plans are cold in a fresh process; a customer should not pay for that, and
the judge should not hold it against the version. The requests say what they are, so that they are no evidence.
"""

import asyncio
import json

import httpx

from onejob.demo.errors import DemoError
from onejob.demo.load import HABITS, PAYMENT_METHODS
from onejob.demo.shop.telemetry import WARM_UP_USER_AGENT

ROUNDS = 5
AT_ONCE = 4
ATTEMPTS = 3


def warm_up(base_url: str) -> None:
    """Raises DemoError if the process does not answer as it should."""
    asyncio.run(_warm_up(base_url))


async def _warm_up(base_url: str) -> None:
    gate = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=base_url, timeout=5.0, trust_env=False) as client:
        await asyncio.gather(*(_send(client, gate, request) for request in _requests(client)))


def _requests(client: httpx.AsyncClient) -> list[httpx.Request]:
    requests = []
    for turn in range(ROUNDS):
        for habit in HABITS:
            headers = {"user-agent": WARM_UP_USER_AGENT, "x-tenant": f"{habit.size[0]}-1"}
            for method in PAYMENT_METHODS:
                wanted = json.dumps({"basket": turn + 1, "payment_method": method})
                requests.append(client.build_request("POST", "/orders", headers=headers, content=wanted))
            requests.append(client.build_request("POST", "/quotes", headers=headers, content=wanted))
            requests.append(client.build_request("GET", f"/baskets/{turn + 1}", headers=headers))
            requests.append(client.build_request("GET", f"/delivery-options?region={turn}", headers=headers))
    return requests


async def _send(client: httpx.AsyncClient, gate: asyncio.Semaphore, request: httpx.Request) -> None:
    """An answer of any status warms up: that a version fails some requests is for the judge to find out."""
    async with gate:
        for attempt in range(ATTEMPTS):
            try:
                await client.send(request)
            except httpx.TransportError as error:
                if attempt == ATTEMPTS - 1:
                    raise DemoError(f"The new process stopped answering while it was warmed up: {error!r}") from error
            else:
                return
