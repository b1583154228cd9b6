"""The API over a real state database, asked in memory."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx

from act.builders import FakeRouter
from onejob.act.controller import RolloutController
from onejob.act.drivers import DRIVERS
from onejob.config import Settings
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.evidence import Evidences
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Verdicts
from onejob.web.api import router
from onejob.web.api.description import DescribedApp
from onejob.web.services import Recompute, assemble

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PROBLEM = "application/problem+json"


@cache
def _application() -> DescribedApp:
    """Built once: FastAPI reads all routes' signatures at the first request, for a tenth of a second."""
    app = DescribedApp()
    app.include_router(router)
    return app


class Api:
    """Requests to all routes of the API; `now` is its clock, and a driver called `fake` moves traffic in memory."""

    def __init__(self, database: Database, recompute: Recompute | None = None) -> None:
        self.now = NOW
        self.router = FakeRouter()
        clock = lambda: self.now  # noqa: E731
        controller = RolloutController(
            rollouts=Rollouts(database),
            deployments=Deployments(database),
            verdicts=Verdicts(database),
            evidences=Evidences(database),
            drivers={**DRIVERS, "fake": self.router},
            clock=clock,
        )
        self.services = assemble(Settings(), database, controller=controller, recompute=recompute, clock=clock)
        self.app = _application()
        self.app.state.services = self.services

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """One request."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, url, **options)

        return asyncio.run(ask())

    def get(self, url: str, **options: Any) -> httpx.Response:
        """GET below /api/v1."""
        return self.request("GET", f"/api/v1{url}", **options)

    def post(self, url: str, json: Any = None, **options: Any) -> httpx.Response:
        """POST below /api/v1."""
        return self.request("POST", f"/api/v1{url}", json=json, **options)

    def patch(self, url: str, json: Any = None, **options: Any) -> httpx.Response:
        """PATCH below /api/v1."""
        return self.request("PATCH", f"/api/v1{url}", json=json, **options)

    def start(self, **said: Any) -> dict[str, Any]:
        """A deployment that has just been reported."""
        response = self.post("/deployments", {"service": "checkout", "version": "2"} | said)
        assert response.status_code in (200, 201), response.text
        document: dict[str, Any] = response.json()
        return document

    def later(self, **passed: float) -> None:
        """Time passes."""
        self.now += timedelta(**passed)
