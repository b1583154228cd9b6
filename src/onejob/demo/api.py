"""The demo's side of onejob's API: it reports deployments and starts rollouts as any pipeline would."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from onejob.demo.errors import DemoError

# The last one leaves time for what was still under way to reach the judge.
STEPS = ((0.10, 20.0), (0.50, 60.0), (1.0, 5.0))
ENDED = frozenset({"promoted", "aborted", "failed", "paused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the server says of a deployment at one moment."""

    state: str = "undecided"
    reason: str | None = None
    sentence: str = ""
    decided_at: datetime | None = None
    rollout: str = "pending"
    share: float = 0.0
    waits_for: str | None = None
    operation: str | None = None
    attribute: str | None = None
    span: str | None = None
    explained_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        return self.rollout in ENDED

    @property
    def cause(self) -> str:
        """What the explanation names; empty while there is none, and for damage to all requests alike."""
        return ", ".join(filter(None, (self.operation, self.attribute, self.span))) if self.span else ""

    @property
    def is_explained(self) -> bool:
        return self.explained_at is not None


class Onejob:
    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=15.0, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def report_deployment(self, service: str, environment: str, version: str, previous_version: str) -> str:
        body = {
            "service": service,
            "environment": environment,
            "version": version,
            "previous_version": previous_version,
            "strategy": "canary",
            "actor": "onejob demo",
        }
        return str(self._send("POST", "/api/v1/deployments", body)["id"])

    def start_rollout(self, deployment_id: str, settings: Mapping[str, str]) -> str:
        body = {
            "deployment_id": deployment_id,
            "driver": "envoy",
            "settings": dict(settings),
            "steps": [{"share": share, "hold_s": hold_s} for share, hold_s in STEPS],
            "mode": "act",
        }
        return str(self._send("POST", "/api/v1/rollouts", body)["id"])

    def judgement(self, deployment_id: str) -> Judgement:
        return judgement_of(self._send("GET", f"/api/v1/deployments/{deployment_id}"))

    def page_of(self, deployment_id: str) -> str:
        return f"{self.url}/deployments/{deployment_id}"

    def _send(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.TransportError as error:
            raise DemoError(f"onejob does not answer {method} {path}: {error!r}") from error
        if answer.is_error:
            raise DemoError(f"onejob refused {method} {path} with {answer.status_code}: {answer.text}")
        return dict(answer.json())


def judgement_of(deployment: Mapping[str, Any]) -> Judgement:
    verdict = deployment.get("verdict") or {}
    rollout = deployment.get("rollout") or {}
    explanation = verdict.get("explanation") or {}
    return Judgement(
        state=verdict.get("state") or "undecided",
        reason=verdict.get("reason"),
        sentence=verdict.get("sentence") or "",
        decided_at=_time(verdict.get("decided_at")),
        rollout=rollout.get("state") or "pending",
        share=float(rollout.get("share") or 0.0),
        waits_for=rollout.get("waits_for"),
        operation=_first(explanation.get("operations"), "operation"),
        attribute=_attribute(explanation.get("attributes")),
        span=_cause(explanation.get("calls")),
        explained_at=_time(explanation.get("made_at")),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _first(items: Sequence[Any] | None, key: str) -> str | None:
    """The API lists the most telling first."""
    if not items:
        return None
    return str(items[0][key] if isinstance(items[0], Mapping) else items[0])


def _attribute(items: Sequence[Mapping[str, Any]] | None) -> str | None:
    return f"{items[0]['name']}={items[0]['value']}" if items else None


def _cause(calls: Sequence[Mapping[str, Any]] | None) -> str | None:
    return next((str(call["path"][-1]) for call in calls or () if call.get("is_cause")), None)
