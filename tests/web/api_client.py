"""The API over a real state database, asked in memory."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
from fastapi import FastAPI

from onejob.act.errors import RolloutRefusedError, RolloutUnknownError
from onejob.act.plan import make_plan
from onejob.config import Settings
from onejob.model.rollout import Mode, Rollout, RolloutState, Step
from onejob.state.database import Database
from onejob.state.ids import new_id
from onejob.state.rollouts import Rollouts
from onejob.web.api import router
from onejob.web.services import Recompute, assemble

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PROBLEM = "application/problem+json"


class NotedRollouts:
    """A controller that moves no traffic, and keeps its rollouts in the real database."""

    def __init__(self, rollouts: Rollouts) -> None:
        self._rollouts = rollouts
        self.commands: list[tuple[str, str, str]] = []

    def start(
        self,
        deployment_id: str,
        driver: str,
        settings: Mapping[str, str],
        steps: tuple[Step, ...] | None = None,
        mode: Mode | None = None,
        *,
        on_timeout: str = "pause",
        force: bool = False,
    ) -> Rollout:
        """Holds at its first step."""
        plan = make_plan(driver, settings, mode=mode or Mode.OBSERVE, steps=steps, on_timeout=on_timeout)
        rollout = Rollout(
            id=new_id("rol", NOW),
            deployment_id=deployment_id,
            plan=plan,
            state=RolloutState.HOLDING,
            step=0,
            share=plan.steps[0].share,
            step_started_at=NOW,
        )
        self._rollouts.add(rollout)
        return rollout

    def command(self, rollout_id: str, command: str, actor: str) -> Rollout:
        """Refuses to resume what is not held."""
        rollout = self._rollouts.get(rollout_id)
        if rollout is None:
            raise RolloutUnknownError("There is no such rollout.")
        if command == "resume":
            raise RolloutRefusedError("It is not paused: nothing to resume.")
        self.commands.append((rollout_id, command, actor))
        return rollout


@cache
def _application() -> FastAPI:
    """Built once: FastAPI reads all routes' signatures at the first request, for a tenth of a second."""
    app = FastAPI()
    app.include_router(router)
    return app


class Api:
    """Requests to all routes of the API; `now` is its clock."""

    def __init__(self, database: Database, recompute: Recompute | None = None) -> None:
        self.now = NOW
        self.controller = NotedRollouts(Rollouts(database))
        self.services = assemble(
            Settings(), database, controller=self.controller, recompute=recompute, clock=lambda: self.now
        )
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
