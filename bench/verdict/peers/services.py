"""Simple rankings of services by their time series, as root-cause studies compare themselves with.

Each gets the same: series of every service before and during an incident. The score of a service is that of its most
conspicuous series. N-sigma and RobustScorer as in RCAEval and BARO (Pham et al., FSE 2024): the furthest point during
the incident, in standard deviations from the mean, or in interquartile ranges from the median; a series that never
moved before counts in its own unit, as scikit-learn's scalers have it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one series of one service, without those missing; `front` is the front door's at those points."""

    service: str
    before: Floats
    during: Floats
    front_before: Floats
    front_during: Floats


def n_sigma(series: Series) -> float:
    return _furthest(series.during - series.before.mean(), series.before.std())


def robust(series: Series) -> float:
    low, middle, high = np.quantile(series.before, (0.25, 0.5, 0.75))
    return _furthest(series.during - middle, high - low)


def _furthest(off: Floats, scale: float) -> float:
    return float(np.abs(off).max() / (scale or 1.0))


def correlation(series: Series) -> float:
    """With the front door, over all points."""
    x = np.concatenate([series.before, series.during])
    y = np.concatenate([series.front_before, series.front_during])
    if x.std() == 0 or y.std() == 0:
        return 0.0
    return abs(float(np.corrcoef(x, y)[0, 1]))


RANKINGS: dict[str, Callable[[Series], float]] = {
    "N-sigma": n_sigma,
    "RobustScorer": robust,
    "correlation": correlation,
}


def ranked(series: Sequence[Series], score: Callable[[Series], float]) -> list[str]:
    """Services by their highest score; those without a point before or during are left out."""
    best: dict[str, float] = {}
    for each in series:
        if len(each.before) >= 2 and len(each.during):
            best[each.service] = max(best.get(each.service, 0.0), score(each))
    return sorted(best, key=lambda service: (-best[service], service))
