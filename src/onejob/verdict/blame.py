"""What a verdict's sentence says of other deployments: only what changes what one would do.

Taking back the judged one is no remedy where another fits better, half of one where both do damage, and a guess where
the two cannot be told apart.
"""

from collections.abc import Sequence
from datetime import datetime

from onejob import words
from onejob.model.explanation import LIKELY, Explanation, Relation, SuspectedDeployment


def others_to_blame(explanation: Explanation | None) -> str:
    """A clause; empty where the judged deployment did it as far as is known."""
    if explanation is None or not explanation.suspects:
        return ""
    mine = next((s for s in explanation.suspects if s.relation is Relation.ITSELF), None)
    others = [s for s in explanation.suspects if s is not mine]
    began_at = mine.began_at if mine else None
    alike = [s for s in others if not s.separable]
    if mine and not mine.separable:
        others_too = _named(alike, began_at).removesuffix(",")
        is_likely = alike and _is_likely([mine, *alike])
        return f", but that may as well be {others_too}: not separable" if is_likely else ""
    likely = [s for s in others if s.separable and s.posterior >= LIKELY]
    if mine and mine.posterior >= LIKELY:
        return f", and {_named(likely, began_at)} adds to it" if likely else ""
    likely = likely or (alike if _is_likely(alike) else [])
    return f", but {_named(likely, began_at)} fits better" if likely else ""


def _is_likely(suspects: Sequence[SuspectedDeployment]) -> bool:
    return sum(s.posterior for s in suspects) >= LIKELY


def _named(suspects: Sequence[SuspectedDeployment], began_at: datetime | None) -> str:
    return " or ".join(f"{s.service} {s.version}{_when(s.began_at, began_at)}" for s in suspects)


def _when(when: datetime, other: datetime | None) -> str:
    if other is None:
        return ""
    seconds = (when - other).total_seconds()
    if abs(seconds) < 1:
        return ", deployed in the same second,"
    return f", deployed {words.elapsed(abs(seconds))} {'earlier' if seconds < 0 else 'later'},"
