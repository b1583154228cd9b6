"""Who is hurt: the attribute values that the damage concentrates on.

A version that hurts only some requests is modelled as a noisy-or: a request that would have been bad anyway stays so
(control's rate among requests with the value, q); of the others the version turns a share e bad. A value explains the
damage when e differs between the requests with and without it; the *gain* is the log-likelihood ratio of "two shares"
against "one share". Comparing with control within the value means that requests that are always slow, or values that
are themselves consequences of a failure, gain nothing.

From the gain a complexity penalty is taken: choosing one of k values of an attribute costs log k, so that a session id
that was bad once or a tenant that is part of a hurt class loses against the class. Pairs pay for both parts. The search
is greedy: what the best value explains is removed, and the rest is searched again.

Values that control never has, though it should have by its size, may be consequences as well as causes (nothing tells
them apart): they are marked new, and count half. Attributes whose values the arms do not share at all identify the arm,
or the single request, and are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from onejob.explain.membership import Membership
from onejob.explain.reading import Bools, Floats, Ints, Requests

MAX_FOUND = 5
_MIN_SCORE = 3.0  # nats: a Bayes factor of 20 after paying for the choice
_MIN_REQUESTS = 3.0
_MIN_BAD = 2.0
_EVERYONE = 0.98  # a value of nearly all requests explains nothing
_REST_WORTH_SEARCHING = 0.1
_PAIR_SEEDS = 60
_PAIR_MARGIN = 2.0
_NEW_WORTH = 0.5
_NEW_EXPECTED = 3.0  # requests control should have had: having none is then a 5 % coincidence
_PRIOR = 2.0  # control requests that the overall rate is worth where a value is rare
_BISECTIONS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Concentration:
    """A value, or two together, and the treatment requests it is about; `has` masks the requests of both arms."""

    literals: tuple[tuple[str, str], ...]
    lift: float
    coverage: float
    rest_share: float
    bad: int
    total: int
    is_new: bool
    has: Bools
    twins: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Counts:
    """Weighted requests and bad ones among them, of treatment (1) and control (0)."""

    n1: Floats
    b1: Floats
    n0: Floats
    b0: Floats

    def minus(self, other: "_Counts") -> "_Counts":
        return _Counts(*(np.maximum(0.0, a - b) for a, b in zip(self._all(), other._all(), strict=True)))

    def at(self, index: int) -> "_Counts":
        return _Counts(*(values[index] for values in self._all()))

    def _all(self) -> tuple[Floats, Floats, Floats, Floats]:
        return self.n1, self.b1, self.n0, self.b0


@dataclass(frozen=True, slots=True)
class _Choice:
    columns: tuple[int, ...]
    score: float


def concentrations(
    requests: Requests, bad: Bools, members: Membership, preferred: Sequence[str] = ()
) -> list[Concentration]:
    """The values that carry the damage, most telling first; none when it spares nobody. `preferred` names win ties."""
    allowed = np.flatnonzero(_is_shared_by_arms(members, requests.is_treatment))
    remaining = np.ones(len(requests), dtype=np.bool_)
    found: list[Concentration] = []
    excess = _excess(requests, bad, remaining)
    while len(found) < MAX_FOUND and _excess(requests, bad, remaining) > _REST_WORTH_SEARCHING * excess > 0:
        weight = requests.weight * remaining
        choice = _best(members, allowed, requests.is_treatment, bad, weight, preferred)
        if choice is None:
            break
        has = _requests_with_all(members, choice.columns)
        found.append(_describe(requests, bad, members, choice, has))
        remaining &= ~has
    return found


def _excess(requests: Requests, bad: Bools, among: Bools) -> float:
    """Bad treatment requests beyond control's rate."""
    weight, is_treatment = requests.weight * among, requests.is_treatment
    totals = _totals(is_treatment, bad, weight)
    rate = (totals.b0 + 0.5) / (totals.n0 + 1)
    return float(totals.b1 - totals.n1 * rate)


