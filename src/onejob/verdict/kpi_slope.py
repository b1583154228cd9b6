"""A KPI that must not grow with an instance's age: memory, handles, the length of a queue.

A young process grows by itself for a while, so each treatment instance is compared with control instances of like age
in the same window; where there are none, from the age on at which a process has settled, with all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from onejob.model.verdict import EffectKind
from onejob.stats.slope import WINDOWS, SlopeTest, window_slopes
from onejob.verdict.counts import CONTROL, TREATMENT, InstanceKey
from onejob.verdict.signals import EVERYWHERE, Row
from onejob.verdict.values import Bin, Floats, Told

_LIKE_AGE = 2.0  # ages within this factor are alike
_SETTLED_S = 900.0  # heaps, pools and caches have mostly filled after a quarter of an hour
_HOUR_S = 3600.0
# Of two healthy instances one may grow by 2 % of the level an hour more than the other, of three and nine by 1 %.
_SD_OF_GROWTH = 0.005


@dataclass(slots=True)
class _Instance:
    """One instance: since when it is known, and its means per bin of the window that is open, by length."""

    arm: int
    since: float  # Unix s; -inf of one that served when the log began
    open: dict[int, dict[int, float]] = field(default_factory=lambda: {w: {} for w in WINDOWS})


@dataclass(slots=True)
class SlopeTracker:
    """One KPI of kind `slope`."""

    told: Told
    test: SlopeTest = field(default_factory=SlopeTest)
    values: list[int] = field(default_factory=lambda: [0, 0])
    _instances: dict[InstanceKey, _Instance] = field(default_factory=dict)
    _level: Floats = field(default_factory=lambda: np.zeros(2))  # control's sum of means, and their number
    _window_from: dict[int, int] = field(default_factory=dict)  # length -> its open window's first bin, in Unix s
    _began: int | None = None
    _serving: tuple[int, int] = (1, 1)
    _width_s: int = 1

    def consume(self, bins: Sequence[Bin], bin_width_s: int) -> None:
        """Add bins, in their order; a window is evidence once a bin after it has come."""
        self._width_s = bin_width_s
        for one in bins:
            for length in WINDOWS:
                start = one.start // (length * bin_width_s) * length * bin_width_s
                before = self._window_from.setdefault(length, start)
                if start != before:
                    self._close(length, before)
                    self._window_from[length] = start
            self._note(one)

    def row(self, weight: float) -> Row | None:
        """The KPI's row, in its unit per hour; None while there was no window of both arms."""
        slopes = self.test.slopes()
        if slopes is None or not self._level[1]:
            return None
        kpi, per_hour = self.told.kpi, _HOUR_S / self._width_s
        level = abs(float(self._level[0] / self._level[1]))
        log_allowance = self.told.log_allowance(None, self._serving, _SD_OF_GROWTH)
        allowance = float(np.expm1(log_allowance)) * level
        factor = self.told.settings.phi_factor
        low, high = self.test.interval(self.told.settings.alpha**factor)
        more, fewer = (side / factor for side in self.test.log_evidence(allowance / per_hour))
        log_e = self.told.sides(more, fewer)
        control, treatment = (slope * per_hour for slope in slopes)
        return Row(
            family="kpi",
            operation=EVERYWHERE,
            signal=kpi.name,
            kind=EffectKind.DIFFERENCE,
            control=control,
            treatment=treatment,
            effect=treatment - control,
            low=None if low is None else low * per_hour - allowance,
            high=None if high is None else high * per_hour + allowance,
            tolerance=kpi.tolerance * level,
            log_e=log_e,
            own_log_e=log_e,
            weight=weight,
            phi=factor,
            theta_0=float(np.exp(log_allowance)),
            requests=(self.values[CONTROL], self.values[TREATMENT]),
            events=(0, 0),
            unit=f"{kpi.unit or kpi.name}/h",
            direction=kpi.direction,
            exploratory=not kpi.guardrail,
            stream=self.told.stream,
            says_what_is_missing=False,
        )

    def _note(self, one: Bin) -> None:
        if self._began is None and one.seen:
            self._began = one.start
        for seen in one.seen:
            since = float("-inf") if one.start == self._began else float(one.start)
            instance = self._instances.setdefault(seen.instance, _Instance(seen.arm, since))
            mean = sum(seen.sums.values()) / seen.count
            for length in WINDOWS:
                instance.open[length][(one.start - self._window_from[length]) // self._width_s] = mean
            self.values[seen.arm] += seen.count
            if seen.arm == CONTROL:
                self._level += (mean, 1.0)

    def _close(self, length: int, start: int) -> None:
        """Slopes of the window that ended, and what they say."""
        keys = [key for key, instance in self._instances.items() if instance.open[length]]
        if not keys:
            return
        values = np.full((len(keys), length), np.nan)
        for row, key in enumerate(keys):
            for at, mean in self._instances[key].open[length].items():
                values[row, at] = mean
            self._instances[key].open[length] = {}
        slopes = dict(zip(keys, window_slopes(values).tolist(), strict=True))
        self._compare(length, start + length * self._width_s / 2, {k: s for k, s in slopes.items() if not np.isnan(s)})

    def _compare(self, length: int, now: float, slopes: Mapping[InstanceKey, float]) -> None:
        pairs = []
        for key, slope in slopes.items():
            if self._instances[key].arm == TREATMENT:
                others = self._comparable(now, key, slopes)
                if others:
                    pairs.append((slope, sum(others) / len(others)))
        if pairs:
            self._serving = (
                sum(self._instances[key].arm == CONTROL for key in slopes),
                sum(self._instances[key].arm == TREATMENT for key in slopes),
            )
            treatment, control = np.mean(pairs, axis=0)
            self.test.add(length, float(treatment), float(control))

    def _comparable(self, now: float, key: InstanceKey, slopes: Mapping[InstanceKey, float]) -> list[float]:
        """Slopes of control's instances of like age; of all of them once the treatment's has settled."""
        age = now - self._instances[key].since
        control = {k: s for k, s in slopes.items() if self._instances[k].arm == CONTROL}
        alike = [s for k, s in control.items() if age / _LIKE_AGE <= now - self._instances[k].since <= age * _LIKE_AGE]
        if alike or age < _SETTLED_S:
            return alike
        return list(control.values())
