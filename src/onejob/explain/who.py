"""Who is hurt: the attribute values that the damage concentrates on.

Each value is scored by its gain (`noisy_or.py`) less a complexity penalty: choosing one of the k values of an attribute
costs log k, so that a session that was slow once, or one tenant of a hurt class, loses against the class. The values
that gain most are then weighed against each other, alone and two or three together (`localise.py`); the best of them
that is beyond chance is taken. The search is greedy: requests that it explains are removed, and the rest is searched
again.

Values that control never has, though by its size it should, may be consequences as well as causes (nothing tells them
apart): they are marked new, and count half. Attributes whose values the arms do not share at all identify the arm, or
the single request, and are left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from onejob.explain.localise import Leaves, combinations
from onejob.explain.membership import Membership
from onejob.explain.noisy_or import Counts, cells, coverage, excess, gain, is_new, lift, totals
from onejob.explain.reading import Requests
from onejob.explain.tables import Bools, Floats, Ints

MAX_FOUND = 5
MIN_SCORE = 3.0  # nats: a Bayes factor of 20 after paying for the choice
_MIN_REQUESTS = 3.0
_MIN_BAD = 2.0
_EVERYONE = 0.98  # a value of nearly all requests explains nothing
_REST_WORTH_SEARCHING = 0.1
_SEEDS = 40
_MARGIN = 2.0  # nats by which a combination must be surer than the best single value
_NEW_WORTH = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Concentration:
    """A value, or several together. Numbers are about treatment's requests; `has` masks the requests of both arms.

    `score` is in nats, the evidence less the price of the choice.
    `twins` are other values of exactly the same requests: the data cannot tell them apart. `customers` is how many had
    one of the bad requests.
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
    customers: int = 0


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
        """The best value; or two or three together, where they earn their complexity."""
        counts = Counts(*(self.members.has.T @ cell for cell in self._cells()))
        gains = np.where(self.allowed, self._gains(counts), -np.inf)
        costs = np.log(np.maximum(2, self.members.distinct))
        single = self._first_of_best(gains - costs, preferred)
        best = _Choice((single,), float(gains[single] - costs[single]))
        together = self._best_together(self._by_gain(gains, preferred), costs, best)
        choice = together or best
        return choice if choice.score >= MIN_SCORE else None

    def _first_of_best(self, scores: Floats, preferred: Sequence[str]) -> int:
        """The best; among equals the preferred name, then the first of the alphabet."""
        equals = np.flatnonzero(scores >= scores.max() - 1e-9).tolist()
        return int(min(equals, key=self._preference(preferred)))

    def _by_gain(self, gains: Floats, preferred: Sequence[str]) -> Ints:
        """The values that explain most by themselves; among equals the preferred name comes first."""
        preference = self._preference(preferred)
        rounded = np.round(gains, 6)
        useful = np.flatnonzero(np.isfinite(gains)).tolist()
        return np.array(sorted(useful, key=lambda i: (-rounded[i], preference(i)))[:_SEEDS], dtype=np.int64)

    def _preference(self, preferred: Sequence[str]) -> Callable[[int], tuple[int, tuple[str, str]]]:
        rank = {name: place for place, name in enumerate(preferred)}
        values = self.members.values
        return lambda i: (rank.get(values[i][0], len(rank)), values[i])

    def _best_together(self, seeds: Ints, costs: Floats, single: _Choice) -> _Choice | None:
        """Of these values, those that together say best who is hurt."""
        if len(seeds) < 2:
            return None
        has = self.members.has[:, seeds].toarray() > 0
        new = is_new(Counts(*(has.T @ cell for cell in self._cells())), self.whole)
        for found in combinations(self._leaves(has), np.where(new, _NEW_WORTH, 1.0)):
            columns = tuple(int(seeds[c]) for c in found.columns)
            if columns == single.columns:
                return None
            choice = _Choice(columns, self._score(has[:, list(found.columns)].all(axis=1), costs[list(columns)].sum()))
            if choice.score >= max(single.score, 0) + (_MARGIN if len(columns) > 1 else 0.0):
                return choice
        return None

    def _score(self, inside: Bools, cost: float) -> float:
        counts = Counts(*(np.array([cell[inside].sum()]) for cell in self._cells()))
        return float(self._gains(counts)[0] - cost)

    def _leaves(self, has: Bools) -> Leaves:
        """Requests that have the same of these values, counted together."""
        packed = np.packbits(has, axis=1)
        _, first, kind = np.unique(packed, axis=0, return_index=True, return_inverse=True)
        n1, b1, n0, b0 = (np.bincount(kind.reshape(-1), weights=cell).astype(float) for cell in self._cells())
        return Leaves(has=has[first], n1=n1, b1=b1, n0=n0, b0=b0)

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
        customers=_customers(requests, bad & has),
    )


def _customers(requests: Requests, hurt: Bools) -> int:
    """Among those looked into: there may be more."""
    rows = np.flatnonzero(hurt & requests.is_treatment) if requests.customer else ()
    return len({requests.customer[row] for row in rows} - {""})


def _twins(members: Membership, column: int, has: Bools) -> tuple[tuple[str, str], ...]:
    overlap: Ints = members.has.T @ (has * 1.0)
    sizes = np.diff(members.has.indptr)
    same = np.flatnonzero((overlap == has.sum()) & (sizes == has.sum()))
    return tuple(members.values[i] for i in same.tolist() if i != column)
