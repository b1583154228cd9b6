"""The view of deployments that overlap: which of them did it, as far as their requests tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from onejob import words
from onejob.model.explanation import LIKELY, Relation, SuspectedDeployment
from onejob.web.pages.filters import deployment_link

_BAR = 92.0
_NEARLY = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectRow:
    """A deployment; `bar` is the width of its probability, `url` leads to its page unless it is this one."""

    name: str
    whole: str
    url: str
    began_at: datetime
    began: str
    bar: float
    probability: str
    remark: str
    reasons: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspects:
    """The rows, likeliest first, and the answer in one line."""

    answer: str
    rows: list[SuspectRow]


def view(suspects: Sequence[SuspectedDeployment]) -> Suspects | None:
    """None where no other deployment could have done it."""
    if not suspects:
        return None
    return Suspects(answer=_answer(suspects), rows=[_row(one) for one in suspects])


def _answer(suspects: Sequence[SuspectedDeployment]) -> str:
    leading = suspects[0]
    both = [one for one in suspects if one.separable and one.posterior >= LIKELY]
    if not leading.separable and sum(one.posterior for one in suspects if not one.separable) >= LIKELY:
        return "not separable: the evidence fits more than one of them"
    if len(both) > 1:
        return f"{' and '.join(_short(one) for one in both)} did damage, each by itself"
    if leading.posterior < LIKELY:
        return "none of them fits well"
    return "this one fits best" if leading.relation is Relation.ITSELF else f"{_short(leading)} fits better"


def _short(one: SuspectedDeployment) -> str:
    return f"{words.shorten(one.service, 30)} {words.shorten(one.version, 30)}"


def _row(one: SuspectedDeployment) -> SuspectRow:
    is_this = one.relation is Relation.ITSELF
    return SuspectRow(
        name=_short(one),
        whole=f"{words.shorten(one.service, 200)} {words.shorten(one.version, 200)}",
        url="" if is_this else deployment_link(one.deployment_id),
        began_at=one.began_at,
        began=words.clock(one.began_at),
        bar=max(_BAR * one.posterior, 0.5),
        probability=_probability(one.posterior),
        remark="" if one.separable else "not separable",
        reasons="; ".join(one.reasons),
    )


def _probability(posterior: float) -> str:
    if posterior > _NEARLY:
        return "over 99 %"
    return "under 1 %" if posterior < 1 - _NEARLY else words.percent(posterior, 2)
