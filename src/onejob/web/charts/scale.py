"""Axes: where a value is drawn and which round values are labelled."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Linear:
    """Maps [low, high] to [start, end]; what lies outside is drawn outside."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        width = self.high - self.low or 1.0
        return self.start + (value - self.low) / width * (self.end - self.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    label: str


def round_steps(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round values (1, 2, 2.5 or 5 times a power of ten) inside [low, high], about as many as wanted."""
    if not high > low:
        return [low]
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def path(points: Iterable[tuple[float, float] | None]) -> str:
    """An SVG path; None lifts the pen. One decimal is a tenth of a pixel and keeps the page small."""
    parts, is_down = [], False
    for point in points:
        if point is None:
            is_down = False
            continue
        parts.append(f"{'L' if is_down else 'M'}{number(point[0])},{number(point[1])}")
        is_down = True
    return "".join(parts)


def area(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]]) -> str:
    """The closed region between two lines over the same places."""
    return path([*upper, *reversed(lower)]) + "Z" if upper else ""


def number(value: float) -> str:
    """A coordinate without needless digits."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text