def _best(
    members: Membership, allowed: Ints, is_treatment: Bools, bad: Bools, weight: Floats, preferred: Sequence[str]
) -> _Choice | None:
    """The best value, or pair where it earns its complexity."""
    totals = _totals(is_treatment, bad, weight)
    counts = _Counts(*(members.has.T @ w for w in _cells(is_treatment, bad, weight)))
    gain = _gain(counts, totals)
    cost = np.log(np.maximum(2, members.distinct))
    score = np.where(np.isin(np.arange(len(gain)), allowed), gain - cost, -np.inf)
    if not len(score):
        return None
    single = _first_of_best(score, members, preferred)
    best = _Choice((single,), float(score[single]))
    pair = _best_pair(members, score, cost, gain, is_treatment, bad, weight)
    if pair is not None and pair.score > max(best.score, 0) + _PAIR_MARGIN:
        best = pair
    return best if best.score >= _MIN_SCORE else None


def _first_of_best(score: Floats, members: Membership, preferred: Sequence[str]) -> int:
    """The best; among equals the preferred name, then the first of the alphabet."""
    equals = np.flatnonzero(score >= score.max() - 1e-9).tolist()
    rank = {name: place for place, name in enumerate(preferred)}
    return min(equals, key=lambda i: (rank.get(members.values[i][0], len(rank)), members.values[i]))


def _best_pair(
    members: Membership, score: Floats, cost: Floats, gain: Floats, is_treatment: Bools, bad: Bools, weight: Floats
) -> _Choice | None:
    seeds = np.argsort(-np.where(np.isfinite(score), gain, -np.inf), kind="stable")[:_PAIR_SEEDS]
    seeds = seeds[np.isfinite(gain[seeds]) & np.isfinite(score[seeds])]
    if len(seeds) < 2:
        return None
    has = members.has[:, seeds].toarray()
    first, second = np.triu_indices(len(seeds), 1)
    together = [(has.T @ (has * w[:, None]))[first, second] for w in _cells(is_treatment, bad, weight)]
    scores = _gain(_Counts(*together), _totals(is_treatment, bad, weight)) - cost[seeds[first]] - cost[seeds[second]]
    best = int(np.argmax(scores))
    if not np.isfinite(scores[best]):
        return None
    columns = sorted((int(seeds[first[best]]), int(seeds[second[best]])), key=lambda c: (-score[c], members.values[c]))
    return _Choice(tuple(columns), float(scores[best]))


def _gain(inside: _Counts, totals: _Counts) -> Floats:
    """Log-likelihood gain of two shares over one; -inf where a value cannot be an explanation."""
    outside = totals.minus(inside)
    rate = (totals.b0 + 0.5) / (totals.n0 + 1)
    rate_in = (inside.b0 + _PRIOR * rate) / (inside.n0 + _PRIOR)
    rate_out = (outside.b0 + _PRIOR * rate) / (outside.n0 + _PRIOR)
    share_in, share_out = _share(inside, rate_in), _share(outside, rate_out)
    share = _common_share(inside, rate_in, outside, rate_out)
    gain = (
        _log_likelihood(inside, rate_in, share_in) + _log_likelihood(outside, rate_out, share_out)
        - _log_likelihood(inside, rate_in, share) - _log_likelihood(outside, rate_out, share)
    )  # fmt: skip
    gain = np.where(_is_new(inside, totals), gain * _NEW_WORTH, gain)
    is_possible = (inside.n1 >= _MIN_REQUESTS) & (inside.b1 >= _MIN_BAD) & (inside.n1 <= _EVERYONE * totals.n1)
    return np.where(is_possible & (share_in > share_out), gain, -np.inf)


def _share(counts: _Counts, rate: Floats) -> Floats:
    """Most likely share of otherwise good requests that the version made bad."""
    observed = counts.b1 / np.maximum(counts.n1, 1e-9)
    return np.clip((observed - rate) / (1 - rate), 0.0, 1.0)


def _common_share(inside: _Counts, rate_in: Floats, outside: _Counts, rate_out: Floats) -> Floats:
    """The share most likely for both: root of the score function, which falls in it."""
    low, high = np.zeros_like(inside.n1), np.ones_like(inside.n1)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        slope = _slope(inside, rate_in, middle) + _slope(outside, rate_out, middle)
        low, high = np.where(slope > 0, middle, low), np.where(slope > 0, high, middle)
    return (low + high) / 2


