"""How much more of something there was in an incident than the same calls had in the normal time, beyond noise.

Compared are means per call at one place of the call tree, so that more traffic, or another mix of it, is no excess.
The mean per call is a ratio of sums over requests, T / C, with the standard error of a ratio estimator with requests as
clusters (Cochran 1977, "Sampling Techniques", eq. 6.13): sqrt(sum_r (T_r - m C_r)^2) / sum_r C_r, m = T / C, scaled by
n / (n - 1).
"""

from dataclasses import dataclass

import numpy as np

from onejob.explain.tables import Bools, Floats, Ints

SURE_Z = 3.0  # hundreds of places are asked, and each may only rarely be wrong; as in `calls.py`
_LEAST_NORMAL = 5  # requests that show what is normal at a place; with fewer, nothing is said of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """Which requests are from the incident and which from the normal time, and how many each stands for."""

    incident: Bools
    normal: Bools
    weight: Floats

    @classmethod
    def of(cls, incident: Bools, normal: Bools) -> "Arms":
        """Every request standing for itself."""
        return cls(incident=incident, normal=normal, weight=np.ones(len(incident)))

    @property
    def requests(self) -> float:
        """What the incident's requests stand for together; 1 where there are none."""
        return float(self.weight[self.incident].sum()) or 1.0


@dataclass(frozen=True, slots=True)
class _Mean:
    """Per group: mean per call, its standard error, the spread of one request's mean, calls, and requests looked at."""

    mean: Floats
    error: Floats
    spread: Floats
    calls: Floats
    requests: Floats


def excess(place: Ints, group: Ints, request: Ints, value: Floats, arms: Arms) -> Floats:
    """Per group (a place, or the part of it on one node): the sure excess in the incident, all its calls together.

    `place`, `group`, `request` and `value` have one element a call; a group lies within one place. 0 where the excess
    is within noise, or the normal time shows too little of the place.
    """
    groups, places = int(group.max(initial=-1)) + 1, int(place.max(initial=-1)) + 1
    of = np.zeros(groups, dtype=np.int64)
    of[group] = place
    now = _mean(group, request, value, arms.incident, arms.weight, groups)
    normal = _mean(place, request, value, arms.normal, arms.weight, places)
    # A few requests alike seem to have no noise: they have at least that of the normal time.
    error = np.maximum(now.error, normal.spread[of] / np.sqrt(np.maximum(1.0, now.requests)))
    sure = now.mean - normal.mean[of] - SURE_Z * np.hypot(error, normal.error[of])
    known = (normal.requests[of] >= _LEAST_NORMAL) & (now.requests > 0)
    total: Floats = np.where(known, np.maximum(0.0, sure) * now.calls, 0.0)
    return total


def _mean(group: Ints, request: Ints, value: Floats, among: Bools, weight: Floats, groups: int) -> _Mean:
    rows = np.flatnonzero(among[request])
    many = max(1, len(among))
    cells, cell = np.unique(group[rows] * many + request[rows], return_inverse=True)
    of, w = cells // many, weight[cells % many]
    sums = w * np.bincount(cell, value[rows], minlength=len(cells))
    calls = w * np.bincount(cell, minlength=len(cells))
    n = np.bincount(of, minlength=groups).astype(np.float64)
    total = np.bincount(of, calls, minlength=groups).astype(np.float64)
    mean = np.bincount(of, sums, minlength=groups) / np.where(total > 0, total, 1.0)
    squares = np.bincount(of, np.square(sums - mean[of] * calls), minlength=groups)
    error = np.sqrt(squares * n / np.maximum(1.0, n - 1)) / np.where(total > 0, total, 1.0)
    return _Mean(mean, error, error * np.sqrt(n), total, n)
