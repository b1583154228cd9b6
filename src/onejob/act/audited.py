"""What rollouts do, in the audit log: also what nobody asked for, because the verdict was reason enough."""

import logging

from onejob.model.rollout import Rollout, Transition
from onejob.seldom import Seldom
from onejob.state.audit import Audit
from onejob.state.errors import StateError

_ACTOR = "onejob"
_seldom = Seldom(logging.getLogger(__name__))


class AuditedTransitions:
    """Called with each transition that was stored. One that cannot be written down is done all the same: a bad version
    is taken back also while the disk is full, and the transition itself is kept with the rollout.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def __call__(self, rollout: Rollout, transition: Transition) -> None:
        if transition.is_dry_run:
            return
        detail = f"{transition.from_state}, {transition.share:.4g} of the traffic: {transition.reason}"
        action = f"rollout.{transition.to_state}"
        try:
            self._audit.append(
                transition.at, actor=_ACTOR, action=action, object=rollout.id, source="itself", detail=detail
            )
        except StateError as error:
            _seldom.warning("audit", "the audit log misses a transition of rollout %s: %s", rollout.id, error)
