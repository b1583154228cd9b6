"""Which of several overlapping deployments did the damage, as far as the requests tell.

Deployments often meet: a service and one that it calls ship within a minute, and whichever is judged `worse` is blamed.
A list ordered by time or by distance would blame somebody too, with no more right. So each candidate is read as a
prediction: requests that went through its new version are hurt more often than the others. One likelihood then weighs
all that could be said one by one:

- *onset*: before the candidate's first request nobody went through it, so damage that came earlier, or later, misfits;
- *exposure*: while its versions serve side by side, the hurt requests must be those that went through the new one;
- *dose-response*: where its share of the traffic moved, the share of hurt requests has to move with it;
- *distance* in the graph of calls enters as the prior.

**Model.** A hypothesis H is a set of at most two candidates, the empty one standing for something else. A request's
*code* under H says which of H's new versions it went through; bad requests are binomial with a rate per code:

    log L(H)  = sum over codes c of H [ k_c log(k_c / n_c) + (n_c - k_c) log(1 - k_c / n_c) ]
    score(H)  = log L(H) / phi - (|codes| - 1) / 2 * log(1 + k / phi) - log(readings) + log prior(H)
    posterior(H) = exp score(H) / sum over all H

k_c of n_c requests with code c are bad, k in all. A hypothesis under which a new version *spares* requests is no
explanation of damage and is left out. With one code only (everybody went through it) there is nothing to compare with:
it explains as much as "something else", no more. Of several readings of "bad" the one is taken under which a
candidate stands out most, and every hypothesis but the empty one pays for that choice.

Requests are a sample, and each version has a share of its own in it. Which version answered is given, no outcome: each
version's requests count as evidence by how many were read, not by how many they stand for (Rao & Scott).

phi is the larger of the verdict's design effect and the overdispersion of these very counts over time, Pearson's X^2
over its degrees of freedom in the model with all candidates at once: damage that moves for reasons none of them knows
makes all evidence weaker.

Two candidates are *separated* when one without the other is 20 times as probable as the other without the one, "strong"
in Kass & Raftery. A step of distance halves the prior, three at most: by it alone nothing is ever separated.

Sources: Schwarz, "Estimating the dimension of a model" (1978); Kass & Raftery, "Bayes factors" (1995), secs. 3.2 and
4.1; McCullagh & Nelder, "Generalized linear models" (1989), sec. 4.5; Burnham & Anderson, "Model selection and
multimodel inference" (2002), sec. 2.5: c-hat from the global model; Rao & Scott, "A simple method for the analysis of
clustered binary data" (1992): counts over the design effect of their own group.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

import numpy as np

from onejob.explain.edges import Kinship
from onejob.explain.likelihood import codes, dose_response, gain, information, overdispersion, share
from onejob.explain.tables import Bools, Floats, Ints
from onejob.model.explanation import Relation

MAX_SUSPECTS = 3
SEPARATED = 20.0
_PER_STEP = 0.5
_MAX_STEPS = 3
_BOTH = 0.05  # that two deployments go wrong at once is rare; any small number does, as evidence soon outweighs it
_WEIGHED_TOGETHER = 6  # pairs are made of the best few: fifteen at most
_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A deployment that may have done it; `exposed` are the requests that went through its new version, shape (n,).

    `kinship` is None where no call leads from one service to the other. `is_by_time`: no span names its version, so
    that all requests to its service after it began are taken for exposed.
    """

    deployment_id: str
    service: str
    version: str
    began_at: datetime
    kinship: Kinship | None
    exposed: Bools
    is_by_time: bool = False

    def key(self) -> tuple[datetime, str, str, str]:
        """An order of its own, so that none is favoured by its place in a list."""
        return self.began_at, self.service, self.version, self.deployment_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Requests to the judged service, shape (n,) each: Unix seconds, and how many requests each stands for.

    `bad` are readings of which of them were hurt, each of shape (n,): several thresholds of latency, or the failed.
    `phi` is the design effect the verdict found. `version` numbers the versions that answered, as each was sampled
    apart; None where all were sampled alike.
    """

    at_s: Floats
    weight: Floats
    bad: tuple[Bools, ...]
    phi: float = 1.0
    version: Ints | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A candidate with what the evidence says of it; `alike` are those it cannot be told from.

    Shares are of bad ones in the chosen reading, a number of `Outcomes.bad`: among requests that went through it, and
    among those that did not, None where there were none of these. `dose` is the correlation over time of its share of
    the traffic with the share of bad requests, None where its share hardly moved.
    """

    candidate: Candidate
    posterior: float
    alike: tuple[Candidate, ...]
    exposed_share: float
    other_share: float | None
    exposed_requests: int
    other_requests: int
    dose: float | None
    reading: int


