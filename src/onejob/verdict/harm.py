"""An effect seen from its bad side.

Errors hurt when they rise and revenue when it falls, and of some numbers any change is suspicious. Turned so that
larger is worse, all of them are held against their tolerance by the same three questions.
"""

from dataclasses import dataclass

from onejob.model.kpi import Direction
from onejob.model.verdict import EffectKind, SignalResult


@dataclass(frozen=True, slots=True)
class Harm:
    """Effect and interval, larger is worse: a ratio (1 is no change) or a difference (0 is). None is not known."""

    effect: float | None
    low: float | None
    high: float | None


def harm(kind: EffectKind, direction: Direction, effect: float | None, low: float | None, high: float | None) -> Harm:
    """The effect, turned."""
    if direction is Direction.LOWER_IS_BETTER:
        return Harm(effect, low, high)
    if direction is Direction.HIGHER_IS_BETTER:
        return Harm(_turned(kind, effect), _turned(kind, high), _bounded(_turned(kind, low)))
    same = 0.0 if kind is EffectKind.DIFFERENCE else 1.0
    ends = [_size(kind, end) for end in (low, high)]
    known = [end for end in ends if end is not None]
    straddles = (low is None or low <= same) and (high is None or high >= same)
    return Harm(
        effect=_size(kind, effect),
        low=same if straddles else min(known),
        high=_bounded(max(known)) if len(known) == 2 else None,
    )


def harm_of(signal: SignalResult) -> Harm:
    """The same of a row of a verdict."""
    return harm(signal.effect_kind, signal.direction, signal.effect, signal.low, signal.high)


def _bounded(end: float | None) -> float | None:
    """A ratio that may have fallen to nothing has no other end when it is turned."""
    return None if end == float("inf") else end


def _turned(kind: EffectKind, value: float | None) -> float | None:
    if value is None:
        return None
    if kind is EffectKind.DIFFERENCE:
        return -value
    return 1 / value if value > 0 else float("inf")


def _size(kind: EffectKind, value: float | None) -> float | None:
    """How far from no change, whichever way."""
    if value is None:
        return None
    if kind is EffectKind.DIFFERENCE:
        return abs(value)
    return max(value, 1 / value if value > 0 else float("inf"))
