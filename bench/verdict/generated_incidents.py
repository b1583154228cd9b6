"""Generated incidents: faults in combinations of attribute values, in the manner of RiskLoc's data sets S, L and H.

A kind of request is a combination of all attributes' values; kinds have Weibull volumes, and some have none. In some
places something breaks: combinations of values of some attributes (S, H) or of all of them (L), in which a share of the
requests fails (Kalander 2022, arXiv 2205.10004, gives sizes and ranges). There a kind has one value and a forecast of
it; here it has requests of two arms, of which one in a thousand fails anyway, more or less so by the noise level. As
the product does, at most 5,000 requests of each arm and outcome are read.

What is asked for are the combinations with a twentieth of the damage or more: less is neither missed nor false.
Ours puts three values together at most, so it cannot name what L breaks; what it names instead is counted as false.

Beside ours, on single values and pairs, the scores of `robustspot`. They do not say how many causes there are, so they
are told: flattered rivals.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations as choose
from pathlib import Path

import numpy as np
from bench.verdict import workers
from bench.verdict.results import Measure, Row, Unit, share
from bench.verdict.robustspot import BASELINES, Cause, damage
from numpy.typing import NDArray
from scipy import sparse

from onejob.explain.membership import Membership
from onejob.explain.reading import MAX_REQUESTS, Requests
from onejob.explain.who import concentrations

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CASES, CASES_QUICK = 30, 2
REQUESTS = 1_000_000  # of each arm
FAILING = 0.001
LEAST_SHARE = 0.05  # of the damage, to be asked for
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the data sets: how many values each attribute has, and ranges to draw a case from."""

    name: str
    sizes: tuple[int, ...]
    noise: float = 0.25
    severity: tuple[float, float] = (0.2, 1.0)
    deviation: float = 0.1
    faults: int = 3
    places: int = 3  # of each fault, with the same attributes
    is_deepest: bool = False  # is a place one combination of all attributes?


KINDS = (
    Kind("S", (10, 12, 10, 8, 5)),
    Kind("L", (10, 24, 10, 15), noise=0.1, severity=(0.5, 1.0), deviation=0.0, faults=5, places=1, is_deepest=True),
    Kind("H", (10, 5, 250, 20, 8, 12)),
)


@dataclass(frozen=True, slots=True)
class Case:
    """Requests as codes, shape (request, attribute), of both arms and outcomes; what is wrong, and what is a little."""

    codes: Ints
    is_treatment: NDArray[np.bool_]
    is_failed: NDArray[np.bool_]
    weight: Floats
    causes: frozenset[Cause]
    small: frozenset[Cause]


@dataclass(frozen=True, slots=True)
class Found:
    """What was named: (right, wrong, missing) by judge; and the CPU seconds of ours."""

    counts: dict[str, tuple[int, int, int]]
    seconds: float


def rows(_: Path, quick: bool) -> list[Row]:
    """Per data set and judge: F1 over causes, and how often they are named exactly."""
    out = []
    for kind in KINDS:
        found = workers.each(partial(one, kind), range(CASES_QUICK if quick else CASES))
        for who in ("onejob", *BASELINES):
            counts = np.array([each.counts[who] for each in found])
            out.append(_f1(kind, who, counts))
            exact = int((counts[:, 1:].sum(axis=1) == 0).sum())
            out.append(share(Measure.LOCALISATION, f"generated {kind.name}: exact", exact, len(found), who=who))
        slowest = max(each.seconds for each in found)
        name = f"generated {kind.name}: the slowest answer"
        out.append(Row(measure=Measure.LOCALISATION, name=name, value=slowest, unit=Unit.SECONDS, n=len(found)))
    return out


def _f1(kind: Kind, who: str, counts: Ints) -> Row:
    """Of all cases together, with an interval from drawing cases with replacement."""
    picks = np.random.default_rng(1).integers(0, len(counts), (_RESAMPLES, len(counts)))
    right, wrong, missing = np.moveaxis(np.concatenate([counts[picks].sum(axis=1), [counts.sum(axis=0)]]), 1, 0)
    f1 = 2 * right / np.maximum(1, 2 * right + wrong + missing)
    low, high = (float(end) for end in np.quantile(f1[:-1], (0.025, 0.975)))
    name = f"generated {kind.name}: F1"
    return Row(measure=Measure.LOCALISATION, name=name, value=float(f1[-1]), low=low, high=high, n=len(counts), who=who)


def one(kind: Kind, seed: int) -> Found:
    """Judge the case of this seed."""
    case = drawn(kind, seed)
    requests, members = as_requests(case)
    began = time.process_time()
    named = [frozenset(found.literals) for found in concentrations(requests, case.is_failed, members)]
    took = time.process_time() - began
    counts = {"onejob": _counted(case, named)}
    for who in BASELINES:
        counts[who] = _counted(case, ranking(case, who)[: len(case.causes)])
    return Found(counts, took)


def _counted(case: Case, named: Sequence[Cause]) -> tuple[int, int, int]:
    asked = set(named) - case.small
    return len(asked & case.causes), len(asked - case.causes), len(case.causes - asked)


