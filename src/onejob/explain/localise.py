"""Which combination of values carries the damage: one, two or three together, weighed against each other.

By likelihood alone the narrowest combination wins wherever traffic is dense, as any real difference between two kinds
of requests is then beyond doubt: `bitrate = 4000 & device = phone` beats `bitrate = 4000`, though tablets suffer too.
What people want to hear is the widest set that is hurt throughout. So a combination is scored by

    share of the explainable likelihood x coverage of the excess - price a literal

Requests alike in all values are one leaf, with a rate of its own that control shows; leaves of one kind differ beyond
chance, so a leaf of n requests counts as n / (1 + n rho) of them (the design effect of clusters, Kish 1965). The model
is the noisy-or of `noisy_or.py` per leaf: inside the combination a share e of otherwise good requests turned bad, and
another, smaller share outside. "Explainable" is what a share for every leaf of its own would gain.

Symbols: n, b = treatment's requests of a leaf, and the bad ones; q = control's rate there; e = share turned bad.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from onejob.explain.tables import Bools, Floats

# Chosen on the public RobustSpot incidents, not finely: rho in 0.001..0.05 and prices in 0.05..0.1 all name 78-82 %.
RHO = 0.01
PRICE = 0.1
MOST_LITERALS = 3
_LEAST_COVERAGE = 0.1  # of the excess: less is another, smaller finding
_PRIOR = 5.0  # control requests that the overall rate is worth in a leaf
_EXTENDED = 40  # the best pairs are tried with a third value
_CHUNK = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaves:
    """Kinds of requests. `has` is (leaves, values): which values a kind has; the others have one element a leaf.

    n1, b1 are treatment's requests and bad ones, n0, b0 control's.
    """

    has: Bools
    n1: Floats
    b1: Floats
    n0: Floats
    b0: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """Columns of `Leaves.has` that go together, with their score; coverage is in 0..1."""

    columns: tuple[int, ...]
    score: float
    coverage: float


def combinations(leaves: Leaves, worth: Floats) -> list[Combination]:
    """All combinations that cover a tenth of the excess or more and are hurt more than the rest; the best first.

    `worth` in 0..1 discounts what a value explains, shape (values,). Empty when treatment has no excess.
    """
    model = _Model(leaves)
    if model.excess <= 0 or model.explainable <= 0:
        return []
    singles = _scored(model, [(column,) for column in range(leaves.has.shape[1])], worth)
    pairs = _scored(model, _extended(singles, singles), worth)
    best_pairs = sorted(pairs, key=_rank)[:_EXTENDED]
    triples = _scored(model, _extended(best_pairs, singles), worth)
    return sorted([*singles, *pairs, *triples], key=_rank)


class _Model:
    """What all combinations are compared by; arrays over leaves."""

    def __init__(self, leaves: Leaves) -> None:
        overall = (leaves.b0.sum() + 0.5) / (leaves.n0.sum() + 1)
        self.has = leaves.has
        self.q = (leaves.b0 + _PRIOR * overall) / (leaves.n0 + _PRIOR)
        self.beyond = leaves.b1 - leaves.n1 * self.q
        self.excess = float(self.beyond.sum())
        weight = 1 / (1 + RHO * leaves.n1)
        self.n, self.b = leaves.n1 * weight, leaves.b1 * weight
        self.common = self.log_likelihood(_share(self.b.sum(), self.n.sum(), (self.n * self.q).sum())).sum()
        own = self.log_likelihood(_share(self.b, self.n, self.n * self.q)).sum()
        self.explainable = float(own - self.common)

    def log_likelihood(self, e: Floats) -> Floats:
        """Per leaf (last axis), when a share e of otherwise good requests turned bad."""
        p = np.clip(self.q + (1 - self.q) * e, 1e-12, 1 - 1e-12)
        result: Floats = xlogy(self.b, p) + xlogy(self.n - self.b, 1 - p)
        return result


def _scored(model: _Model, sets: list[tuple[int, ...]], worth: Floats) -> list[Combination]:
    found = []
    step = max(1, _CHUNK // max(1, len(model.n)))
    for start in range(0, len(sets), step):
        some = sets[start : start + step]
        inside = np.stack([model.has[:, columns].all(axis=1) for columns in some])
        coverage = inside @ model.beyond / model.excess
        wide = np.flatnonzero(coverage >= _LEAST_COVERAGE)
        for at, explained in zip(wide.tolist(), _explained(model, inside[wide]), strict=True):
            if explained > 0:
                covered = float(min(1.0, coverage[at]))
                gained = explained * float(worth[list(some[at])].min()) * covered
                found.append(Combination(columns=some[at], score=gained - PRICE * len(some[at]), coverage=covered))
    return found


def _explained(model: _Model, inside: Bools) -> list[float]:
    """Share of the explainable likelihood that two shares of damage explain; 0 where the inside is not the worse."""
    n, b, base = (inside @ values for values in (model.n, model.b, model.n * model.q))
    within = _share(b, n, base)
    without = _share(model.b.sum() - b, model.n.sum() - n, (model.n * model.q).sum() - base)
    gained = model.log_likelihood(np.where(inside, within[:, None], without[:, None])).sum(axis=1) - model.common
    shares: list[float] = np.where(within > without, gained / model.explainable, 0.0).tolist()
    return shares


def _share(bad: Floats, n: Floats, base: Floats) -> Floats:
    """Most likely share of otherwise good requests that turned bad, from sums over leaves."""
    return np.clip((bad - base) / np.maximum(n - base, 1e-9), 0.0, 1.0)


def _extended(sets: list[Combination], singles: list[Combination]) -> list[tuple[int, ...]]:
    """Each set with one more value."""
    more = {tuple(sorted({*a.columns, *b.columns})) for a in sets for b in singles if b.columns[0] not in a.columns}
    return sorted(more)


def _rank(found: Combination) -> tuple[float, int, tuple[int, ...]]:
    return -found.score, len(found.columns), found.columns