def rank(candidates: Sequence[Candidate], outcomes: Outcomes) -> list[Ranked]:
    """The candidates that may have done it, likeliest first, at most `MAX_SUSPECTS`, the judged one among them; none
    without a rival.

    What has no call to the service, or sent none of its requests through its new version, is no candidate. The order of
    `candidates` does not matter.
    """
    possible = sorted((c for c in candidates if c.kinship is not None and c.exposed.any()), key=Candidate.key)
    if len(possible) < 2:
        return []
    reading = _sharpest(possible, outcomes)
    believed = _posteriors(possible, outcomes, outcomes.bad[reading])
    shares = [sum(p for h, p in believed.items() if i in h) for i in range(len(possible))]
    order = sorted(range(len(possible)), key=lambda i: (-round(shares[i], 9), i))
    kept = order[:MAX_SUSPECTS]
    if (mine := _judged(possible)) not in kept and mine is not None:
        kept[-1] = mine
    return [_ranked(i, possible, shares[i], _alike(i, kept, believed), outcomes, reading) for i in kept]


def _judged(possible: Sequence[Candidate]) -> int | None:
    return next((i for i, c in enumerate(possible) if c.kinship and c.kinship.relation is Relation.ITSELF), None)


def _sharpest(possible: Sequence[Candidate], outcomes: Outcomes) -> int:
    """The reading of bad under which some candidate, whichever, stands out most."""
    most = []
    for bad in outcomes.bad:
        evidence = information(outcomes.weight, bad, outcomes.version)
        most.append(max(gain([c.exposed], bad, evidence) for c in possible))
    return int(np.argmax(most))


def _posteriors(possible: Sequence[Candidate], outcomes: Outcomes, bad: Bools) -> dict[frozenset[int], float]:
    singles = [frozenset({i}) for i in range(len(possible))]
    evidence = information(outcomes.weight, bad, outcomes.version)
    gains = {h: _gain_of(h, possible, bad, evidence) for h in singles}
    leading = sorted(range(len(possible)), key=lambda i: -gains[singles[i]])[:_WEIGHED_TOGETHER]
    together = [possible[i].exposed for i in leading]
    phi = max(1.0, outcomes.phi, overdispersion(together, outcomes.at_s, bad, evidence))
    pairs = [frozenset(pair) for pair in combinations(sorted(leading), 2)]
    gains |= {h: _gain_of(h, possible, bad, evidence) for h in pairs}
    per_rate = 0.5 * np.log1p(float(evidence[bad].sum()) / phi)
    chosen = np.log(len(outcomes.bad))
    scores = {
        h: gained / phi - per_rate * codes([possible[i].exposed for i in h]).max() - chosen + _log_prior(h, possible)
        for h, gained in gains.items()
    }
    return _normalised({_NONE: 0.0} | scores)


def _normalised(scores: dict[frozenset[int], float]) -> dict[frozenset[int], float]:
    most = max(scores.values())
    weights = {h: float(np.exp(score - most)) for h, score in scores.items()}
    whole = sum(weights.values())
    return {h: weight / whole for h, weight in weights.items()}


def _log_prior(hypothesis: frozenset[int], possible: Sequence[Candidate]) -> float:
    steps = [min(k.steps, _MAX_STEPS) for i in hypothesis if (k := possible[i].kinship) is not None]
    return float(np.log(_PER_STEP) * sum(steps) + np.log(_BOTH) * max(0, len(steps) - 1))


def _gain_of(h: frozenset[int], possible: Sequence[Candidate], bad: Bools, weight: Floats) -> float:
    return gain([possible[i].exposed for i in sorted(h)], bad, weight)


def _alike(i: int, kept: Iterable[int], believed: dict[frozenset[int], float]) -> list[int]:
    """Those of whom the evidence does not say whether they did it, or `i`."""
    return [j for j in kept if j != i and not _is_separated(i, j, believed)]


def _is_separated(i: int, j: int, believed: dict[frozenset[int], float]) -> bool:
    """Also where both did it, or another: then none is mistaken for the other."""
    mine, yours, both, others = (
        sum(p for h, p in believed.items() if h and (i in h) is me and (j in h) is you)
        for me, you in ((True, False), (False, True), (True, True), (False, False))
    )
    is_neither, is_both = others >= SEPARATED * (mine + yours + both), both >= SEPARATED * (mine + yours)
    return is_neither or is_both or max(mine, yours) >= SEPARATED * min(mine, yours)


def _ranked(
    i: int, possible: Sequence[Candidate], posterior: float, alike: list[int], outcomes: Outcomes, reading: int
) -> Ranked:
    mine = possible[i]
    weight, bad = outcomes.weight, outcomes.bad[reading]
    return Ranked(
        candidate=mine,
        posterior=min(1.0, posterior),
        alike=tuple(possible[j] for j in alike),
        exposed_share=share(bad, weight, mine.exposed) or 0.0,
        other_share=share(bad, weight, ~mine.exposed),
        exposed_requests=round(float(weight[mine.exposed].sum())),
        other_requests=round(float(weight[~mine.exposed].sum())),
        dose=dose_response(mine.exposed, outcomes.at_s, bad, weight),
        reading=reading,
    )
