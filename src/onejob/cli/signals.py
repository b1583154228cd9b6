"""The evidence of a verdict as rows: one per operation and signal, values with their units, effects with intervals."""

from typing import Any

from onejob.cli.output import MARKS, duration

HEADINGS = ("verdict", "operation", "signal", "control", "treatment", "effect", "missing")
_WORST_FIRST = ("worse", "undecided", "better", "no_worse")


def signal_rows(signals: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Worst first."""
    ranked = sorted(signals, key=lambda signal: _rank(signal.get("state")))
    return [_row(signal) for signal in ranked]


def _rank(state: Any) -> int:
    return _WORST_FIRST.index(state) if state in _WORST_FIRST else len(_WORST_FIRST)


def _row(signal: dict[str, Any]) -> tuple[str, ...]:
    name = str(signal.get("signal", ""))
    is_latency = name.startswith("latency")
    value = _seconds if is_latency else _percent
    return (
        MARKS.get(str(signal.get("state")), str(signal.get("state"))),
        str(signal.get("operation", "")),
        name,
        value(signal.get("control")),
        value(signal.get("treatment")),
        _effect(signal, is_ratio=signal.get("effect_kind", "ratio" if is_latency else "difference") == "ratio"),
        _missing(signal.get("missing")),
    )


def _effect(signal: dict[str, Any], *, is_ratio: bool) -> str:
    effect, low, high = (signal.get(name) for name in ("effect", "low", "high"))
    if effect is None:
        return ""
    change = _ratio if is_ratio else _points
    interval = f" ({change(low)} to {change(high)})" if low is not None and high is not None else ""
    return change(effect) + interval


def _missing(missing: dict[str, Any] | None) -> str:
    if not missing or missing.get("requests") is None:
        return ""
    wait = missing.get("seconds_p50")
    return f"{missing['requests']:,} requests" + (f", about {duration(wait)}" if wait is not None else "")


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value * 100:.3g} %"


def _points(value: float) -> str:
    return f"{value * 100:+.3g} points"


def _ratio(value: float) -> str:
    """1.38 -> +38 %; from three times on the factor says it better."""
    return f"x{value:.3g}" if value >= 3 else f"{(value - 1) * 100:+.3g} %"
