"""Per place of the call tree and arm: calls, seconds and failures per request, with their standard errors.

Spans are summed to one row per request and place first, so that the errors are those of requests, which are
independent, not of calls, which are not.
"""

from dataclasses import dataclass

import numpy as np

from onejob.explain.reading import Requests
from onejob.explain.tables import Bools, Floats, Ints
from onejob.explain.tree import Forest


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Mean per request of one quantity at every place, and its standard error."""

    mean: Floats
    error: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmNodes:
    """One arm by place: seconds `inside` the calls, not covered by calls below (`own`), and between calls (`gap`)."""

    requests: int
    calls: Rate
    inside_s: Rate
    own_s: Rate
    gap_s: Rate
    failures: Rate
    touched: Floats


def arm_nodes(forest: Forest, requests: Requests, among: Bools) -> ArmNodes:
    """Means over the requests of `among` that are in the forest."""
    spans = forest.spans
    is_counted = np.zeros(len(requests), dtype=np.bool_)
    is_counted[forest.request[forest.place == 0]] = True
    is_counted &= among
    row = np.flatnonzero((forest.place >= 0) & is_counted[forest.request])
    weight = np.where(is_counted, requests.weight, 0.0)
    cells = _Cells.of(forest.request[row], forest.place[row], len(forest.places), weight)
    return ArmNodes(
        requests=int(is_counted.sum()),
        calls=cells.rate(np.ones(len(row))),
        inside_s=cells.rate(spans.duration_ns[row] / 1e9),
        own_s=cells.rate(forest.self_ns[row] / 1e9),
        gap_s=cells.rate(forest.gap_ns[row] / 1e9),
        failures=cells.rate(spans.is_failed[row] * 1.0),
        touched=cells.touched(),
    )


@dataclass(frozen=True, slots=True)
class _Cells:
    """One cell per request and place that occurs in it."""

    of_row: Ints
    place: Ints
    weight: Floats
    places: int
    total: float
    effective: float

    @classmethod
    def of(cls, request: Ints, place: Ints, places: int, weight: Floats) -> "_Cells":
        keys, of_row = np.unique(request * places + place, return_inverse=True)
        squares = float(np.square(weight).sum())
        total = float(weight.sum())
        effective = total**2 / squares if squares else 0.0
        return cls(of_row, keys % max(1, places), weight[keys // max(1, places)], places, total, effective)

    def rate(self, values: Floats) -> Rate:
        """Requests without the place count as zeros."""
        per_cell = np.bincount(self.of_row, values, minlength=len(self.place)).astype(np.float64)
        mean = self._per_request(per_cell)
        variance = np.maximum(0.0, self._per_request(np.square(per_cell)) - np.square(mean))
        return Rate(mean=mean, error=np.sqrt(variance / max(1.0, self.effective - 1)))

    def touched(self) -> Floats:
        """Share of requests in which the place occurs."""
        return self._per_request(np.ones(len(self.place)))

    def _per_request(self, per_cell: Floats) -> Floats:
        sums = np.bincount(self.place, per_cell * self.weight, minlength=self.places)
        return sums.astype(np.float64) / max(self.total, 1e-9)
