"""Who is hurt: the attribute values that the damage concentrates on.

Each value is scored by its gain (`noisy_or.py`) less a complexity penalty: choosing one of the k values of an attribute
costs log k, so that a session that was slow once, or one tenant of a hurt class, loses against the class. Pairs pay for
both parts, and must beat the best single value. The search is greedy: requests that the best value explains are
removed, and the rest is searched again.

Values that control never has, though by its size it should, may be consequences as well as causes (nothing tells them
apart): they are marked new, and count half. Attributes whose values the arms do not share at all identify the arm, or
the single request, and are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from onejob.explain.membership import Membership
from onejob.explain.noisy_or import Counts, cells, coverage, excess, gain, is_new, lift, totals
from onejob.explain.reading import Bools, Floats, Ints, Requests

MAX_FOUND = 5
MIN_SCORE = 3.0  # nats: a Bayes factor of 20 after paying for the choice
_MIN_REQUESTS = 3.0
_MIN_BAD = 2.0
_EVERYONE = 0.98  # a value of nearly all requests explains nothing
_REST_WORTH_SEARCHING = 0.1
_PAIR_SEEDS = 60
_PAIR_MARGIN = 2.0
_NEW_WORTH = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Concentration:
    """A value, or two together. Numbers are about treatment's requests; `has` masks the requests of both arms.

    `score` is in nats, the evidence less the price of the choice.
    `twins` are other values of exactly the same requests: the data cannot tell them apart.
    """

    literals: tuple[tuple[str, str], ...]
    score: float
    lift: float
    coverage: float
    rest_share: float
    bad: int
    total: int
    is_new: bool
    has: Bools
    twins: tuple[tuple[str, str], ...] = ()


def concentrations(
    requests: Requests, bad: Bools, members: Membership, preferred: Sequence[str] = ()
) -> list[Concentration]:
    """The values that carry the damage, most telling first; none when it spares nobody. `preferred` names win ties."""
    whole = float(excess(totals(requests.is_treatment, bad, requests.weight)))
    allowed = _is_shared_by_arms(members, requests.is_treatment)
    remaining = np.ones(len(requests), dtype=np.bool_)
    found: list[Concentration] = []
    while len(found) < MAX_FOUND and len(members.values):
        search = _Search(members, allowed, requests.is_treatment, bad, requests.weight * remaining)
        if excess(search.whole) <= max(0.0, _REST_WORTH_SEARCHING * whole):
            break
        choice = search.best(preferred)
        if choice is None:
            break
        has = _requests_with_all(members, choice.columns)
        found.append(_describe(requests, bad, members, choice, has))
        remaining &= ~has
    return found


@dataclass(frozen=True, slots=True)
class _Choice:
    columns: tuple[int, ...]
    score: float


@dataclass(slots=True)
class _Search:
    """One round of the greedy search; `weight` is 0 for requests that are explained already."""

    members: Membership
    allowed: Bools
    is_treatment: Bools
    bad: Bools
    weight: Floats
    whole: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.whole = totals(self.is_treatment, self.bad, self.weight)

    def best(self, preferred: Sequence[str]) -> _Choice | None:
        """The best value, or pair where it earns its complexity."""
        counts = Counts(*(self.members.has.T @ cell for cell in self._cells()))
        gains = np.where(self.allowed, self._gains(counts), -np.inf)
        costs = np.log(np.maximum(2, self.members.distinct))
        single = self._first_of_best(gains - costs, preferred)
        best = _Choice((single,), float(gains[single] - costs[single]))
        pair = self._best_pair(gains, costs)
        if pair is not None and pair.score > max(best.score, 0) + _PAIR_MARGIN:
            best = pair
        return best if best.score >= MIN_SCORE else None

    def _first_of_best(self, scores: Floats, preferred: Sequence[str]) -> int:
        """The best; among equals the preferred name, then the first of the alphabet."""
        equals = np.flatnonzero(scores >= scores.max() - 1e-9).tolist()
        rank = {name: place for place, name in enumerate(preferred)}
        values = self.members.values
        return int(min(equals, key=lambda i: (rank.get(values[i][0], len(rank)), values[i])))

    def _best_pair(self, gains: Floats, costs: Floats) -> _Choice | None:
        """Of the values that explain most by themselves, the two that explain most together."""
        seeds = np.argsort(-gains, kind="stable")[:_PAIR_SEEDS]
        seeds = seeds[np.isfinite(gains[seeds])]
        if len(seeds) < 2:
            return None
        has = self.members.has[:, seeds]
        first, second = np.triu_indices(len(seeds), 1)
        # Sparse on purpose: dense products start BLAS threads, which cost 50 times as much on a busy machine.
        together = [(has.T @ (sparse.diags_array(cell) @ has)).toarray() for cell in self._cells()]
        counts = Counts(*(sums[first, second] for sums in together))
        scores = self._gains(counts) - costs[seeds[first]] - costs[seeds[second]]
        best = int(np.argmax(scores))
        columns = sorted((int(seeds[first[best]]), int(seeds[second[best]])), key=lambda i: (-gains[i], i))
        return _Choice(tuple(columns), float(scores[best]))

    def _gains(self, inside: Counts) -> Floats:
        gains = gain(inside, self.whole)
        gains = np.where(is_new(inside, self.whole), gains * _NEW_WORTH, gains)
        is_enough = (inside.n1 >= _MIN_REQUESTS) & (inside.b1 >= _MIN_BAD)
        return np.where(is_enough & (inside.n1 <= _EVERYONE * self.whole.n1), gains, -np.inf)

    def _cells(self) -> tuple[Floats, Floats, Floats, Floats]:
        return cells(self.is_treatment, self.bad, self.weight)


def _is_shared_by_arms(members: Membership, is_treatment: Bools) -> Bools:
    """Per value: whether its attribute has some value in both arms, or is itself new with the version."""
    in_treatment = members.has.T @ (is_treatment * 1.0) > 0
    in_control = members.has.T @ (~is_treatment * 1.0) > 0
    of_name = members.name
    count = int(of_name.max()) + 1 if len(of_name) else 0
    shared = np.bincount(of_name, in_treatment & in_control, minlength=count) > 0
    known = np.bincount(of_name, in_control, minlength=count) > 0
    allowed: Bools = (shared | ~known)[of_name]
    return allowed


def _requests_with_all(members: Membership, columns: Sequence[int]) -> Bools:
    has = members.requests_with(columns[0])
    for column in columns[1:]:
        has &= members.requests_with(column)
    return has


def _describe(requests: Requests, bad: Bools, members: Membership, choice: _Choice, has: Bools) -> Concentration:
    """The numbers of a value among all requests, also those that another value explained before."""
    whole = totals(requests.is_treatment, bad, requests.weight)
    inside = totals(requests.is_treatment, bad, requests.weight * has)
    return Concentration(
        literals=tuple(members.values[column] for column in choice.columns),
        score=choice.score,
        lift=lift(inside, whole),
        coverage=coverage(inside, whole),
        rest_share=float((inside.n1 - inside.b1) / np.maximum(whole.n1 - whole.b1, 1e-9)),
        bad=round(float(inside.b1)),
        total=round(float(inside.n1)),
        is_new=bool(is_new(inside, whole)),
        has=has,
        twins=_twins(members, choice.columns[0], has) if len(choice.columns) == 1 else (),
    )


def _twins(members: Membership, column: int, has: Bools) -> tuple[tuple[str, str], ...]:
    overlap: Ints = members.has.T @ (has * 1.0)
    sizes = np.diff(members.has.indptr)
    same = np.flatnonzero((overlap == has.sum()) & (sizes == has.sum()))
    return tuple(members.values[i] for i in same.tolist() if i != column)
