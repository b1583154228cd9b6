"""Every row says what decided it: its interval, or its evidence while the interval is still open."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onejob.model.verdict import DecidedBy, EffectKind, SignalResult, State
from onejob.verdict.basis import decided_by, excludes_same
from verdict.test_report import a_signal

ends = st.none() | st.floats(-1, 3)


@pytest.mark.parametrize(
    ("state", "low", "high", "by"),
    [
        (State.WORSE, 1.27, 1.51, DecidedBy.INTERVAL),
        (State.WORSE, 1.27, None, DecidedBy.INTERVAL),
        (State.WORSE, 1.02, 1.51, DecidedBy.EVIDENCE),
        (State.WORSE, 0.93, 1.51, DecidedBy.EVIDENCE),
        (State.WORSE, None, None, DecidedBy.EVIDENCE),
        (State.BETTER, 0.70, 0.90, DecidedBy.INTERVAL),
        (State.BETTER, 0.70, 0.95, DecidedBy.EVIDENCE),
        (State.NO_WORSE, 0.95, 1.05, DecidedBy.INTERVAL),
        (State.UNDECIDED, 0.95, 1.51, None),
    ],
)
def test_a_ratio_is_decided_by(state: State, low: float | None, high: float | None, by: DecidedBy | None) -> None:
    assert decided_by(a_signal(state=state, low=low, high=high, tolerance=1.1)) is by


@pytest.mark.parametrize(
    ("state", "low", "high", "by"),
    [
        (State.WORSE, 0.02, 0.3, DecidedBy.INTERVAL),
        (State.WORSE, -0.01, 0.3, DecidedBy.EVIDENCE),
        (State.BETTER, -0.3, -0.02, DecidedBy.INTERVAL),
        (State.BETTER, -0.3, 0.01, DecidedBy.EVIDENCE),
    ],
)
def test_a_difference_is_decided_by(state: State, low: float, high: float, by: DecidedBy) -> None:
    signal = a_signal(state=state, low=low, high=high, tolerance=0.001, effect_kind=EffectKind.DIFFERENCE)
    assert decided_by(signal) is by


@given(low=ends, high=ends, state=st.sampled_from([State.WORSE, State.BETTER]), kind=st.sampled_from(EffectKind))
def test_what_its_interval_decides_excludes_no_change(
    low: float | None, high: float | None, state: State, kind: EffectKind
) -> None:
    if low is not None and high is not None and low > high:
        low, high = high, low
    signal: SignalResult = replace(a_signal(), state=state, effect_kind=kind, low=low, high=high)
    assert decided_by(signal) is DecidedBy.EVIDENCE or excludes_same(signal)
