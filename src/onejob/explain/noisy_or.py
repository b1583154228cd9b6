"""How much better two shares of damage explain the counts than one.

A version that hurts only some requests is modelled as a noisy-or: a request that would have been bad anyway stays so
(control's rate among such requests, q); of the others the version turns a share e bad, so that a treatment request is
bad with probability q + (1 - q) e. A property of requests explains the damage when e differs between those that have it
(`inside`) and the rest (`outside`); the *gain* is the log-likelihood ratio of two shares against one common share.

q is estimated from control within the property, so requests that are always slow, and properties that are themselves
consequences of a failure (they come with it in control too), gain nothing.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from onejob.explain.tables import Bools, Floats

_PRIOR = 2.0  # control requests that the overall rate is worth where a property is rare
_NEW_EXPECTED = 3.0  # requests control should have had: having none is then a 5 % coincidence
_BISECTIONS = 30


@dataclass(frozen=True, slots=True)
class Counts:
    """Weighted requests (n) and bad ones among them (b), of treatment (1) and control (0); scalars or vectors."""

    n1: Floats
    b1: Floats
    n0: Floats
    b0: Floats

    def minus(self, other: "Counts") -> "Counts":
        """The rest, never negative."""
        pairs = ((self.n1, other.n1), (self.b1, other.b1), (self.n0, other.n0), (self.b0, other.b0))
        return Counts(*(np.maximum(0.0, whole - part) for whole, part in pairs))


def cells(is_treatment: Bools, bad: Bools, weight: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """What each request adds to n1, b1, n0 and b0."""
    treatment, control = weight * is_treatment, weight * ~is_treatment
    return treatment, treatment * bad, control, control * bad


def totals(is_treatment: Bools, bad: Bools, weight: Floats) -> Counts:
    """Of all requests together."""
    return Counts(*(np.asarray(cell.sum()) for cell in cells(is_treatment, bad, weight)))


def gain(inside: Counts, whole: Counts) -> Floats:
    """Nats by which two shares explain better than one; -inf where the share inside is not the larger one."""
    outside = whole.minus(inside)
    rate_in, rate_out = _control_rate(inside, whole), _control_rate(outside, whole)
    share_in, share_out = _share(inside, rate_in), _share(outside, rate_out)
    common = _common_share(inside, rate_in, outside, rate_out)
    apart = _log_likelihood(inside, rate_in, share_in) + _log_likelihood(outside, rate_out, share_out)
    together = _log_likelihood(inside, rate_in, common) + _log_likelihood(outside, rate_out, common)
    return np.where(share_in > share_out, apart - together, -np.inf)


def coverage(inside: Counts, whole: Counts) -> float:
    """Share, in 0..1, of treatment's bad requests beyond control's rates that are inside."""
    outside = whole.minus(inside)
    within, without = (max(0.0, float(excess(part, _control_rate(part, whole)))) for part in (inside, outside))
    return within / (within + without) if within + without > 0 else 0.0


def lift(inside: Counts, whole: Counts) -> float:
    """How much likelier a treatment request inside is bad than one outside; both rates are kept off 0."""
    outside = whole.minus(inside)
    return float((inside.b1 + 0.5) / (inside.n1 + 1) / ((outside.b1 + 0.5) / (outside.n1 + 1)))


def excess(counts: Counts, control_rate: Floats | None = None) -> Floats:
    """Bad treatment requests beyond control's rate."""
    rate = _control_rate(counts, counts) if control_rate is None else control_rate
    beyond: Floats = counts.b1 - counts.n1 * rate
    return beyond


def is_new(inside: Counts, whole: Counts) -> Bools:
    """Control never has it, though with its number of requests it should."""
    expected = inside.n1 * whole.n0 / np.maximum(whole.n1, 1e-9)
    never: Bools = (inside.n0 == 0) & (expected >= _NEW_EXPECTED)
    return never


def _control_rate(part: Counts, whole: Counts) -> Floats:
    overall = (whole.b0 + 0.5) / (whole.n0 + 1)
    rate: Floats = (part.b0 + _PRIOR * overall) / (part.n0 + _PRIOR)
    return rate


def _share(counts: Counts, rate: Floats) -> Floats:
    """Most likely share of otherwise good requests that the version made bad."""
    observed = counts.b1 / np.maximum(counts.n1, 1e-9)
    return np.clip((observed - rate) / (1 - rate), 0.0, 1.0)


def _common_share(inside: Counts, rate_in: Floats, outside: Counts, rate_out: Floats) -> Floats:
    """The share most likely for both: root of the slope of the log-likelihood, which falls in it."""
    low, high = np.zeros_like(rate_in), np.ones_like(rate_in)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        is_below = _slope(inside, rate_in, middle) + _slope(outside, rate_out, middle) > 0
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return (low + high) / 2


def _slope(counts: Counts, rate: Floats, share: Floats) -> Floats:
    of_bad = counts.b1 * (1 - rate) / (rate + (1 - rate) * share)
    of_good = (counts.n1 - counts.b1) / (1 - share)
    slope: Floats = of_bad - of_good
    return slope


def _log_likelihood(counts: Counts, rate: Floats, share: Floats) -> Floats:
    probability = rate + (1 - rate) * share
    likelihood: Floats = xlogy(counts.b1, probability) + xlogy(counts.n1 - counts.b1, 1 - probability)
    return likelihood
