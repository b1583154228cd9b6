"""A KPI that is yes or no: conversion, a cache that hits, a check-out that is abandoned.

Tested as errors are, by the core test on each bin's counts; with a direction, and with a tolerance relative to
control's rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from onejob.model.verdict import EffectKind
from onejob.stats import core_test, design_effect, mixture
from onejob.stats.confidence import running_mean_interval
from onejob.stats.core_test import LOG_RATIOS, Bins
from onejob.stats.octaves import ZERO
from onejob.verdict.counts import CONTROL, TREATMENT, InstanceKey
from onejob.verdict.signals import EVERYWHERE, Row
from onejob.verdict.values import Bin, Floats, Seen, Told

# A rate below this is taken as this when the tolerance is worked out: 2 % of nothing can never be excluded.
LEAST_RATE = 0.005


@dataclass(slots=True)
class OutcomeTracker:
    """One KPI of kind `yes_no`."""

    told: Told
    log_e: Floats = field(default_factory=lambda: np.zeros((2, len(LOG_RATIOS))))
    events: list[int] = field(default_factory=lambda: [0, 0])  # in bins of both arms
    requests: list[int] = field(default_factory=lambda: [0, 0])
    _residuals: Floats = field(default_factory=lambda: np.zeros(2))
    _by_instance: dict[InstanceKey, Floats] = field(default_factory=dict)  # control's: events, requests
    _serving: tuple[int, int] = (1, 1)
    _seconds: int = 0

    def consume(self, bins: Sequence[Bin], bin_width_s: int) -> None:
        """Add bins that the present phi and allowance apply to; then learn from them."""
        tables = [(one.of(CONTROL), one.of(TREATMENT)) for one in bins]
        counts = np.array([[_counts(arm) for arm in pair] for pair in tables], dtype=np.int64).reshape(-1, 2, 2)
        (x0, n0), (x1, n1) = counts[:, CONTROL].T, counts[:, TREATMENT].T
        theta = np.full(len(bins), self._log_allowance())
        added = core_test.log_evidence(Bins(n0, n1, x0 + x1, x1, theta), np.zeros(len(bins), dtype=np.int64), 1)
        self.log_e += added[:, 0] / self.phi()
        both = (n0 > 0) & (n1 > 0)
        for arm, x, n in ((CONTROL, x0, n0), (TREATMENT, x1, n1)):
            self.events[arm] += int(x[both].sum())
            self.requests[arm] += int(n[both].sum())
        self._seconds += int(both.sum()) * bin_width_s
        for control, treatment in tables:
            self._learn(control, treatment)

    def phi(self) -> float:
        """The design effect, from control's instances against each other."""
        return design_effect.phi(*self._residuals) * self.told.settings.phi_factor

    def row(self, weight: float) -> Row | None:
        """The KPI's row; None while no bin had both arms."""
        if not min(self.requests):
            return None
        phi, kpi = self.phi(), self.told.kpi
        control, treatment = (x / n for x, n in zip(self.events, self.requests, strict=True))
        low, high = running_mean_interval(
            np.array(self.events) / phi, np.array(self.requests) / phi, self.told.settings.alpha / 2
        )
        log_e = self.told.sides(*(float(mixture.log_mean(side)) for side in self.log_e))
        return Row(
            family="kpi",
            operation=EVERYWHERE,
            signal=kpi.name,
            kind=EffectKind.DIFFERENCE,
            control=control,
            treatment=treatment,
            effect=treatment - control,
            low=float(low[TREATMENT] - high[CONTROL]),
            high=float(high[TREATMENT] - low[CONTROL]),
            tolerance=kpi.tolerance * max(control, LEAST_RATE),
            log_e=log_e,
            own_log_e=log_e,
            weight=weight,
            phi=phi,
            theta_0=float(np.exp(self._log_allowance())),
            requests=(self.requests[CONTROL], self.requests[TREATMENT]),
            events=(self.events[CONTROL], self.events[TREATMENT]),
            direction=kpi.direction,
            exploratory=not kpi.guardrail,
            stream=self.told.stream,
            rate_per_s=self.requests[TREATMENT] / self._seconds,
        )

    def _log_allowance(self) -> float:
        between = None
        if len(self._by_instance) >= 3:
            events, requests = np.array(list(self._by_instance.values())).T
            between = design_effect.between_instances(events, requests)
        return self.told.log_allowance(between, self._serving)

    def _learn(self, control: Sequence[Seen], treatment: Sequence[Seen]) -> None:
        if control and treatment:
            self._serving = (len(control), len(treatment))
        if len(control) < 2:
            return
        x_i, n_i = np.array([_counts([one]) for one in control], dtype=np.int64).T
        n, k = np.full(len(control), n_i.sum()), np.full(len(control), x_i.sum())
        ratios, usable = design_effect.residual_ratios(n_i, n, k, x_i)
        self._residuals += (float(ratios.sum()), float(usable.sum()))
        for one, x, m in zip(control, x_i, n_i, strict=True):
            sums = self._by_instance.setdefault(one.instance, np.zeros(2))
            sums += (x, m)


def _counts(seen: Sequence[Seen]) -> tuple[int, int]:
    """(yes, all) of some instances: whatever is not zero is yes."""
    total = sum(one.count for one in seen)
    return total - sum(one.counts.get(ZERO, 0) for one in seen), total
