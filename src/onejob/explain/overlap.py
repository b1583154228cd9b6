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
    score(H)  = log L(H) / phi - (|codes| - 1) / 2 * log(1 + k / phi) + log prior(H)
    posterior(H) = exp score(H) / sum over all H

k_c of n_c requests with code c are bad, k in all. A hypothesis under which a new version *spares* requests is no
explanation of damage and is left out. With one code only (everybody went through it) there is nothing to compare with:
it explains as much as "something else", no more.

phi is the larger of the verdict's design effect and the overdispersion of these very counts over time, Pearson's X^2
over its degrees of freedom in the model with all candidates at once: damage that moves for reasons none of them knows
makes all evidence weaker.

Two candidates are *separated* when one without the other is 20 times as probable as the other without the one, "strong"
in Kass & Raftery. A step of distance halves the prior, three at most: by it alone nothing is ever separated.

Sources: Schwarz, "Estimating the dimension of a model" (1978); Kass & Raftery, "Bayes factors" (1995), secs. 3.2 and
4.1; McCullagh & Nelder, "Generalized linear models" (1989), sec. 4.5; Burnham & Anderson, "Model selection and
multimodel inference" (2002), sec. 2.5: c-hat from the global model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

import numpy as np
from scipy.special import xlogy

from onejob.explain.edges import Kinship
from onejob.explain.tables import Bools, Floats, Ints

MAX_SUSPECTS = 3
SEPARATED = 20.0
_PER_STEP = 0.5
_MAX_STEPS = 3
_BOTH = 0.05  # that two deployments go wrong at once is rare; any small number does, as evidence soon outweighs it
_WEIGHED_TOGETHER = 6  # pairs are made of the best few: fifteen at most
_BAD_PER_BIN = 10
_MAX_BINS = 60
_LEAST_FREEDOM = 5
_ROUNDING = 1e-9
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
    `phi` is the design effect the verdict found.
    """

    at_s: Floats
    weight: Floats
    bad: tuple[Bools, ...]
    phi: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A candidate with what the evidence says of it; `alike` are those it cannot be told from.

    Shares are of bad ones in the chosen reading: among requests that went through it, and among those that did not,
    None where there were none of these. `dose` is the correlation over time of its share of the traffic with the share
    of bad requests, None where its share hardly moved.
    """

    candidate: Candidate
    posterior: float
    alike: tuple[Candidate, ...]
    exposed_share: float
    other_share: float | None
    exposed_requests: int
    other_requests: int
    dose: float | None


def rank(candidates: Sequence[Candidate], outcomes: Outcomes) -> list[Ranked]:
    """The candidates that may have done it, likeliest first, at most `MAX_SUSPECTS`; none without a rival.

    What has no call to the service, or sent none of its requests through its new version, is no candidate. The order of
    `candidates` does not matter.
    """
    possible = sorted((c for c in candidates if c.kinship is not None and c.exposed.any()), key=Candidate.key)
    if len(possible) < 2:
        return []
    bad = _sharpest(possible, outcomes)
    believed = _posteriors(possible, outcomes, bad)
    shares = [sum(p for h, p in believed.items() if i in h) for i in range(len(possible))]
    order = sorted(range(len(possible)), key=lambda i: (-round(shares[i], 9), i))
    kept = order[:MAX_SUSPECTS]
    return [_ranked(i, possible, shares[i], _alike(i, kept, believed), outcomes, bad) for i in kept]


def _sharpest(possible: Sequence[Candidate], outcomes: Outcomes) -> Bools:
    """The reading of bad under which some candidate, whichever, stands out most."""
    gains = [max(_gain([c.exposed], bad, outcomes.weight) for c in possible) for bad in outcomes.bad]
    return outcomes.bad[int(np.argmax(gains))]


