"""Is the mean of a sequence above or below zero, when its noise has an unknown spread and an unknown memory?

Problem: after a few dozen values nobody can tell a shifted level from noise that remembers (AR(1) with coefficient
r), so a t-test takes one for the other: with r = 0.8 it alarms in 40 % of sequences without a shift. Estimating r and
correcting for it does not help early, when the estimate is poor. Solution: the best explanation *without* a shift,
whatever its memory, has to be beaten. With h_t the standard deviation of z_t up to a factor, and

    alternative:  z_t = a h_t + r z_{t-1} + e_t,   a ~ N(0, sigma^2 / kappa),  r = 0 or uniform on [0, 1]
    null:         z_t =         r z_{t-1} + e_t,   z_0 of the stationary distribution,  0 <= r <= r_max

the evidence is the marginal likelihood of the alternative over the largest likelihood under the null, both of them of
what remains when the scale sigma is not known (right Haar prior on it). For every r up to r_max the denominator is at
least the true likelihood, so this is an e-process for stationary Gaussian AR(1) noise: "universal inference" of
Wasserman, Ramdas & Balakrishnan (PNAS 2020, section 7), on the scale invariants of Wang & Ramdas, "Anytime-valid
t-tests and confidence sequences for Gaussian means with unknown variance" (2024, section 4), whose t-test it is for
r_max = 0.

With the quadratics in r

    Q0(r) = (1 - r^2) z_0^2 + sum_{t>=1} (z_t - r z_{t-1})^2,
    Qa(r) = sum (z_t - r z_{t-1})^2 - (sum h_t (z_t - r z_{t-1}))^2 / (W + kappa),

    E = sqrt(kappa / (W + kappa)) (Qa(0)^(-m/2) + integral of Qa(r)^(-m/2) dr) / 2 / min_r Q0(r)^(-m/2)

(the factor sqrt(1 - r^2) <= 1 of the null is left away, which only makes E smaller). The integral is of Student's form.

Symbols: m = number of values; W = sum h^2; kappa as above; r_max = `most_memory`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, stdtr

from onejob.stats.mixture import log_mean

Floats = NDArray[np.float64]

_LEAST_LOG_E = -50.0  # below, a probability is no longer a number; what is against a hypothesis need not be told apart
_ROUNDING = 1e-12  # a sum of squares that is smaller in proportion to the whole is no more than rounding


@dataclass(frozen=True, slots=True)
class Sums:
    """Of sequences z, each over its own values with z_{-1} = 0.

    Shape (lengths, n): of `lengths` kinds of sequences, `n` of each; what they have in common is of shape (lengths, 1).
    """

    number: Floats  # m, at least 2
    weight: Floats  # W
    most_memory: Floats  # r_max; 0 in all, or in none
    first: Floats  # z_0
    squares: Floats  # sum z_t^2, above 0
    products: Floats  # sum z_t z_{t-1}
    before: Floats  # sum z_{t-1}^2
    level: Floats  # sum h_t z_t
    level_before: Floats  # sum h_t z_{t-1}


def one_sided(sums: Sums, kappa: Floats) -> Floats:
    """Log E for a mean (above, below) zero, averaged over `kappa` (lengths, kappas); shape (2, lengths, n).

    A side's evidence is that of both, times twice the posterior probability of that side; with memory, where that is
    only nearly the evidence of one side, times at most 1. What is no number is no evidence.
    """
    kappas = kappa.T[:, :, None]
    has_memory = bool(sums.most_memory.any())
    with np.errstate(over="ignore", invalid="ignore"):  # squares of what is astronomical: then nothing is known
        weight = sums.weight + kappas
        left = np.maximum(sums.squares - sums.level**2 / weight, _ROUNDING * sums.squares)
        likelihood = _log_power(left, sums.number)
        if has_memory:
            likelihood = np.logaddexp(likelihood, _log_with_memory(sums, weight)) - np.log(2.0)
        log_e = 0.5 * np.log(kappas / weight) + likelihood - _log_power(_least_without_shift(sums), sums.number)
        t = sums.level / np.sqrt(weight * left / sums.number)
        sided = log_e + _log_signs(t, sums.number, 1.0 if has_memory else 2.0)
    return log_mean(np.where(np.isfinite(sided), np.maximum(sided, _LEAST_LOG_E), 0.0), axis=1)


def _log_power(q: Floats, number: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        result: Floats = -number / 2 * np.log(q)
    return result


def _log_signs(t: Floats, number: Floats, most: float) -> Floats:
    """Log of twice the posterior probability of each side, but of no more than `most`."""
    one = stdtr(number, -np.abs(t))
    above, below = np.where(t > 0, 1 - one, one), np.where(t > 0, one, 1 - one)
    with np.errstate(divide="ignore"):
        result: Floats = np.maximum(np.log(np.minimum(2 * np.stack([above, below]), most)), 2 * _LEAST_LOG_E)
    return result


def _least_without_shift(sums: Sums) -> Floats:
    """min Q0(r) over 0 <= r <= r_max, a parabola that may open either way."""
    steep = sums.before - sums.first**2
    vertex = np.divide(sums.products, steep, out=np.zeros_like(steep), where=steep > 0)
    most = np.broadcast_to(sums.most_memory, vertex.shape)
    memories = np.stack([np.zeros_like(vertex), np.clip(vertex, 0.0, most), most])
    least: Floats = (sums.squares - 2 * memories * sums.products + memories**2 * steep).min(axis=0)
    return np.maximum(least, _ROUNDING * sums.squares)


def _log_with_memory(sums: Sums, weight: Floats) -> Floats:
    """Log of the integral of Qa(r)^(-m/2) over r in [0, 1]."""
    m, floor = sums.number, _ROUNDING * sums.squares
    products = sums.products - sums.level * sums.level_before / weight
    steep = np.maximum(sums.before - sums.level_before**2 / weight, floor)
    vertex = products / steep
    least = np.maximum(sums.squares - sums.level**2 / weight - vertex * products, floor)
    scale = np.sqrt(steep * (m - 1) / least)
    with np.errstate(divide="ignore"):
        mass = np.log(stdtr(m - 1, (1 - vertex) * scale) - stdtr(m - 1, -vertex * scale))
    constant = 0.5 * np.log((m - 1) * np.pi) + gammaln((m - 1) / 2) - gammaln(m / 2)
    result: Floats = _log_power(least, m) - np.log(scale) + constant + mass
    return result
