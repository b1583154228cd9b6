"""Rates of requests from sampled spans.

Spans that failed stand for w_x requests each, the others for w_n. A share q of spans is then the share
p = f q / (f q + 1 - q) of requests, f = w_x / w_n: it rises with q, so what holds of q (an interval) holds of p. Where
spans of one outcome count unlike, p scatters more than q, by Kish's design effect n sum w^2 / (sum w)^2 ("Survey
Sampling", 1965, sec. 11.7), in which w varies within outcomes only: between them it is f that is undone.

Symbols: n, x = spans, and failed ones; A, B = the requests they stand for; S = sum of squares of w over spans.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sampled:
    """Of (control, treatment): requests that spans stand for, the share that failed, and the design effect.

    `factors` are f, shape (arm,); NaN where an arm has not shown both outcomes.
    """

    requests: tuple[int, int]
    rates: tuple[float, float]
    kish: tuple[float, float]
    factors: Floats

    def undone(self, ends: Floats, *, is_low: bool) -> Floats:
        """Ends of intervals of q as those of p. An arm that does not show its f has the wider of 1 and the other's."""
        known = np.append(self.factors[~np.isnan(self.factors)], 1.0)
        f = np.where(np.isnan(self.factors), known.min() if is_low else known.max(), self.factors)
        result: Floats = f * ends / (f * ends + 1 - ends)
        return result


def sampled(spans: Ints, failed: Ints, sums: Floats) -> Sampled | None:
    """None where every span stands for itself. `spans`, `failed`: shape (arm,); `sums`: (A, B, S) of each arm."""
    a, b, squares = sums
    if (a == spans).all() and (b == failed).all():
        return None
    n, x = spans.astype(float), failed.astype(float)
    shows = (x > 0) & (x < n) & (b > 0) & (b < a)
    of_failed, of_others = _each(b, x), np.where(shows, _each(a - b, n - x), 1.0)
    kish = np.maximum(1.0, 1 + n * within(n, x, a, b, squares) / np.maximum(a, 1.0) ** 2)
    return Sampled(
        requests=(round(float(a[0])), round(float(a[1]))),
        rates=(float(b[0] / max(a[0], 1.0)), float(b[1] / max(a[1], 1.0))),
        kish=(float(kish[0]), float(kish[1])),
        factors=np.where(shows, of_failed / of_others, np.nan),
    )


def within(n: Floats, x: Floats, a: Floats, b: Floats, squares: Floats) -> Floats:
    """What is left of S without what outcomes differ by: the sum of squares of w around the mean of its outcome."""
    between: Floats = b * _each(b, x) + (a - b) * _each(a - b, n - x)
    result: Floats = np.maximum(squares - between, 0.0)
    return result


def requests(timed: Ints, spans: Ints, adjusted: Floats) -> tuple[int, int] | None:
    """What the timed spans of each arm stand for; None where every span stands for itself."""
    if (adjusted == spans).all():
        return None
    control, treatment = np.rint(timed * adjusted / np.maximum(spans, 1)).astype(int).tolist()
    return control, treatment


def spread(one: Sampled | None) -> Floats:
    """By how much more than spans rates of requests scatter, per arm."""
    return np.ones(2) if one is None else np.array(one.kish)


def _each(amount: Floats, number: Floats) -> Floats:
    result: Floats = amount / np.where(number > 0, number, 1.0)
    return result
