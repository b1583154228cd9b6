"""What the state of a row stands on.

Problem: evidence and interval come from different tests. The evidence compares the arms with each other, bin by bin;
the interval of a rate takes both arms' own intervals apart, and that of a latency tests one size after the other: both
are wider. So a row can be `worse` beyond doubt while its interval still holds "no change", which reads like a
contradiction. Solution: every row says which of the two decided it, in the same words on the page, in the sentence, on
the command line and in the API.
"""

from onejob.model.verdict import DecidedBy, EffectKind, SignalResult, State


def decided_by(signal: SignalResult) -> DecidedBy | None:
    """None while the signal is undecided."""
    if signal.state is State.UNDECIDED:
        return None
    least = 1 / signal.tolerance if signal.effect_kind is EffectKind.RATIO else -signal.tolerance
    is_above = signal.low is not None and signal.low > signal.tolerance
    is_below = signal.high is not None and signal.high < least
    is_sized = is_above or is_below or signal.state is State.NO_WORSE
    return DecidedBy.INTERVAL if is_sized else DecidedBy.EVIDENCE


def excludes_same(signal: SignalResult) -> bool:
    """Does the interval say by itself that something changed?"""
    same = 1.0 if signal.effect_kind is EffectKind.RATIO else 0.0
    return (signal.low is not None and signal.low > same) or (signal.high is not None and signal.high < same)
