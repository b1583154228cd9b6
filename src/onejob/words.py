"""Numbers and times as people read them: units, three significant digits, an interval wherever there is one.

Pure functions from values to strings; `DASH` stands for what is not known.
"""

import math
from datetime import UTC, datetime, timedelta

from onejob.model.verdict import EffectKind, Missing

DASH = "–"
_NO_END_S = 30 * 86_400  # nobody waits a month for a verdict
MINUS = "−"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def plain(value: float, digits: int = 3) -> str:
    """Three significant digits without an exponent or trailing zeros: 412, 96.3, 0.12, 12,400."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else ("∞" if value > 0 else f"{MINUS}∞")
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    text = f"{round(value, decimals):,.{max(decimals, 0)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", MINUS)


def signed(value: float, digits: int = 3) -> str:
    """As `plain`, with a plus where it rose."""
    return ("+" if value > 0 else "") + plain(value, digits)


def count(value: int) -> str:
    """An exact count with thousands separated: 9,412."""
    return f"{value:,}"


def plural(value: int, one: str, many: str = "") -> str:
    """`1 request`, `2 requests`."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def seconds(value: float | None) -> str:
    """A duration of a request: 96 µs, 412 ms, 1.62 s, 2.5 min."""
    if value is None:
        return DASH
    size = abs(value)
    if size >= 120:
        return f"{plain(value / 60)} min"
    if size >= 1:
        return f"{plain(value)} s"
    return f"{plain(value * 1e3)} ms" if size >= 1e-3 or value == 0 else f"{plain(value * 1e6)} µs"


def added(value: float) -> str:
    """Seconds more or less than before: +148 ms, −1 ms."""
    return ("+" if value >= 0 else "") + seconds(value)


def percent(value: float | None, digits: int = 3) -> str:
    """A fraction in 0..1 as a percentage: 0.31 %."""
    return DASH if value is None else f"{plain(value * 100, digits)} %"


def elapsed(value: float) -> str:
    """A span of time in at most two units: 1 min 43 s, 2 h 5 min, 3 d."""
    left = max(0, round(value))
    parts = []
    for size, name in _UNITS:
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount} {name}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts) or ("under 1 s" if value > 0 else "0 s")


def about(value: float) -> str:
    """A guess of how long: one unit only, rounded up, so that it never promises more than is known."""
    for size, name in _UNITS:
        if value >= size * (1.5 if size > 1 else 1):
            return f"{math.ceil(value / size)} {name}"
    return "1 s"


def ago(when: datetime, now: datetime) -> str:
    """3 min ago; `just now` under five seconds; `in 2 min` for a clock that is ahead."""
    age = (now - when).total_seconds()
    if abs(age) < 5:
        return "just now"
    for size, name in _UNITS:
        if abs(age) >= size:
            amount = f"{int(abs(age) // size)} {name}"
            return f"{amount} ago" if age > 0 else f"in {amount}"
    return "just now"


def clock(when: datetime) -> str:
    """14:02:00."""
    return when.astimezone(UTC).strftime("%H:%M:%S")


def absolute(when: datetime) -> str:
    """2026-11-24 14:02:00 UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def day_and_clock(when: datetime, now: datetime) -> str:
    """14:02:00 today; 14:02:00 yesterday; 14:02:00 on 3 November."""
    day, today = when.astimezone(UTC).date(), now.astimezone(UTC).date()
    if day == today:
        return f"{clock(when)} today"
    if day == today - timedelta(days=1):
        return f"{clock(when)} yesterday"
    year = f" {day.year}" if day.year != today.year else ""
    return f"{clock(when)} on {day.day} {day:%B}{year}"


def signal_name(signal: str) -> str:
    """`latency_p95` -> `latency p95`."""
    return {"shortfall": "missing answers"}.get(signal, signal.replace("_", " "))


def is_latency(signal: str) -> bool:
    """Whether the signal's values are seconds."""
    return signal.startswith("latency")


def signal_value(signal: str, value: float | None) -> str:
    """An arm's value in the signal's own unit."""
    return seconds(value) if is_latency(signal) else percent(value)


def effect(kind: EffectKind, value: float | None) -> str:
    """+38 %, ×2.4, +0.19 points."""
    if value is None:
        return DASH
    if kind is EffectKind.DIFFERENCE:
        return f"{signed(value * 100, 2)} points"
    return _ratio(value)


def _ratio(value: float) -> str:
    if value >= 2:
        return f"×{plain(value)}"
    change = (value - 1) * 100
    return f"{signed(round(change, 1 if abs(change) < 10 else 0))} %"


def interval(kind: EffectKind, low: float | None, high: float | None) -> str:
    """`+27 % to +51 %`; in words where one side is open."""
    if low is None and high is None:
        return ""
    if low is None or (kind is EffectKind.RATIO and low <= 0):
        return f"at most {effect(kind, high)}"
    if high is None or not math.isfinite(high):
        return f"at least {effect(kind, low)}"
    if kind is EffectKind.DIFFERENCE:
        return f"{signed(low * 100, 2)} to {signed(high * 100, 2)}"
    return f"{_ratio(low)} to {_ratio(high)}"


def what_is_missing(missing: Missing | None) -> str:
    """When an undecided signal will be decided, and failing that what it takes."""
    if missing is None:
        return "not decided yet"
    if missing.seconds_p50 is not None:
        is_soon = missing.seconds_p50 < _NO_END_S
        return f"about {about(missing.seconds_p50)} more" if is_soon else "not at this traffic"
    if missing.requests is not None:
        return f"{plain(missing.requests, 2)} more requests" if missing.requests < 1e6 else "not at this traffic"
    return "not foreseeable yet"


def size_still_open(effect: float | None, kind: EffectKind) -> str:
    """Of a change that is sure while its size is not: `risen, size still open`."""
    same = 0.0 if kind is EffectKind.DIFFERENCE else 1.0
    return f"{'fallen' if effect is not None and effect < same else 'risen'}, size still open"


def shorten(text: str, limit: int = 80) -> str:
    """Cut in the middle, where names differ least; the template keeps the whole in a title."""
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[-(limit - 1 - head) :]}"