def _posteriors(possible: Sequence[Candidate], outcomes: Outcomes, bad: Bools) -> dict[frozenset[int], float]:
    singles = [frozenset({i}) for i in range(len(possible))]
    information = _per_bad_request(outcomes.weight, bad)
    gains = {h: _gain_of(h, possible, bad, information) for h in singles}
    leading = sorted(range(len(possible)), key=lambda i: -gains[singles[i]])[:_WEIGHED_TOGETHER]
    together = [possible[i].exposed for i in leading]
    phi = max(1.0, outcomes.phi, _overdispersion(together, outcomes.at_s, bad, information))
    pairs = [frozenset(pair) for pair in combinations(sorted(leading), 2)]
    gains |= {h: _gain_of(h, possible, bad, information) for h in pairs}
    price = 0.5 * np.log1p(float(information[bad].sum()) / phi)
    scores = {
        h: gain / phi - price * (_codes([possible[i].exposed for i in h]).max()) + _log_prior(h, possible)
        for h, gain in gains.items()
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
    return _gain([possible[i].exposed for i in sorted(h)], bad, weight)


def _gain(exposed: Sequence[Bools], bad: Bools, weight: Floats) -> float:
    """log L(H) - log L(something else), >= 0; -inf where a new version would spare requests."""
    codes = _codes(exposed)
    if not _hurts(exposed, bad, weight):
        return -np.inf
    n, k = (np.bincount(codes, each).astype(np.float64) for each in (weight, weight * bad))
    return float(_log_likelihood(k, n).sum() - _log_likelihood(k.sum(keepdims=True), n.sum(keepdims=True)).sum())


def _hurts(exposed: Sequence[Bools], bad: Bools, weight: Floats) -> bool:
    """Is each of them, the others being the same, followed by no fewer bad requests than chance would put there?

    Summed over the others' levels as Mantel & Haenszel (1959) do: a level with few requests decides nothing.
    """
    for place, mine in enumerate(exposed):
        others = [other for number, other in enumerate(exposed) if number != place]
        level = _codes(others) if others else np.zeros(len(bad), dtype=np.int64)
        n, k, n1, k1 = (np.bincount(level, weight * part) for part in (1.0, bad, mine, mine & bad))
        if (k1 - k * n1 / np.maximum(n, 1e-12)).sum() < -_ROUNDING * k.sum():
            return False
    return True


def _share(bad: Bools, weight: Floats, among: Bools) -> float | None:
    whole = float(weight[among].sum())
    return float(weight[among & bad].sum()) / whole if whole > 0 else None


def _codes(exposed: Sequence[Bools]) -> Ints:
    """Numbers from 0 for the combinations that occur."""
    combined = np.zeros(len(exposed[0]), dtype=np.int64)
    for bit, mine in enumerate(exposed):
        combined |= mine.astype(np.int64) << bit
    return np.unique(combined, return_inverse=True)[1].astype(np.int64)


def _log_likelihood(k: Floats, n: Floats) -> Floats:
    k = np.clip(k, 0.0, n)
    rate = np.divide(k, n, out=np.zeros_like(k), where=n > 0)
    likelihood: Floats = xlogy(k, rate) + xlogy(n - k, 1 - rate)
    return likelihood


def _per_bad_request(weight: Floats, bad: Bools) -> Floats:
    """Weights for counting evidence: a bad request that was read counts once, however many it stands for."""
    mean = float(weight[bad].mean()) if bad.any() else 1.0
    return weight / max(1.0, mean)


def _overdispersion(exposed: Sequence[Bools], at_s: Floats, bad: Bools, weight: Floats) -> float:
    """X^2 / df of bins of time within codes; 1 where there are too few to say."""
    bins = _bins(at_s, bad)
    codes = _codes(exposed)
    cells = np.unique(np.stack((bins, codes)), axis=1, return_inverse=True)[1].ravel()
    n = np.bincount(cells, weight)
    k = np.bincount(cells, weight * bad)
    code_of = np.zeros(len(n), dtype=np.int64)
    code_of[cells] = codes
    rate = np.bincount(code_of, k) / np.maximum(np.bincount(code_of, n), 1e-12)
    expected = n * rate[code_of]
    variance = expected * (1 - rate[code_of])
    told = variance >= 1  # rarer ones make X^2 jump
    freedom = int(told.sum()) - len(np.unique(code_of[told]))
    if freedom < _LEAST_FREEDOM:
        return 1.0
    return float(((k - expected)[told] ** 2 / variance[told]).sum() / freedom)


def _bins(at_s: Floats, bad: Bools) -> Ints:
    """Numbers of stretches of time with as many requests each."""
    count = int(np.clip(bad.sum() // _BAD_PER_BIN, 1, _MAX_BINS))
    edges = np.quantile(at_s, np.linspace(0, 1, count + 1)[1:-1])
    return np.searchsorted(edges, at_s, side="right").astype(np.int64)


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
    i: int, possible: Sequence[Candidate], posterior: float, alike: list[int], outcomes: Outcomes, bad: Bools
) -> Ranked:
    mine = possible[i]
    weight = outcomes.weight
    return Ranked(
        candidate=mine,
        posterior=min(1.0, posterior),
        alike=tuple(possible[j] for j in alike),
        exposed_share=_share(bad, weight, mine.exposed) or 0.0,
        other_share=_share(bad, weight, ~mine.exposed),
        exposed_requests=round(float(weight[mine.exposed].sum())),
        other_requests=round(float(weight[~mine.exposed].sum())),
        dose=_dose_response(mine.exposed, outcomes.at_s, bad, weight),
    )


def _dose_response(exposed: Bools, at_s: Floats, bad: Bools, weight: Floats) -> float | None:
    bins = _bins(at_s, bad)
    n = np.bincount(bins, weight)
    dose, response = (np.bincount(bins, weight * part) / np.maximum(n, 1e-12) for part in (exposed, bad))
    levels = np.unique(np.round(dose, 1))
    if len(levels) < 3 or response.std() == 0:
        return None
    return float(np.corrcoef(dose, response)[0, 1])
