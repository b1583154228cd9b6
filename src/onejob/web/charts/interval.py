"""Interval plots: is the effect beyond the tolerance, inside it, or across its edge?

Rates and durations have no common unit, and an effect may be 50 times its tolerance. So each kind of effect has its own
labelled axis, scaled so that a usual tolerance is equally wide on both, and compressed towards the ends (asinh): the
band is always wide enough to see a short interval inside it, and a crash still fits on the paper. An effect in a KPI's
own unit has no labels: it is drawn so that its tolerance is as wide as a usual one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from onejob.model.verdict import EffectKind, SignalResult
from onejob.web.charts.scale import Tick

WIDTH = 300
HEIGHT = 22
_REFERENCE = {EffectKind.RATIO: math.log(1.10), EffectKind.DIFFERENCE: 0.001}
_RATIO_TICKS = (
    (0.1, "÷10"), (0.2, "÷5"), (0.5, "−50 %"), (0.67, "−33 %"), (0.8, "−20 %"), (1.0, "same"), (1.2, "+20 %"),
    (1.5, "+50 %"), (2.0, "×2"), (3.0, "×3"), (5.0, "×5"), (10.0, "×10"), (30.0, "×30"), (100.0, "×100"),
)  # fmt: skip
_POINT_TICKS = (-0.5, -0.1, -0.03, -0.01, -0.003, -0.001, 0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.5)
_ROOM = 40.0  # a label is about this wide
_PADDING = 14.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Bounds in stretched units; `of` and `place` turn an effect into a coordinate."""

    low: float
    high: float

    def place(self, kind: EffectKind, effect: float, reference: float | None = None) -> float:
        inner = WIDTH - 2 * _PADDING
        at = _PADDING + (stretched(kind, effect, reference) - self.low) / (self.high - self.low) * inner
        return min(max(at, 2.0), WIDTH - 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One row's coordinates; None where nothing is known. `cut_*` mark an end that lies off the paper."""

    same: float
    band_low: float
    band_high: float
    low: float | None
    high: float | None
    point: float | None
    cut_low: bool
    cut_high: bool


def has_ticks(signal: SignalResult) -> bool:
    """Whether the signal's effect has a labelled axis: ratios, and points of a rate."""
    is_rate = signal.unit == "1" or signal.family not in ("kpi", "vitals")
    return signal.effect_kind is EffectKind.RATIO or is_rate


def reference_of(signal: SignalResult) -> float:
    """What counts as a usual tolerance: without an axis, the signal's own."""
    return _REFERENCE[signal.effect_kind] if has_ticks(signal) or signal.tolerance <= 0 else signal.tolerance


def stretched(kind: EffectKind, effect: float, reference: float | None = None) -> float:
    """The effect in usual tolerances, compressed: linear near zero, logarithmic far from it."""
    if kind is EffectKind.RATIO:
        if effect <= 0:
            return -math.inf
        effect = math.log(effect)
    return math.asinh(effect / (_REFERENCE[kind] if reference is None else reference))


def axis(signals: Sequence[SignalResult]) -> Axis:
    """An axis that shows every effect and as much of the intervals as helps."""
    ends = [-1.6, 2.6]
    for signal in signals:
        for value in (signal.low, signal.effect, signal.high):
            at = -math.inf if value is None else stretched(signal.effect_kind, value, reference_of(signal))
            if math.isfinite(at):
                ends.append(min(max(at, -4.2), 7.0))
    return Axis(low=min(ends), high=max(ends))


def ticks(scale: Axis, kind: EffectKind) -> list[Tick]:
    """Labels of one kind's axis, `same` first and the others where there is room."""
    if kind is EffectKind.RATIO:
        candidates = [(value, label) for value, label in _RATIO_TICKS]
    else:
        candidates = [(value, _points(value)) for value in _POINT_TICKS]
    candidates.sort(key=lambda item: abs(stretched(kind, item[0])))
    chosen: list[Tick] = []
    for value, label in candidates:
        if not scale.low <= stretched(kind, value) <= scale.high:
            continue
        at = scale.place(kind, value)
        if all(abs(at - other.at) >= _ROOM for other in chosen):
            chosen.append(Tick(at=at, label=label))
    return sorted(chosen, key=lambda tick: tick.at)


def _points(value: float) -> str:
    return "same" if value == 0 else f"{'+' if value > 0 else '−'}{abs(value) * 100:g}"


def _end(scale: Axis, signal: SignalResult, value: float | None, edge: float) -> float:
    """An open end reaches the edge of the paper."""
    return edge if value is None else scale.place(signal.effect_kind, value, reference_of(signal))


def _point(scale: Axis, signal: SignalResult) -> float | None:
    if signal.effect is None or signal.low is None or signal.high is None:
        return None
    return scale.place(signal.effect_kind, signal.effect, reference_of(signal))


def plot(scale: Axis, signal: SignalResult) -> Plot:
    """Where one signal's band, interval and estimate are drawn."""
    kind = signal.effect_kind
    is_ratio = kind is EffectKind.RATIO
    same = 1.0 if is_ratio else 0.0
    good_edge = 1 / signal.tolerance if is_ratio else -signal.tolerance
    is_empty = signal.low is None and signal.high is None
    low = None if is_empty else _end(scale, signal, signal.low, 2.0)
    high = None if is_empty else _end(scale, signal, signal.high, WIDTH - 2.0)
    reference = reference_of(signal)
    return Plot(
        same=scale.place(kind, same),
        band_low=scale.place(kind, good_edge, reference),
        band_high=scale.place(kind, signal.tolerance, reference),
        low=low,
        high=high,
        point=_point(scale, signal),
        cut_low=low is not None and low <= 2.0,
        cut_high=high is not None and high >= WIDTH - 2.0,
    )
