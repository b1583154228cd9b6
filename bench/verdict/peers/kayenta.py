"""Kayenta's rule (Spinnaker's canary judge), from its documented behaviour and the facts of its test vectors.

Per metric, the values of control and experiment (one a minute) are compared by the Mann-Whitney U test (Mann & Whitney
1947) with the normal approximation, tie and continuity correction, and the location shift's confidence interval that
inverts it (Hollander & Wolfe, section 4). A metric is High when the whole interval lies above a quarter of the
estimated shift *and* the effect size (ratio of means, or the common-language effect size) is at its threshold; Low
likewise.

Symbols: x = experiment, y = control, `shift` = location difference x - y, z = standardised U.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm, rankdata

Floats = NDArray[np.float64]

TOLERANCE, CONFIDENCE = 0.25, 0.98  # what the judge is run with in production
_PRECISE = 1e-6


class Class(StrEnum):
    """What a metric is called."""

    PASS = "Pass"  # noqa: S105 - a verdict, no password
    HIGH = "High"
    LOW = "Low"
    NO_DATA = "Nodata"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one metric is judged; thresholds are (allowed decrease, allowed increase) of the effect size."""

    tolerance: float = TOLERANCE
    confidence: float = CONFIDENCE
    effect_sizes: tuple[float, float] = (1.0, 1.0)
    measure: str = "meanRatio"
    direction: str = "Either"
    missing_passes: bool = False

    def classify(self, control: Floats, experiment: Floats) -> Class:
        """The metric's class; NaN are values of minutes without traffic and left out."""
        x, y = experiment[~np.isnan(experiment)], control[~np.isnan(control)]
        if not len(x) or not len(y):
            return Class.PASS if self.missing_passes else Class.NO_DATA
        if np.array_equal(np.sort(x), np.sort(y)) or len(np.unique(np.concatenate([x, y]))) == 1:
            return Class.PASS
        low, high, shift = interval(x, y, self.confidence)
        size = mean_ratio(y, x) if self.measure == "meanRatio" else common_language(y, x)
        limit = self.tolerance * abs(shift)
        if self.direction != "Decrease" and low > limit and not size < self.effect_sizes[1]:
            return Class.HIGH
        if self.direction != "Increase" and high < -limit and not size > self.effect_sizes[0]:
            return Class.LOW
        return Class.PASS


def standardised(shift: float, x: Floats, y: Floats) -> float:
    """z of the hypothesis that x - shift and y have one distribution.

    Raises ValueError when all values are tied.
    """
    ranks = rankdata(np.concatenate([x - shift, y]))
    n, m = len(x), len(y)
    _, ties = np.unique(ranks, return_counts=True)
    surplus = ranks[:n].sum() - n * (n + 1) / 2 - n * m / 2
    tied = (ties.astype(float) ** 3 - ties).sum() / ((n + m) * (n + m - 1))
    variance = n * m / 12 * (n + m + 1 - tied)
    if variance <= 0:
        raise ValueError("all values are tied, so there is no interval")
    return float((surplus - np.sign(surplus) / 2) / np.sqrt(variance))


def interval(x: Floats, y: Floats, confidence: float) -> tuple[float, float, float]:
    """(low, high, estimate) of the location shift x - y."""
    ends = float(x.min() - y.max()), float(x.max() - y.min())
    if ends[0] == ends[1]:  # two constants: Kayenta adds noise of 1e-5 of their size, and finds their difference
        return ends[0], ends[0], ends[0]
    z = -float(norm.ppf((1 - confidence) / 2))

    def root(level: float, is_end: bool) -> float:
        at = [standardised(end, x, y) - level for end in ends]
        if is_end and at[0] <= 0:
            return ends[0]
        if is_end and at[1] >= 0:
            return ends[1]
        if at[0] * at[1] >= 0:  # all differences are one
            return ends[0] if abs(at[0]) < abs(at[1]) else ends[1]
        precise = _PRECISE * max(1e-9, ends[1] - ends[0])
        return float(brentq(lambda shift: standardised(shift, x, y) - level, *ends, xtol=precise))

    return root(z, True), root(-z, True), root(0.0, False)


def mean_ratio(control: Floats, experiment: Floats) -> float:
    """Experiment's mean over control's; NaN where either is 0."""
    means = float(control.mean()), float(experiment.mean())
    return float("nan") if 0.0 in means else means[1] / means[0]


def common_language(control: Floats, experiment: Floats) -> float:
    """P(experiment > control) + P(equal) / 2 (Vargha & Delaney 2000)."""
    n, m = len(experiment), len(control)
    ranks = rankdata(np.concatenate([experiment, control]))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))
