"""The evidence of a verdict as rows: one per operation and signal, values with their units, effects with intervals."""

from typing import Any

from onejob import units, words
from onejob.cli.output import MARKS
from onejob.model.kpi import Direction
from onejob.model.verdict import EffectKind, Missing, SignalResult, State

HEADINGS = ("verdict", "operation", "signal", "control", "treatment", "effect", "missing")
_WORST_FIRST = ("worse", "undecided", "better", "no_worse")
_EVERYWHERE = "*"


def signal_rows(signals: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Worst first, guardrails before what is none."""
    ranked = sorted(signals, key=lambda signal: (bool(signal.get("exploratory")), _rank(signal.get("state"))))
    return [_row(signal) for signal in ranked]


def _rank(state: Any) -> int:
    return _WORST_FIRST.index(state) if state in _WORST_FIRST else len(_WORST_FIRST)


def _row(plain: dict[str, Any]) -> tuple[str, ...]:
    signal, operation = _signal(plain), str(plain.get("operation", ""))
    return (
        MARKS.get(str(plain.get("state")), str(plain.get("state"))),
        "all requests" if operation == _EVERYWHERE else operation,
        units.name(signal) + (" (no guardrail)" if signal.exploratory else ""),
        units.value(signal, signal.control),
        units.value(signal, signal.treatment),
        _effect(signal),
        _left(plain, signal),
    )


def _signal(plain: dict[str, Any]) -> SignalResult:
    """As much of a row as is written; older servers do not say everything."""
    name = str(plain.get("signal", ""))
    numbers = {key: plain.get(key) for key in ("control", "treatment", "effect", "low", "high")}
    return SignalResult(
        operation=str(plain.get("operation", "")),
        signal=name,
        state=State.UNDECIDED,
        effect_kind=EffectKind(plain.get("effect_kind", "ratio" if words.is_latency(name) else "difference")),
        **numbers,
        tolerance=float(plain.get("tolerance") or 0.0),
        missing=None,
        log_evidence=0.0,
        log_evidence_better=0.0,
        weight=0.0,
        phi=1.0,
        theta_0=1.0,
        control_requests=0,
        treatment_requests=0,
        family=str(plain.get("family", "")),
        unit=str(plain.get("unit", "")),
        direction=Direction(plain.get("direction", Direction.LOWER_IS_BETTER)),
        exploratory=bool(plain.get("exploratory", False)),
    )


def _effect(signal: SignalResult) -> str:
    if signal.effect is None:
        return ""
    interval = units.interval(signal)
    return units.effect(signal, signal.effect) + (f" ({interval})" if interval else "")


def _left(plain: dict[str, Any], signal: SignalResult) -> str:
    """What is not known of it yet."""
    if plain.get("state") == "undecided":
        return _missing(plain.get("missing"))
    is_open = plain.get("decided_by") == "evidence"
    return words.size_still_open(signal.effect, signal.effect_kind) if is_open else ""


def _missing(missing: dict[str, Any] | None) -> str:
    if missing is None:
        return words.what_is_missing(None)
    known = {name: missing.get(name) for name in Missing.__slots__}
    return words.what_is_missing(Missing(**known))
