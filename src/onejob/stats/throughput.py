"""Are there fewer, or more, of something than there should be? Counts against an expectation, valid at every look.

With an expectation e known before each bin, counts are Poisson(lambda e). Against the null lambda >= lambda_0 the
likelihood ratio is averaged over a gamma distribution of lambda cut off at lambda_0 (and the other way round for more):

    E = 1/P integral of (lambda / lambda_0)^X exp(-(lambda - lambda_0) M) dGamma(lambda; a, a),   X = sum x, M = sum e

It is an e-process at lambda_0 by Ville, and for every larger lambda as the ratio falls in X. It depends on the sums
alone, and has a closed form in incomplete gamma functions (the conjugate mixture of Robbins 1970; for Poisson processes
Howard, Ramdas, McAuliffe & Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", 2021,
gamma-Poisson).

Where the expectation is the other arm, it is random itself. Then, given k events in both arms of a bin, those of the
treatment are Binomial(k, pi), pi = rho e1 / (rho e1 + e0) with e0, e1 the arms' exposures (requests, or instances) and
rho the ratio of rates: the likelihood ratio of rho theta_j against rho is a product over bins, whatever the base
rate does from bin to bin. All rho that are never refuted are a confidence sequence for the ratio.

Symbols: X, M, lambda, a as above; e0, e1 = exposures; x0, x1 = counts; k = x0 + x1; theta_j = exp(LOG_RATIOS).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from onejob.stats.core_test import LOG_RATIOS
from onejob.stats.mixture import log_mean, log_sum

Floats = NDArray[np.float64]

# Bets on rates that are off by a tenth and by a half: shape a of the gamma, whose sd is 1 / sqrt(a).
_SHAPES = np.array([100.0, 4.0])
_TERMS = 400
_MOST_TERMS = 200_000
# Ratios tested for the interval: 2 % apart up to half and twice, then 10 % up to a tenth and tenfold.
_NEAR = np.arange(0.0, np.log(2.0), 0.02)
_FAR = np.arange(np.log(2.0), np.log(10.0) + 0.1, 0.1)
LOG_RHO: Floats = np.unique(np.concatenate([-_FAR, -_NEAR, _NEAR, _FAR]))


def log_evidence(observed: float, expected: float, slack: float = 1.0) -> tuple[float, float]:
    """Log E for (fewer than expected / slack, more than expected * slack), from the sums over all bins.

    `slack` >= 1 is what the expectation may be wrong by. Both sums are divided by the design effect beforehand.

    >>> log_evidence(0.0, 0.0)
    (0.0, 0.0)
    """
    if expected <= 0:
        return 0.0, 0.0
    fewer = [_log_mixture(observed, expected, 1 / slack, a, is_fewer=True) for a in _SHAPES]
    more = [_log_mixture(observed, expected, slack, a, is_fewer=False) for a in _SHAPES]
    return float(log_mean(np.array(fewer))), float(log_mean(np.array(more)))


def _log_mixture(x: float, m: float, bound: float, a: float, *, is_fewer: bool) -> float:
    """Log of the average over lambda beyond `bound` of the likelihood ratio against it."""
    whole = a * np.log(a) - gammaln(a) + gammaln(a + x) - (a + x) * np.log(a + m)
    part = _log_gamma_cdf(a + x, (a + m) * bound, is_fewer) - _log_gamma_cdf(a, a * bound, is_fewer)
    return float(whole + part - x * np.log(bound) + bound * m)


def _log_gamma_cdf(shape: float, at: float, is_lower: bool) -> float:
    """Log of P(shape, at), or of Q(shape, at); by series and continued fraction, so that nothing underflows."""
    if at < shape + 1:
        lower = _log_lower(shape, at)
        return lower if is_lower else float(np.log1p(-np.exp(min(lower, -1e-16))))
    upper = _log_upper(shape, at)
    return float(np.log1p(-np.exp(min(upper, -1e-16)))) if is_lower else upper


def _log_lower(shape: float, at: float) -> float:
    """P(s, x) = x^s e^-x / Gamma(s + 1) (1 + x/(s+1) + x^2/((s+1)(s+2)) + ...), for x < s + 1."""
    terms = int(min(_MOST_TERMS, _TERMS + 12 * np.sqrt(shape)))
    steps = np.log(at) - np.log(shape + np.arange(1, terms))
    series = float(log_sum(np.concatenate([[0.0], np.cumsum(steps)])))
    return float(shape * np.log(at) - at - gammaln(shape + 1)) + series


def _log_upper(shape: float, at: float) -> float:
    """Q(s, x) = x^s e^-x / Gamma(s) times a continued fraction (Lentz), for x >= s + 1."""
    b = at + 1 - shape
    c, d = 1e300, 1 / b
    h = d
    for i in range(1, int(min(_MOST_TERMS, _TERMS + 12 * np.sqrt(shape)))):
        an = -i * (i - shape)
        b += 2
        d = 1 / (an * d + b)
        c = b + an / c
        h *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return float(shape * np.log(at) - at - gammaln(shape) + np.log(h))


class PairedCounts:
    """Running evidence on the ratio of two arms' rates; what is added is divided by phi."""

    def __init__(self) -> None:
        self.counts: Floats = np.zeros(2)  # control, treatment
        self.exposures: Floats = np.zeros(2)
        self.expected = 0.0  # of treatment, at control's rate in the same bins
        self._log_e: Floats = np.zeros((2, len(LOG_RHO), len(LOG_RATIOS)))
        self._refuted: NDArray[np.bool_] = np.zeros((2, len(LOG_RHO)), dtype=bool)

    def add(self, counts: Floats, exposures: Floats, phi: float, bar: float) -> None:
        """Bins of shape (2, bins): control, treatment. `bar` = log(2 / alpha) refutes a ratio for good."""
        used = (exposures > 0).all(axis=0)
        x, e = counts[:, used], exposures[:, used]
        if not x.size:
            return
        self.counts, self.exposures = self.counts + x.sum(axis=1), self.exposures + e.sum(axis=1)
        self.expected += float((x[0] * e[1] / e[0]).sum())
        self._log_e += _added(x, e) / phi
        self._refuted |= log_mean(self._log_e, axis=2) >= bar

    def log_evidence(self, log_allowance: float) -> tuple[float, float]:
        """Log E that treatment's rate is (above control's times the allowance, below control's over it)."""
        above = int(np.searchsorted(LOG_RHO, log_allowance - 1e-9))
        below = int(np.searchsorted(LOG_RHO, -log_allowance + 1e-9, side="right")) - 1
        side = log_mean(self._log_e, axis=2)
        return float(side[0, min(above, len(LOG_RHO) - 1)]), float(side[1, max(below, 0)])

    def ratio(self) -> float | None:
        """Treatment's count over what control's rate in the same bins makes of its exposure."""
        return float(self.counts[1] / self.expected) if self.expected else None

    def interval(self) -> tuple[float | None, float | None]:
        """The ratios next to the outermost that were never refuted; None where none is refuted on that side."""
        low, high = np.flatnonzero(self._refuted[0]), np.flatnonzero(self._refuted[1])
        return (
            float(np.exp(LOG_RHO[low[-1]])) if len(low) else None,
            float(np.exp(LOG_RHO[high[0]])) if len(high) else None,
        )


