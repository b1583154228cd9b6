"""Leaks are told from noise, from warm-up and from growth that both arms share."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.stats import slope
from onejob.stats.slope import WINDOWS, SlopeTest, window_slopes

BAR = np.log(100)


def test_the_examples_run() -> None:
    assert doctest.testmod(slope, extraglobs={"np": np}).failed == 0


@given(st.lists(st.one_of(st.just(np.nan), st.floats(-1e6, 1e6)), min_size=4, max_size=24))
@settings(deadline=None)
def test_slopes_are_those_of_least_squares(values: list[float]) -> None:
    row = np.array(values)
    seen = ~np.isnan(row)
    found = window_slopes(row[None, :])[0]
    if seen.sum() < max(3, len(row) / 2):
        assert np.isnan(found)
    else:
        expected = np.polyfit(np.flatnonzero(seen), row[seen], 1)[0]
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-3)


def judged(rng: np.random.Generator, bins: int, leak: float, memory: float) -> SlopeTest:
    """One instance per arm; noise remembers `memory` of the bin before."""
    test = SlopeTest()
    values = rng.normal(size=(2, bins)) * np.sqrt(1 - memory**2)
    for t in range(1, bins):
        values[:, t] += memory * values[:, t - 1]
    values[0] += leak * np.arange(bins)
    for window in WINDOWS:
        for start in range(0, bins - window + 1, window):
            treatment, control = window_slopes(values[:, start : start + window])
            test.add(window, float(treatment), float(control))
    return test


def test_a_leak_is_found_and_measured() -> None:
    test = judged(np.random.default_rng(1), 1152, leak=0.05, memory=0.8)
    assert test.log_evidence(0.0)[0] > BAR
    low, high = test.interval(0.01)
    assert low is not None
    assert high is not None
    assert 0 < low < 0.05 < high
    slopes = test.slopes()
    assert slopes is not None
    assert slopes[1] - slopes[0] == pytest.approx(0.05, rel=0.3)


@pytest.mark.parametrize("memory", [0.0, 0.8, 0.98])
def test_noise_with_a_memory_is_no_leak(memory: float) -> None:
    rng = np.random.default_rng(2)
    alarms = [max(judged(rng, 600, leak=0.0, memory=memory).log_evidence(0.0)) >= BAR for _ in range(30)]
    assert sum(alarms) <= 1


def test_growth_within_the_allowance_is_no_evidence() -> None:
    test = judged(np.random.default_rng(3), 700, leak=0.02, memory=0.0)
    assert test.log_evidence(0.0)[0] > test.log_evidence(0.03)[0]
    assert test.log_evidence(0.03)[0] < 0


def test_before_there_is_a_window_nothing_is_known() -> None:
    assert SlopeTest().slopes() is None
    assert SlopeTest().interval(0.01) == (None, None)
    assert SlopeTest().log_evidence(0.0) == (0.0, 0.0)
