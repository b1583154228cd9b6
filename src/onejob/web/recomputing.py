"""A verdict computed again from its stored counts, while the judge may be adding to them."""

from dataclasses import dataclass

from onejob.model.verdict import Verdict
from onejob.state.codec import to_plain
from onejob.state.deployments import DeploymentRecord
from onejob.web.services import Services

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Recomputed:
    """The verdict again, and whether it is the stored one to the letter."""

    record: DeploymentRecord
    verdict: Verdict
    is_same: bool


def recomputed(services: Services, deployment_id: str) -> Recomputed | None:
    """None while there is no verdict. A look between the two reads would make them differ: then both are read again."""
    for _ in range(_TRIES):
        record = services.deployments.record(deployment_id)
        if services.recompute is None or record is None or record.verdict is None:
            return None
        verdict = services.recompute(record.deployment, services.evidences.read(deployment_id))
        found = Recomputed(record, verdict, to_plain(verdict) == to_plain(record.verdict))
        if found.is_same or verdict.judged_at == record.verdict.judged_at:
            break
    return found