def _added(x: Floats, e: Floats) -> Floats:
    """Summed log likelihood ratios: side 0 bets on more than rho says, side 1 on fewer; shape (2, rho, theta)."""
    k = x.sum(axis=0)
    scaled = np.exp(LOG_RHO)[:, None] * e[1]
    pi = scaled / (scaled + e[0])  # rho, bins
    events = np.array([x[1].sum(), x[0].sum()])
    cost = np.stack(
        [[(k * np.log1p(part * np.expm1(theta))).sum(axis=1) for theta in LOG_RATIOS] for part in (pi, 1 - pi)]
    )
    result: Floats = events[:, None, None] * LOG_RATIOS - cost.transpose(0, 2, 1)
    return result


def residual_ratio(x_i: Floats, e_i: Floats, x: Floats, e: Floats) -> tuple[float, int]:
    """Squared residuals of control's instances over what independent events give, and how many.

    x_i, e_i: count and exposure of one instance in a bin; x, e: of all of control in that bin.
    """
    usable = (x > 0) & (e_i > 0) & (e_i < e)
    if not usable.any():
        return 0.0, 0
    x_i, e_i, x, e = (a[usable].astype(float) for a in (x_i, e_i, x, e))
    p = e_i / e
    return float(((x_i - x * p) ** 2 / (x * p * (1 - p))).sum()), len(x)
