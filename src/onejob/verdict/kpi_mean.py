"""The mean of a KPI: revenue per order, queue depth, CPU, memory; and what a counter adds per request or second.

Bins are paired, values beyond control's tail are cut off at the same size in both arms, and the ratio of the means is
tested; where control's mean is not above zero there is no ratio, and the difference is. What two instances may differ
by (the allowance) is no evidence, and widens the interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onejob.model.verdict import EffectKind
from onejob.stats import octaves
from onejob.stats.batch_sums import DIFFERENCE, RATIO, Contrast
from onejob.stats.means import Interval, PairedMeans
from onejob.stats.spread import between_means
from onejob.verdict.counts import CONTROL, TREATMENT, InstanceKey
from onejob.verdict.signals import EVERYWHERE, Row
from onejob.verdict.values import Bin, Floats, Seen, Told

_REFREEZE = 2.0  # the cap is set again, for bins to come, when control has shown twice as many values


@dataclass(slots=True)
class MeanTracker:
    """One KPI of kind `mean`, or the throughput of a counter: it may step by any amount, so its noise is unknown."""

    told: Told
    test: PairedMeans = field(default_factory=PairedMeans)
    values: list[int] = field(default_factory=lambda: [0, 0])  # in bins of both arms
    _control: dict[int, int] = field(default_factory=dict)
    _control_seen: int = 0
    _cap: int | None = None
    _capped_at: int = 0
    _apart: dict[InstanceKey, Floats] = field(default_factory=dict)  # bins, sum and sum of squares of deviations
    _serving: tuple[int, int] = (1, 1)
    _seconds: int = 0

    def consume(self, bins: Sequence[Bin], bin_width_s: int) -> None:
        """Add bins, in their order."""
        for one in bins:
            self._set_cap()
            control, treatment = one.of(CONTROL), one.of(TREATMENT)
            if control and treatment and self._cap is not None:
                self._pair(control, treatment)
                self._seconds += bin_width_s
            self._learn(control)

    def row(self, weight: float) -> Row | None:
        """The KPI's row; None while no bin had values of both arms."""
        found = self.test.means()
        if found is None:
            return None
        log_allowance = self.told.log_allowance(self._between(), self._serving)
        is_ratio = found[CONTROL] > 0
        values = self._ratio(log_allowance) if is_ratio else self._difference(found[CONTROL], log_allowance)
        factor = self.told.settings.phi_factor
        more, fewer = (side / factor for side in values.pop("sides"))
        log_e = self.told.sides(more, fewer)
        return Row(
            family="kpi",
            operation=EVERYWHERE,
            signal=self.told.kpi.name,
            control=found[CONTROL],
            treatment=found[TREATMENT],
            log_e=log_e,
            own_log_e=log_e,
            weight=weight,
            phi=factor,
            theta_0=float(np.exp(log_allowance)),
            requests=(self.values[CONTROL], self.values[TREATMENT]),
            events=(0, 0),
            floor=log_allowance,
            unit=self.told.unit,
            direction=self.told.kpi.direction,
            exploratory=not self.told.kpi.guardrail,
            stream=self.told.stream,
            rate_per_s=self.values[TREATMENT] / self._seconds if self._seconds else 0.0,
            **values,
        )

    def _ratio(self, log_allowance: float) -> dict[str, Any]:
        allowance = float(np.exp(log_allowance))
        low, high = self._interval(RATIO)
        return {
            "kind": EffectKind.RATIO,
            "effect": self.test.estimate(RATIO),
            "low": None if low is None else low / allowance if low > 0 else low,
            "high": None if high is None else high * allowance if high > 0 else high,
            "tolerance": 1 + self.told.kpi.tolerance,
            "sides": (
                self.test.log_evidence(RATIO, allowance)[0],
                self.test.log_evidence(RATIO, 1 / allowance)[1],
            ),
        }

    def _difference(self, control: float, log_allowance: float) -> dict[str, Any]:
        allowance = float(np.expm1(log_allowance)) * abs(control)
        low, high = self._interval(DIFFERENCE)
        return {
            "kind": EffectKind.DIFFERENCE,
            "effect": self.test.estimate(DIFFERENCE),
            "low": None if low is None else low - allowance,
            "high": None if high is None else high + allowance,
            "tolerance": self.told.kpi.tolerance * abs(control),
            "says_what_is_missing": False,
            "sides": (
                self.test.log_evidence(DIFFERENCE, allowance)[0],
                self.test.log_evidence(DIFFERENCE, -allowance)[1],
            ),
        }

    def _interval(self, contrast: Contrast) -> Interval:
        return self.test.interval(contrast, self.told.settings.alpha**self.told.settings.phi_factor)

    def _set_cap(self) -> None:
        """Before the bins it applies to, from control's past alone."""
        if self._control_seen >= _REFREEZE * self._capped_at:
            self._cap = octaves.cap(self._control)
            self._capped_at = self._control_seen if self._cap is not None else 0

    def _pair(self, control: Sequence[Seen], treatment: Sequence[Seen]) -> None:
        (m0, n0), (m1, n1) = self._mean(control), self._mean(treatment)
        if not np.isfinite([m0, m1]).all():
            return  # of several instances, each near the largest number there is
        self.test.add(m1, m0, n0 * n1 / (n0 + n1))
        for arm, seen in ((CONTROL, control), (TREATMENT, treatment)):
            self.values[arm] += sum(one.count for one in seen)
        self._serving = (len({one.instance for one in control}), len({one.instance for one in treatment}))

    def _mean(self, seen: Sequence[Seen]) -> tuple[float, float]:
        """An arm's mean, and of how many: values, or instances where a value belongs to the process."""
        each = [(self._sum(one), one.count) for one in seen]
        if self.told.kpi.per_instance:
            return sum(total / n for total, n in each) / len(each), float(len(each))
        return sum(total for total, _ in each) / sum(n for _, n in each), float(sum(n for _, n in each))

    def _sum(self, one: Seen) -> float:
        return octaves.capped_sum(one.counts, one.sums, self._cap or 0)

    def _learn(self, control: Sequence[Seen]) -> None:
        for one in control:
            for k, n in one.counts.items():
                self._control[k] = self._control.get(k, 0) + n
                self._control_seen += n
        if len(control) < 2 or self._cap is None:
            return
        mean = self._mean(control)[0]
        if mean > 0:
            for one in control:
                d = self._sum(one) / one.count / mean - 1
                sums = self._apart.setdefault(one.instance, np.zeros(3))
                sums += (1.0, d, d * d)

    def _between(self) -> tuple[float, int] | None:
        if len(self._apart) < 3:
            return None
        bins, sums, squares = np.array(list(self._apart.values())).T
        return between_means(bins, sums, squares)
