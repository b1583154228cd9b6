"""The evidence of a verdict as rows: one per operation and signal, values with their units, effects with intervals."""

from typing import Any

from onejob import words
from onejob.cli.output import MARKS
from onejob.model.verdict import EffectKind, Missing

HEADINGS = ("verdict", "operation", "signal", "control", "treatment", "effect", "missing")
_WORST_FIRST = ("worse", "undecided", "better", "no_worse")
_EVERYWHERE = "*"


def signal_rows(signals: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Worst first."""
    ranked = sorted(signals, key=lambda signal: _rank(signal.get("state")))
    return [_row(signal) for signal in ranked]


def _rank(state: Any) -> int:
    return _WORST_FIRST.index(state) if state in _WORST_FIRST else len(_WORST_FIRST)


def _row(signal: dict[str, Any]) -> tuple[str, ...]:
    name, operation = str(signal.get("signal", "")), str(signal.get("operation", ""))
    kind = EffectKind(signal.get("effect_kind", "ratio" if words.is_latency(name) else "difference"))
    return (
        MARKS.get(str(signal.get("state")), str(signal.get("state"))),
        "all requests" if operation == _EVERYWHERE else operation,
        words.signal_name(name),
        *(words.signal_value(name, signal.get(arm)) for arm in ("control", "treatment")),
        _effect(signal, kind),
        _left(signal, kind),
    )


def _effect(signal: dict[str, Any], kind: EffectKind) -> str:
    effect, low, high = (signal.get(name) for name in ("effect", "low", "high"))
    if effect is None:
        return ""
    interval = words.interval(kind, low, high)
    return words.effect(kind, effect) + (f" ({interval})" if interval else "")


def _left(signal: dict[str, Any], kind: EffectKind) -> str:
    """What is not known of it yet."""
    if signal.get("state") == "undecided":
        return _missing(signal.get("missing"))
    return words.size_still_open(signal.get("effect"), kind) if signal.get("decided_by") == "evidence" else ""


def _missing(missing: dict[str, Any] | None) -> str:
    if missing is None:
        return words.what_is_missing(None)
    known = {name: missing.get(name) for name in Missing.__slots__}
    return words.what_is_missing(Missing(**known))
