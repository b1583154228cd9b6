"""How a signal's change is said: one clause per kind of signal, with its size and its interval."""

from onejob.model.verdict import EffectKind, SignalResult
from onejob.verdict.basis import excludes_same
from onejob.verdict.signals import EVERYWHERE

_VITALS = {"lcp_p75": "LCP p75", "inp_p75": "INP p75", "cls_p75": "CLS p75"}
_PER_HOUR = "/h"


def change(s: SignalResult, *, is_of_past: bool = False) -> str:
    """What happened to the signal, as a clause of a sentence; `is_of_past`: compared with the service's own past."""
    if s.novelty is not None:
        return _new(s)
    if s.family in ("kpi", "vitals"):
        return _of_number(s)
    where = "" if s.operation == EVERYWHERE else f"{s.operation} "
    if s.signal == "shortfall":
        return _shortfall(s, is_of_past=is_of_past)
    if s.effect_kind is EffectKind.DIFFERENCE:
        if s.operation == EVERYWHERE:
            return f"{percent(s.treatment)} of its requests failed at the router ({percent(s.control)} before)"
        return f"{where}errors {_verb(s)} from {percent(s.control)} to {percent(s.treatment)}{_openness(s)}"
    return f"{where}{s.signal.removeprefix('latency_')} {_verb(s)} {relative(s)}"


def _shortfall(s: SignalResult, *, is_of_past: bool) -> str:
    if is_of_past:
        direction = "fewer" if (s.treatment or 0.0) > 0 else "more"
        return f"{percent(abs(s.treatment or 0.0))} {direction} requests than expected"
    return f"{percent(s.treatment)} of its requests got no answer ({percent(s.control)} before)"


def relative(s: SignalResult) -> str:
    """The size of a ratio with its interval; of an open one, the end that says the least that is sure."""
    change = (s.effect or 1.0) - 1
    near, far = (s.low, s.high) if change > 0 else (s.high, s.low)
    ends = [percent(e - 1 if change > 0 else 1 - e) for e in (near, far) if e is not None]
    size = percent(abs(change))
    if near is None or not excludes_same(s):
        return size + _openness(s)
    return f"{size} ({ends[0]} to {ends[1]})" if far is not None else f"{size} (at least {ends[0]})"


def _openness(s: SignalResult) -> str:
    """A change that is sure, while the interval of its size still holds none: its ends would read as a doubt."""
    return "" if excludes_same(s) else " (how much is still open)"


def _of_number(s: SignalResult) -> str:
    """A KPI or a web vital."""
    name = _VITALS.get(s.signal, s.signal.replace("_", " "))
    what = name if s.operation == EVERYWHERE else f"{s.operation} {name}"
    if s.effect_kind is EffectKind.RATIO:
        return f"{what} {_verb(s)} {relative(s)}"
    if s.unit == "1":
        return f"{what} {_verb(s)} from {percent(s.control)} to {percent(s.treatment)}"
    if s.unit.endswith(_PER_HOUR):
        how = "more" if (s.effect or 0) > 0 else "less"
        return f"{what} grows by {_amount(abs(s.effect or 0), s.unit)} {how} than before"
    return f"{what} {_verb(s)} by {_amount(abs(s.effect or 0), s.unit)}"


def _new(s: SignalResult) -> str:
    new = s.novelty
    if new is None:
        return ""
    what = "error" if new.kind == "error" else "log message"
    return (
        f"new {what} {new.title} in {percent(new.rate)} of its requests, in none of {new.control_requests:,} of the old"
        " version's"
    )


def _verb(s: SignalResult) -> str:
    same = 1.0 if s.effect_kind is EffectKind.RATIO else 0.0
    return "rose" if (s.effect if s.effect is not None else same) > same else "fell"


def _amount(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}".rstrip()


def percent(fraction: float | None) -> str:
    """A fraction as a percentage of three significant digits at most."""
    if fraction is None:
        return "unknown"
    value = fraction * 100
    return f"{value:.0f} %" if abs(value) >= 10 or value == 0 else f"{value:.2g} %"
