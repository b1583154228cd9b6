"""How many spans or events there are: orders, messages handled, jobs done.

Counted per request of the arm, or per instance and bin where every instance does its share of the same work
(`per_instance`: consumers of one queue). The other arm is the expectation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from onejob.model.verdict import EffectKind
from onejob.stats import design_effect
from onejob.stats.throughput import PairedCounts, residual_ratio
from onejob.verdict.counts import CONTROL, TREATMENT
from onejob.verdict.signals import EVERYWHERE, Row
from onejob.verdict.values import Bin, Floats, Told


@dataclass(slots=True)
class ThroughputTracker:
    """One KPI of kind `throughput`."""

    told: Told
    test: PairedCounts = field(default_factory=PairedCounts)
    _residuals: Floats = field(default_factory=lambda: np.zeros(2))
    _serving: tuple[int, int] = (1, 1)
    _seconds: int = 0
    _width_s: int = 1

    def consume(self, bins: Sequence[Bin], bin_width_s: int) -> None:
        """Add bins that the present phi applies to; then learn from them."""
        counts = np.array([[sum(one.count for one in b.of(arm)) for b in bins] for arm in (CONTROL, TREATMENT)], float)
        exposures = np.array([self._exposures(b) for b in bins], dtype=float).reshape(-1, 2).T
        self.test.add(counts, exposures, self.phi(), float(np.log(2 / self.told.settings.alpha)))
        self._width_s = bin_width_s
        self._seconds += int((exposures > 0).all(axis=0).sum()) * bin_width_s
        for one in bins:
            self._learn(one)

    def phi(self) -> float:
        """The design effect, from control's instances against each other."""
        return design_effect.phi(*self._residuals) * self.told.settings.phi_factor

    def row(self, weight: float) -> Row | None:
        """The KPI's row; None while no bin had both arms."""
        (n0, n1), (e0, e1) = self.test.counts, self.test.exposures
        if not self._seconds:
            return None
        kpi, log_allowance = self.told.kpi, self.told.log_allowance(None, self._serving)
        allowance = float(np.exp(log_allowance))
        low, high = self.test.interval()
        log_e = self.told.sides(*self.test.log_evidence(log_allowance))
        scale = self._width_s if kpi.per_instance else 1.0
        return Row(
            family="kpi",
            operation=EVERYWHERE,
            signal=kpi.name,
            kind=EffectKind.RATIO,
            control=float(n0 / e0 / scale),
            treatment=float(n1 / e1 / scale),
            effect=self.test.ratio(),
            low=None if low is None else low / allowance,
            high=None if high is None else high * allowance,
            tolerance=1 + kpi.tolerance,
            log_e=log_e,
            own_log_e=log_e,
            weight=weight,
            phi=self.phi(),
            theta_0=allowance,
            requests=(int(n0), int(n1)),
            events=(int(n0), int(n1)),
            floor=log_allowance,
            unit=self.told.unit,
            direction=kpi.direction,
            exploratory=not kpi.guardrail,
            stream=self.told.stream,
            rate_per_s=float(n1) / self._seconds,
        )

    def _exposures(self, one: Bin) -> tuple[float, float]:
        """Of instances, so much as was kept: of two that do the same, one that is sampled at a tenth shows a tenth."""
        if not self.told.kpi.per_instance:
            return one.requests
        seen = tuple(len({s.instance for s in one.of(arm)}) for arm in (CONTROL, TREATMENT))
        control, treatment = (max(one.instances[arm], seen[arm]) * one.kept[arm] for arm in (CONTROL, TREATMENT))
        return control, treatment

    def _learn(self, one: Bin) -> None:
        self._serving = (one.instances[CONTROL] or self._serving[0], one.instances[TREATMENT] or self._serving[1])
        control = one.of(CONTROL)
        if len(control) < 2 or not self.told.kpi.per_instance:
            return
        x_i = np.array([s.count for s in control], dtype=float)
        n = len(control)
        self._residuals += residual_ratio(x_i, np.ones(n), np.full(n, x_i.sum()), np.full(n, float(n)))
