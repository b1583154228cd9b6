"""A KPI's values in the order of their bins, by arm and instance; and what every kind of KPI needs to know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch, JudgeSettings
from onejob.model.kpi import Direction, Kpi, KpiKind
from onejob.stats import design_effect, mixture
from onejob.verdict.arms import compared_arm
from onejob.verdict.counts import Counts, InstanceKey
from onejob.verdict.signals import Row

Floats = NDArray[np.float64]

# Two instances of one version get the same users, so what their requests carry differs by far less than how long they
# take; still a slow instance sells less. Two alone may differ by 2 %, three against nine by 1 %.
_SD_OF_REQUESTS = 0.005


@dataclass(frozen=True, slots=True)
class Seen:
    """Values of one instance in one bin; `arm` is 0 for control and 1 for treatment."""

    arm: int
    instance: InstanceKey
    counts: Mapping[int, int]
    sums: Mapping[int, float]

    @property
    def count(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Bin:
    """What one bin has of a KPI; `requests` and `instances` are the arms' entry requests and who answered them.

    Where spans are sampled those are spans, and `kept` is how many there are of each request.
    """

    start: int
    seen: Sequence[Seen]
    requests: tuple[int, int]
    instances: tuple[int, int]
    kept: tuple[float, float] = (1.0, 1.0)

    def of(self, arm: int) -> list[Seen]:
        """One arm's instances."""
        return [one for one in self.seen if one.arm == arm]


@dataclass(frozen=True, slots=True)
class Told:
    """What a KPI is judged by: itself, and the settings that came with the first batch."""

    kpi: Kpi
    settings: JudgeSettings

    @property
    def stream(self) -> str:
        return self.kpi.name

    @property
    def unit(self) -> str:
        """Of what is compared: of a throughput, how many there are of it for each request or second."""
        if self.kpi.kind is not KpiKind.THROUGHPUT:
            return self.kpi.unit
        return f"{self.kpi.unit or self.kpi.name}/{'s' if self.kpi.per_instance else 'request'}"

    def log_allowance(
        self, between: tuple[float, int] | None, serving: tuple[int, int], prior_sd: float | None = None
    ) -> float:
        """Log ratio that instances may show without any change."""
        usual = design_effect.PRIOR_SD if self.kpi.per_instance else _SD_OF_REQUESTS
        prior = usual if prior_sd is None else prior_sd
        return design_effect.log_theta_0(between, *serving, prior_sd=prior)

    def sides(self, more: float, fewer: float) -> tuple[float, float]:
        """Evidence for (worse, better), from evidence for more and for fewer."""
        if self.kpi.direction is Direction.LOWER_IS_BETTER:
            return more, fewer
        if self.kpi.direction is Direction.HIGHER_IS_BETTER:
            return fewer, more
        return float(mixture.log_mean(np.array([more, fewer]))), 0.0


class Tracker(Protocol):
    """The running evidence of one KPI."""

    def consume(self, bins: Sequence[Bin], bin_width_s: int) -> None:
        """Add bins, in their order."""

    def row(self, weight: float) -> Row | None:
        """The KPI's row; None while nothing is known."""


def bins_of(deployment: Deployment, batch: EvidenceBatch, rows: Counts) -> dict[str, list[Bin]]:
    """Per KPI, the batch's bins with its values; bins without any have their requests still."""
    requests, instances = _traffic(rows)
    kept = _kept(rows, requests)
    return {
        name: [
            Bin(
                start=batch.bins_from + at * batch.bin_width_s,
                seen=found.get(batch.bins_from + at * batch.bin_width_s, ()),
                requests=(int(requests[0, at]), int(requests[1, at])),
                instances=(int(instances[0, at]), int(instances[1, at])),
                kept=(float(kept[0, at]), float(kept[1, at])),
            )
            for at in range(rows.bins)
        ]
        for name, found in seen_in(deployment, batch).items()
    }


def seen_in(deployment: Deployment, batch: EvidenceBatch) -> dict[str, dict[int, list[Seen]]]:
    """Per KPI and bin, what the batch's values say of either arm."""
    by_kpi: dict[str, dict[int, list[Seen]]] = {}
    for cell in sorted(batch.values, key=lambda c: (c.bin_start, c.version, c.build, c.instance)):
        arm = compared_arm(deployment, cell, batch.bin_width_s)
        if arm is not None and any(cell.counts.values()):
            seen = Seen(arm, (cell.version, cell.build, cell.instance), cell.counts, cell.sums)
            by_kpi.setdefault(cell.kpi, {}).setdefault(cell.bin_start, []).append(seen)
    return by_kpi


def _traffic(rows: Counts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Requests, and instances that answered any; shape (arm, bin) each."""
    size = 2 * rows.bins
    requests = np.bincount(rows.arm * rows.bins + rows.bin, weights=rows.count, minlength=size)
    most = int(rows.instance.max(initial=0)) + 1
    served = np.unique((rows.arm * rows.bins + rows.bin) * most + rows.instance)
    instances = np.bincount(served // most, minlength=size)
    return requests.astype(np.int64).reshape(2, rows.bins), instances.reshape(2, rows.bins)


def _kept(rows: Counts, spans: NDArray[np.int64]) -> Floats:
    """Spans per request; shape (arm, bin)."""
    if rows.weights is None:
        return np.ones(spans.shape)
    requests = np.bincount(rows.arm * rows.bins + rows.bin, weights=rows.requests, minlength=2 * rows.bins)
    requests = requests.reshape(spans.shape)
    return np.where(requests > 0, spans / np.maximum(requests, 1.0), 1.0)
