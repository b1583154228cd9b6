"""What a new deployment means for those of the same service that have not ended.

Whoever ships the next version seldom says that the one before is over. So a new deployment ends the older ones, as
`superseded`, or as `rolled_back` where it takes them back. Only one whose traffic onejob itself still moves stays in
progress beside it. Either way both are told, because what both changed at once may not be separable.
"""

from dataclasses import dataclass
from datetime import timedelta

from onejob.model.deployment import Deployment, Status
from onejob.model.rollout import RolloutState
from onejob.state.deployments import Deployments
from onejob.state.rollouts import Rollouts

_ENDED = (RolloutState.PROMOTED, RolloutState.ABORTED, RolloutState.FAILED)
_CLOSE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Ends what a new deployment ends."""

    deployments: Deployments
    rollouts: Rollouts

    def settle(self, new: Deployment) -> list[str]:
        """Update the others and `new` itself; returns the ids of all that changed."""
        changed = [new.id] if self._take_back(new) else []
        for other in self.deployments.of_service(new.service, new.environment):
            if other.status is not Status.IN_PROGRESS or other.id == new.id:
                continue
            self._end(other, new)
            changed += [other.id, new.id]
        return list(dict.fromkeys(changed))

    def _end(self, other: Deployment, new: Deployment) -> None:
        if self._moves_traffic(other) or self._moves_traffic(new):
            self._tell_both(other, new, "Both are in progress")
            return
        earlier, later = (other, new) if other.started_at <= new.started_at else (new, other)
        if later.rollback_of != earlier.id and later.started_at - earlier.started_at < _CLOSE:
            self._tell_both(earlier, later, "They started within ten minutes")
        status = Status.ROLLED_BACK if later.rollback_of == earlier.id else Status.SUPERSEDED
        self.deployments.update(earlier.id, status=status, finished_at=later.started_at)

    def _take_back(self, new: Deployment) -> bool:
        target = self.deployments.get(new.rollback_of) if new.rollback_of else None
        if target is None or target.status in (Status.ROLLED_BACK, Status.FAILED):
            return False
        finished_at = target.finished_at or new.started_at
        self.deployments.update(target.id, status=Status.ROLLED_BACK, finished_at=finished_at)
        return True

    def _moves_traffic(self, deployment: Deployment) -> bool:
        rollout = self.rollouts.by_deployment(deployment.id)
        return rollout is not None and rollout.state not in _ENDED

    def _tell_both(self, one: Deployment, other: Deployment, how: str) -> None:
        for told, about in ((one, other), (other, one)):
            what = "what each changed is told apart only as far as requests went through one and not the other"
            sentence = f"Overlaps with {about.version} ({about.id}). {how}: {what}."
            self.deployments.note(told.id, sentence)
