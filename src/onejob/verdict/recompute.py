"""The same verdict again, from its stored counts."""

from collections.abc import Iterable
from dataclasses import replace

from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch
from onejob.model.explanation import Explanation
from onejob.model.verdict import State, Verdict
from onejob.verdict.judge import Judge
from onejob.verdict.report import sentence


def refold(deployment: Deployment, batches: Iterable[EvidenceBatch]) -> tuple[Judge, Verdict | None]:
    """A judge that knows the batches, and its verdict; None when there are none."""
    judge = Judge(deployment)
    verdict = None
    for batch in batches:
        verdict = judge.consume(batch)
    return judge, verdict


def recompute(
    deployment: Deployment, batches: Iterable[EvidenceBatch], explanation: Explanation | None = None
) -> Verdict | None:
    """The document that the stored batches give; None when nothing was consumed yet."""
    _, verdict = refold(deployment, batches)
    return None if verdict is None else explained(deployment, verdict, explanation)


def explained(deployment: Deployment, verdict: Verdict, explanation: Explanation | None) -> Verdict:
    """The verdict with what the explanation adds to its sentence."""
    if verdict.state is not State.WORSE or explanation is None:
        return verdict
    return replace(verdict, sentence=sentence(deployment, verdict, explanation))
