"""What is said of deployments that overlap: the ranking of `overlap.py` in sentences."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from onejob import words
from onejob.explain.edges import Kinship
from onejob.explain.overlap import Candidate, Ranked
from onejob.model.explanation import Relation, SuspectedDeployment

_FOLLOWS = 0.8  # correlations: a change of traffic that explains two thirds of the damage's, or hardly any
_FOLLOWS_NOT = 0.3


def suspected(
    ranked: Iterable[Ranked], service: str, began_at: datetime | None, slow_above_s: Sequence[float] = ()
) -> list[SuspectedDeployment]:
    """`began_at`: when the damage became visible; `slow_above_s`: what each reading calls slow, none for failures."""
    return [_suspected(one, service, began_at, slow_above_s) for one in ranked]


def _suspected(
    one: Ranked, service: str, began_at: datetime | None, slow_above_s: Sequence[float]
) -> SuspectedDeployment:
    candidate, kinship = one.candidate, one.candidate.kinship or Kinship(Relation.ITSELF, 0)
    said = (
        _exposure(one, f"took over {words.seconds(slow_above_s[one.reading])}" if slow_above_s else "failed"),
        _dose(one, "slow" if slow_above_s else "failed"),
        _onset(candidate, began_at),
        _distance(kinship, service),
        _alike(one),
    )
    return SuspectedDeployment(
        deployment_id=candidate.deployment_id,
        service=candidate.service,
        version=candidate.version,
        relation=kinship.relation,
        steps=kinship.steps,
        began_at=candidate.began_at,
        posterior=one.posterior,
        separable=not one.alike,
        reasons=tuple(reason for reason in said if reason),
    )


def _exposure(one: Ranked, bad: str) -> str:
    mine = f"{words.percent(one.exposed_share, 2)} of {words.plural(one.exposed_requests, 'request')}"
    through = "that came after it began, as no span names its version," if one.candidate.is_by_time else "through it"
    if one.other_share is None:
        return f"{mine} {through} {bad}, and there are no others to compare with"
    others = f"{words.percent(one.other_share, 2)} of the {words.count(one.other_requests)} others"
    return f"{mine} {through} {bad}, {others}"


def _dose(one: Ranked, bad: str) -> str:
    if one.dose is None or _FOLLOWS_NOT < one.dose < _FOLLOWS:
        return ""
    does = "rose and fell" if one.dose >= _FOLLOWS else "did not rise and fall"
    return f"the {bad} requests {does} with its share of the traffic"


def _onset(candidate: Candidate, began_at: datetime | None) -> str:
    if began_at is None:
        return ""
    what = "it was reported" if candidate.is_by_time else "it began"
    return f"{what} {time_between(candidate.began_at, began_at)} the damage showed"


def time_between(when: datetime, other: datetime) -> str:
    """`40 s before`, `2 min after`."""
    seconds = (when - other).total_seconds()
    if abs(seconds) < 1:
        return "in the second in which"
    return f"{words.elapsed(abs(seconds))} {'before' if seconds < 0 else 'after'}"


def _distance(kinship: Kinship, service: str) -> str:
    through = "" if kinship.steps <= 1 else f" through {words.plural(kinship.steps - 1, 'other')}"
    return {
        Relation.ITSELF: "",
        Relation.SAME_SERVICE: f"it is another version of {service}",
        Relation.CALLED: f"{service} calls it{through}",
        Relation.CALLING: f"it calls {service}{through}",
    }[kinship.relation]


def _alike(one: Ranked) -> str:
    if not one.alike:
        return ""
    others = " or ".join(f"{other.service} {other.version}" for other in one.alike)
    return f"not separable from {others}: the requests fit one as well as the other"
