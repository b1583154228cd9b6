"""Rollouts: the plan, where it is, and every transition it ever made."""

from typing import Any

from sqlalchemy import ColumnElement, insert, select, update

from onejob.model.rollout import Rollout, RolloutState
from onejob.state.codec import pack, unpack
from onejob.state.database import Database
from onejob.state.errors import ConflictError, NotFoundError
from onejob.state.tables import deployments, rollouts

# A rollout in one of these moves no traffic any more.
ENDED = (RolloutState.PROMOTED, RolloutState.ABORTED, RolloutState.FAILED)


class Rollouts:
    """The rollouts in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, rollout: Rollout) -> None:
        """Store a new one; ConflictError while the deployment has one that has not ended."""
        with self._database.write() as connection:
            is_its = deployments.c.id == rollout.deployment_id
            found = connection.execute(select(deployments.c.id).where(is_its).with_for_update()).one_or_none()
            if found is None:
                raise NotFoundError(f"There is no deployment {rollout.deployment_id} to roll out.")
            active = select(rollouts.c.id).where(rollouts.c.deployment_id == rollout.deployment_id, _is_active())
            other = connection.execute(active).scalar_one_or_none()
            if other is not None:
                raise ConflictError(f"Rollout {other} of this deployment has not ended: abort or promote it first.")
            values = {"id": rollout.id, "deployment_id": rollout.deployment_id, **_values(rollout)}
            connection.execute(insert(rollouts).values(values))
            connection.execute(update(deployments).where(is_its).values(rollout_id=rollout.id))

    def save(self, rollout: Rollout) -> None:
        """Store what became of it. Transitions are evidence: they are added to, never changed or taken away."""
        with self._database.write() as connection:
            is_it = rollouts.c.id == rollout.id
            document = connection.execute(
                select(rollouts.c.document).where(is_it).with_for_update()
            ).scalar_one_or_none()
            if document is None:
                raise NotFoundError(f"There is no rollout {rollout.id}.")
            before = unpack(Rollout, document).transitions
            if rollout.transitions[: len(before)] != before:
                raise ConflictError(f"Rollout {rollout.id} has moved on meanwhile: read it again.")
            connection.execute(update(rollouts).where(is_it).values(_values(rollout)))

    def get(self, rollout_id: str) -> Rollout | None:
        """The rollout with this id."""
        found = self._some(rollouts.c.id == rollout_id)
        return found[0] if found else None

    def by_deployment(self, deployment_id: str) -> Rollout | None:
        """The latest rollout of a deployment."""
        found = self._some(rollouts.c.deployment_id == deployment_id)
        return found[-1] if found else None

    def active(self) -> list[Rollout]:
        """All that have not ended, oldest first."""
        return self._some(_is_active())

    def _some(self, condition: ColumnElement[bool]) -> list[Rollout]:
        query = select(rollouts.c.document).where(condition).order_by(rollouts.c.id)
        with self._database.read() as connection:
            return [unpack(Rollout, document) for document in connection.execute(query).scalars()]


def _is_active() -> ColumnElement[bool]:
    return rollouts.c.state.not_in([str(state) for state in ENDED])


def _values(rollout: Rollout) -> dict[str, Any]:
    return {"state": str(rollout.state), "transitions": len(rollout.transitions), "document": pack(rollout)}