def drawn(kind: Kind, seed: int) -> Case:
    """The case of this seed."""
    rng = np.random.default_rng([seed, *kind.sizes])
    volume = rng.standard_exponential(kind.sizes, dtype=np.float32) ** np.float32(1 / rng.uniform(0.5, 1.0))
    volume *= rng.random(kind.sizes, dtype=np.float32) >= rng.uniform(0, 0.25)
    volume *= REQUESTS / volume.sum(dtype=float)
    noise = rng.uniform(0, kind.noise)
    rates = [FAILING * _wandering(rng, noise, kind.sizes) for _ in range(2)]
    broken, damages = np.zeros(kind.sizes, dtype=np.float32), {}
    for fault in places(kind, rng):
        severity = rng.uniform(*kind.severity)
        deviation = rng.uniform(0, kind.deviation)
        for place in fault:
            inside = tuple(place.get(at, slice(None)) for at in range(len(kind.sizes)))
            broken[inside] = np.clip(rng.normal(severity, deviation, broken[inside].shape), 0, 1)
            damages[literals(place)] = float((volume[inside] * broken[inside]).sum())
    rates[1] = 1 - (1 - rates[1]) * (1 - broken)
    total = float((volume * broken).sum(dtype=float))
    causes = frozenset(cause for cause, size in damages.items() if size > 0 and size >= LEAST_SHARE * total)
    return _read(rng, volume, rates, causes, frozenset(damages) - causes)


def _wandering(rng: np.random.Generator, noise: float, sizes: tuple[int, ...]) -> NDArray[np.float32]:
    return np.maximum(0, 1 + np.float32(noise) * rng.standard_normal(sizes, dtype=np.float32))


def places(kind: Kind, rng: np.random.Generator) -> list[list[dict[int, int]]]:
    """Of each fault, combinations as {attribute: value}; no value of an attribute is used twice."""
    attributes, free = len(kind.sizes), [rng.permutation(size).tolist() for size in kind.sizes]
    found: list[list[dict[int, int]]] = []
    seen: set[tuple[int, ...]] = set()
    for _ in range(rng.integers(1, kind.faults, endpoint=True)):
        level = attributes if kind.is_deepest else int(rng.integers(1, attributes, endpoint=True))
        chosen = tuple(sorted(rng.choice(attributes, level, replace=False).tolist()))
        wanted = int(rng.integers(1, kind.places, endpoint=True))
        if chosen not in seen or kind.is_deepest:
            possible = min(wanted, *(len(free[at]) for at in chosen))
            found.append([{at: free[at].pop() for at in chosen} for _ in range(possible)])
            seen.add(chosen)
    return found


def literals(place: dict[int, int]) -> Cause:
    return frozenset((_NAMES[at], str(value)) for at, value in place.items())


_NAMES = "abcdef"


def _read(
    rng: np.random.Generator,
    volume: NDArray[np.float32],
    rates: Sequence[NDArray[np.float32]],
    causes: frozenset[Cause],
    small: frozenset[Cause],
) -> Case:
    """Requests at random of each arm and outcome, each standing for as many as it must."""
    codes, weights = [], []
    for rate in rates:
        for part in (1 - rate, rate):
            summed = (volume * part).ravel().cumsum(dtype=float)
            n = int(min(MAX_REQUESTS, round(summed[-1])))
            at = np.searchsorted(summed, rng.random(n) * summed[-1], side="right")
            codes.append(np.stack(np.unravel_index(np.minimum(at, summed.size - 1), volume.shape), axis=1))
            weights.append(np.full(n, summed[-1] / max(1, n)))
    sizes = [len(part) for part in codes]
    return Case(
        codes=np.concatenate(codes),
        is_treatment=np.repeat([False, False, True, True], sizes),
        is_failed=np.repeat([False, True, False, True], sizes),
        weight=np.concatenate(weights),
        causes=causes,
        small=small,
    )


def as_requests(case: Case) -> tuple[Requests, Membership]:
    """As explaining has them."""
    many, attributes = case.codes.shape
    key = case.codes + np.arange(attributes) * (int(case.codes.max()) + 1)
    known, column = np.unique(key, return_inverse=True)
    name, value = np.divmod(known, int(case.codes.max()) + 1)
    request = np.repeat(np.arange(many), attributes)
    has = sparse.csc_array((np.ones(request.size), (request, column.ravel())), shape=(many, len(known)))
    values = tuple((_NAMES[n], str(v)) for n, v in zip(name.tolist(), value.tolist(), strict=True))
    requests = Requests(
        operation="", trace_id=("",) * many, span_key=np.arange(many, dtype=np.uint64),
        is_treatment=case.is_treatment, is_failed=case.is_failed, start_ns=np.zeros(many, dtype=np.int64),
        duration_ns=np.zeros(many, dtype=np.int64), weight=case.weight,
    )  # fmt: skip
    return requests, Membership(values=values, name=name, distinct=np.bincount(name)[name], has=has)


def ranking(case: Case, who: str) -> list[Cause]:
    """The best single values and pairs by a baseline's score."""
    arm, bad = case.is_treatment, case.is_failed
    of_each = [np.where(mine, case.weight, 0.0) for mine in (arm, arm & bad, ~arm, ~arm & bad)]
    whole = np.array([values.sum() for values in of_each])
    scored: list[tuple[float, Cause]] = []
    for size in (1, 2):
        for at in choose(range(case.codes.shape[1]), size):
            kinds, which = np.unique(case.codes[:, at], axis=0, return_inverse=True)
            sums = np.array([np.bincount(which.ravel(), values) for values in of_each])
            scores = damage(sums, whole, who)
            for best in np.argsort(-scores, kind="stable")[: len(case.causes)].tolist():
                place = dict(zip(at, kinds[best].tolist(), strict=True))
                scored.append((float(scores[best]), literals(place)))
    return [cause for _, cause in sorted(scored, key=lambda each: (-each[0], len(each[1]), sorted(each[1])))]
