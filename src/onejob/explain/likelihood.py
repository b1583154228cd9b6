"""What counts of hurt requests say: how much likelier some of them make it that a new version did it.

The pieces of the model in `overlap.py`. `exposed` are the requests that went through each of some new versions, `bad`
the hurt ones, `weight` how much evidence each request is; all of shape (n,).
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import xlogy

from onejob.explain.tables import Bools, Floats, Ints

_BAD_PER_BIN = 10
_MAX_BINS = 60
_LEAST_FREEDOM = 5
_ROUNDING = 1e-9


def gain(exposed: Sequence[Bools], bad: Bools, weight: Floats) -> float:
    """log L(H) - log L(something else), >= 0; -inf where a new version would spare requests."""
    if not _hurts(exposed, bad, weight):
        return -np.inf
    code = codes(exposed)
    n, k = (np.bincount(code, each).astype(np.float64) for each in (weight, weight * bad))
    return float(_log_likelihood(k, n).sum() - _log_likelihood(k.sum(keepdims=True), n.sum(keepdims=True)).sum())


def information(stands_for: Floats, bad: Bools, version: Ints | None) -> Floats:
    """How much evidence each request is: of each version a bad one counts once, however many it stands for; of a
    version without bad ones, each does.
    """
    version = np.zeros(len(bad), dtype=np.int64) if version is None else version
    read, all_of_it = np.bincount(version), np.bincount(version, stands_for)
    bad_read, all_bad = np.bincount(version, bad), np.bincount(version, stands_for * bad)
    each = np.where(bad_read > 0, all_bad / np.maximum(bad_read, 1), all_of_it / np.maximum(read, 1))
    evidence: Floats = stands_for / np.maximum(1.0, each)[version]
    return evidence


def codes(exposed: Sequence[Bools]) -> Ints:
    """Numbers from 0 for the combinations that occur."""
    combined = np.zeros(len(exposed[0]), dtype=np.int64)
    for bit, mine in enumerate(exposed):
        combined |= mine.astype(np.int64) << bit
    occurs = np.bincount(combined) > 0
    numbered: Ints = (np.cumsum(occurs) - 1)[combined]
    return numbered


def overdispersion(exposed: Sequence[Bools], at_s: Floats, bad: Bools, weight: Floats) -> float:
    """X^2 / df of bins of time within codes; 1 where there are too few to say."""
    bins = _bins(at_s, bad)
    code = codes(exposed)
    cells = np.unique(bins * (code.max() + 1) + code, return_inverse=True)[1]
    n = np.bincount(cells, weight)
    k = np.bincount(cells, weight * bad)
    code_of = np.zeros(len(n), dtype=np.int64)
    code_of[cells] = code
    rate = np.bincount(code_of, k) / np.maximum(np.bincount(code_of, n), 1e-12)
    expected = n * rate[code_of]
    variance = expected * (1 - rate[code_of])
    told = variance >= 1  # rarer ones make X^2 jump
    freedom = int(told.sum()) - len(np.unique(code_of[told]))
    if freedom < _LEAST_FREEDOM:
        return 1.0
    return float(((k - expected)[told] ** 2 / variance[told]).sum() / freedom)


def share(bad: Bools, weight: Floats, among: Bools) -> float | None:
    """Of these requests; None where there are none."""
    whole = float(weight[among].sum())
    return float(weight[among & bad].sum()) / whole if whole > 0 else None


def dose_response(exposed: Bools, at_s: Floats, bad: Bools, weight: Floats) -> float | None:
    """Correlation over time of the share exposed with the share hurt; None where one of them hardly moved."""
    bins = _bins(at_s, bad)
    n = np.bincount(bins, weight)
    dose, response = (np.bincount(bins, weight * part) / np.maximum(n, 1e-12) for part in (exposed, bad))
    levels = np.unique(np.round(dose, 1))
    if len(levels) < 3 or response.std() == 0:
        return None
    return float(np.corrcoef(dose, response)[0, 1])


def _hurts(exposed: Sequence[Bools], bad: Bools, weight: Floats) -> bool:
    """Is each of them, the others being the same, followed by no fewer bad requests than chance would put there?

    Summed over the others' levels as Mantel & Haenszel (1959) do: a level with few requests decides nothing.
    """
    for place, mine in enumerate(exposed):
        others = [other for number, other in enumerate(exposed) if number != place]
        level = codes(others) if others else np.zeros(len(bad), dtype=np.int64)
        n, k, n1, k1 = (np.bincount(level, weight * part) for part in (1.0, bad, mine, mine & bad))
        if (k1 - k * n1 / np.maximum(n, 1e-12)).sum() < -_ROUNDING * k.sum():
            return False
    return True


def _log_likelihood(k: Floats, n: Floats) -> Floats:
    k = np.clip(k, 0.0, n)
    rate = np.divide(k, n, out=np.zeros_like(k), where=n > 0)
    likelihood: Floats = xlogy(k, rate) + xlogy(n - k, 1 - rate)
    return likelihood


def _bins(at_s: Floats, bad: Bools) -> Ints:
    """Numbers of stretches of time with as many requests each."""
    count = int(np.clip(bad.sum() // _BAD_PER_BIN, 1, _MAX_BINS))
    edges = np.quantile(at_s, np.linspace(0, 1, count + 1)[1:-1])
    return np.searchsorted(edges, at_s, side="right").astype(np.int64)
