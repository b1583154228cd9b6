"""A signal's numbers in the signal's own unit: seconds, percent, points, or whatever a KPI is counted in.

Verdicts that were stored before signals had a unit are read as what they were: latencies in seconds, rates as
fractions.
"""

from onejob import words
from onejob.model.kpi import Direction
from onejob.model.verdict import EffectKind, SignalResult

# Families whose rows are not about requests of an operation: no chart of requests is theirs.
BESIDE_REQUESTS = ("kpi", "vitals", "novelty")
_SECONDS, _FRACTION = "s", "1"
_NAMES = {
    "lcp_p75": "LCP p75",
    "inp_p75": "INP p75",
    "cls_p75": "CLS p75",
    "new_error": "new error",
    "new_log_template": "new log message",
}


def unit_of(signal: SignalResult) -> str:
    """`s`, `1` for a fraction, else a word; empty for a number without a unit."""
    if signal.unit or signal.family in BESIDE_REQUESTS:
        return signal.unit
    return _SECONDS if words.is_latency(signal.signal) else _FRACTION


def name(signal: SignalResult) -> str:
    """`latency p95`, `LCP p75`, `revenue`."""
    return _NAMES.get(signal.signal) or words.signal_name(signal.signal)


def value(signal: SignalResult, number: float | None) -> str:
    """An arm's value."""
    unit = unit_of(signal)
    if number is None:
        return words.DASH
    if unit == _SECONDS:
        return words.seconds(number)
    return words.percent(number) if unit == _FRACTION else _with_unit(words.plain(number), unit)


def effect(signal: SignalResult, number: float | None) -> str:
    """+38 %, ×2.4, +0.19 points, +57 MB/h."""
    if number is None or signal.effect_kind is EffectKind.RATIO or unit_of(signal) == _FRACTION:
        return words.effect(signal.effect_kind, number)
    return _with_unit(words.signed(number), unit_of(signal))


def interval(signal: SignalResult) -> str:
    """`+27 % to +51 %`; in words where one side is open."""
    low, high = signal.low, signal.high
    if signal.effect_kind is EffectKind.RATIO or unit_of(signal) == _FRACTION:
        return words.interval(signal.effect_kind, low, high)
    if low is None or high is None:
        return (
            ""
            if low is high
            else f"at most {effect(signal, high)}"
            if low is None
            else f"at least {effect(signal, low)}"
        )
    return f"{words.signed(low)} to {words.signed(high)}"


def tolerance(signal: SignalResult) -> str:
    """What is tolerated, on the bad side: +10 %, −2 %, ±2 %; nothing of what is new."""
    if signal.family == "novelty":
        return "none"
    if signal.direction is Direction.LOWER_IS_BETTER:
        return effect(signal, signal.tolerance)
    if signal.direction is Direction.EITHER:
        return effect(signal, signal.tolerance).replace("+", "±")
    is_ratio = signal.effect_kind is EffectKind.RATIO
    return effect(signal, 1 / signal.tolerance if is_ratio else -signal.tolerance)


def _with_unit(number: str, unit: str) -> str:
    return f"{number} {unit}".rstrip()
