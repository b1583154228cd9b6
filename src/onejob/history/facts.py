"""What the state knows of the past: deployments that were stored, how their traffic was moved, what was said live."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from onejob.model.deployment import Deployment
from onejob.model.evidence import RouterCount
from onejob.model.rollout import Rollout
from onejob.model.verdict import State
from onejob.state.database import Database
from onejob.state.deployments import DeploymentFilter, Deployments
from onejob.state.evidence import Evidences
from onejob.state.rollouts import Rollouts

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Fact:
    """A stored deployment and what goes with it."""

    deployment: Deployment
    rollout: Rollout | None
    samples: Sequence[RouterCount]
    said: State | None


class Facts(Protocol):
    """Where stored deployments come from."""

    def of(self, service: str, environment: str, since: datetime, until: datetime) -> list[Fact]:
        """Those that started in [since, until)."""


class NoFacts:
    """Of a store that onejob never ran on."""

    def of(self, service: str, environment: str, since: datetime, until: datetime) -> list[Fact]:
        return []


class StoredFacts:
    """Of onejob's own state."""

    def __init__(self, database: Database) -> None:
        self._deployments = Deployments(database)
        self._rollouts = Rollouts(database)
        self._evidences = Evidences(database)

    def of(self, service: str, environment: str, since: datetime, until: datetime) -> list[Fact]:
        chosen = DeploymentFilter(service=service, environment=environment, since=since, until=until)
        facts: list[Fact] = []
        cursor = None
        while True:
            page = self._deployments.page(chosen, _PAGE, cursor)
            facts += [
                Fact(
                    deployment=record.deployment,
                    rollout=self._rollouts.by_deployment(record.deployment.id),
                    samples=self._evidences.router_samples(record.deployment.id),
                    said=record.verdict.state if record.verdict else None,
                )
                for record in page.items
            ]
            cursor = page.next_cursor
            if cursor is None:
                return facts