def _slope(counts: _Counts, rate: Floats, share: Floats) -> Floats:
    """Of the log-likelihood, in the share."""
    is_bad = counts.b1 * (1 - rate) / (rate + (1 - rate) * share)
    is_good = (counts.n1 - counts.b1) / (1 - share)
    slope: Floats = is_bad - is_good
    return slope


def _log_likelihood(counts: _Counts, rate: Floats, share: Floats) -> Floats:
    probability = rate + (1 - rate) * share
    likelihood: Floats = xlogy(counts.b1, probability) + xlogy(counts.n1 - counts.b1, 1 - probability)
    return likelihood


def _is_new(inside: _Counts, totals: _Counts) -> Bools:
    expected = inside.n1 * totals.n0 / np.maximum(totals.n1, 1e-9)
    is_new: Bools = (inside.n0 == 0) & (expected >= _NEW_EXPECTED)
    return is_new


def _cells(is_treatment: Bools, bad: Bools, weight: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    treatment, control = weight * is_treatment, weight * ~is_treatment
    return treatment, treatment * bad, control, control * bad


def _totals(is_treatment: Bools, bad: Bools, weight: Floats) -> _Counts:
    return _Counts(*(np.asarray(cell.sum()) for cell in _cells(is_treatment, bad, weight)))


def _requests_with_all(members: Membership, columns: Sequence[int]) -> Bools:
    has = members.requests_with(columns[0])
    for column in columns[1:]:
        has &= members.requests_with(column)
    return has


def _is_shared_by_arms(members: Membership, is_treatment: Bools) -> Bools:
    """Per value: whether its attribute has some value in both arms, or is itself new with the version."""
    in_treatment = members.has.T @ (is_treatment * 1.0) > 0
    in_control = members.has.T @ (~is_treatment * 1.0) > 0
    shared, known = set(), set()
    for (name, _), is_in_treatment, is_in_control in zip(members.values, in_treatment, in_control, strict=True):
        if is_in_control:
            known.add(name)
            if is_in_treatment:
                shared.add(name)
    return np.array([name in shared or name not in known for name, _ in members.values], dtype=np.bool_)


def _describe(requests: Requests, bad: Bools, members: Membership, choice: _Choice, has: Bools) -> Concentration:
    """The numbers of a value among all requests, also of those another value explained before."""
    totals = _totals(requests.is_treatment, bad, requests.weight)
    inside = _totals(requests.is_treatment, bad, requests.weight * has)
    outside = totals.minus(inside)
    return Concentration(
        literals=tuple(members.values[column] for column in choice.columns),
        lift=float((inside.b1 + 0.5) / (inside.n1 + 1) / ((outside.b1 + 0.5) / (outside.n1 + 1))),
        coverage=_coverage(inside, outside, totals),
        rest_share=float((inside.n1 - inside.b1) / max(totals.n1 - totals.b1, 1e-9)),
        bad=round(float(inside.b1)),
        total=round(float(inside.n1)),
        is_new=bool(_is_new(inside, totals)),
        has=has,
        twins=_twins(members, choice, has) if len(choice.columns) == 1 else (),
    )


def _coverage(inside: _Counts, outside: _Counts, totals: _Counts) -> float:
    rate = (totals.b0 + 0.5) / (totals.n0 + 1)
    within, without = (float(c.b1 - c.n1 * (c.b0 + _PRIOR * rate) / (c.n0 + _PRIOR)) for c in (inside, outside))
    return max(0.0, within) / whole if (whole := max(0.0, within) + max(0.0, without)) > 0 else 0.0


def _twins(members: Membership, choice: _Choice, has: Bools) -> tuple[tuple[str, str], ...]:
    """Values of exactly the same requests: the data cannot tell them apart."""
    overlap = members.has.T @ (has * 1.0)
    sizes = np.diff(members.has.indptr)
    same = np.flatnonzero((overlap == has.sum()) & (sizes == has.sum()))
    return tuple(members.values[i] for i in same.tolist() if i not in choice.columns)
