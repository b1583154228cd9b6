"""The expectation follows seasons, growth and outages; alarms come as often as they were said to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.stats import expectation, replay, scan
from onejob.stats.expectation import Residuals, Series

STEP_S = 300
DAY = 288
HORIZON = 12


def requests(days: float, seed: int = 1, growth: float = 0.0, weekend: float = 0.5) -> np.ndarray:
    """Requests per step: a day of night and noon, a week of weekends, growth per day."""
    t = np.arange(round(days * DAY) + HORIZON)
    shape = 1 + 0.8 * np.sin(2 * np.pi * t / DAY)
    week = np.where(t // DAY % 7 >= 5, weekend, 1.0)
    return np.random.default_rng(seed).poisson(400 * shape * week * (1 + growth) ** (t / DAY)).astype(float)


def errors(n: np.ndarray, seed: int = 2, rate: float = 0.01) -> Series:
    x = np.random.default_rng(seed).binomial(n.astype(int), rate).astype(float)
    return Series(x, n, STEP_S)


def judged(series: Series, gap: int = 0) -> float:
    """How often a moment without a change looks as much worse as the last hour does."""
    at = len(series.events) - HORIZON - gap
    allowed = np.arange(len(series.events)) < at
    where = replay.frame(allowed, expectation.seasonal(series), at=at, gap=gap, horizon=HORIZON, step_s=STEP_S)
    one = replay.replay(series, where)
    height = scan.heights(replay.since(one, where), one.scale, STEP_S)[scan.UP, 0]
    return scan.null(one.heights[scan.UP], where.independent).exceedance(height)


def test_the_season_is_the_same_time_on_other_days() -> None:
    n = requests(15, weekend=1.0)
    season = expectation.seasonal(Series(n, np.ones(len(n)), STEP_S))
    last = slice(14 * DAY, 15 * DAY)
    assert np.median(np.abs(season[last] / n[last] - 1)) < 0.05
    assert np.isnan(season[: DAY - 3]).all()


def test_an_outage_on_one_day_does_not_become_the_expectation() -> None:
    n = requests(8, weekend=1.0)
    n[7 * DAY : 7 * DAY + 20] = 0  # yesterday at this time
    season = expectation.seasonal(Series(n, np.ones(len(n)), STEP_S))
    assert season[8 * DAY + 5] == pytest.approx(np.median(n[[d * DAY + 5 for d in (1, 5, 6)]]), rel=0.2)


def test_the_level_of_the_last_two_hours_follows_growth() -> None:
    n = requests(8, weekend=1.0) * np.where(np.arange(8 * DAY + HORIZON) >= 8 * DAY - 30, 3.0, 1.0)
    series = Series(n, np.ones(len(n)), STEP_S)
    season = expectation.seasonal(series)
    found = expectation.residuals(series, season, np.array([8 * DAY]), gap=0, horizon=HORIZON)
    assert found.expected.sum() == pytest.approx(n[-HORIZON:].sum(), rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_a_broken_hour_stands_out_and_a_quiet_one_does_not(seed: int) -> None:
    series = errors(requests(5, seed), seed + 50)
    assert judged(series) > 0.01
    worse = series.events.copy()
    worse[-6:] += np.round(series.exposure[-6:] * 0.03)
    assert judged(replace(series, events=worse)) < 0.001


def test_a_burst_of_five_minutes_stands_out() -> None:
    series = errors(requests(5))
    series.events[-9] += 60
    assert judged(series) < 0.001


def test_zero_traffic_before_and_after_is_no_alarm() -> None:
    nothing = np.zeros(3 * DAY)
    assert judged(Series(nothing, nothing, STEP_S)) > 0.1


def test_traffic_that_appears_without_errors_is_no_alarm() -> None:
    n = np.zeros(3 * DAY)
    n[-HORIZON:] = 500
    assert judged(Series(np.zeros(3 * DAY), n, STEP_S)) > 0.1


def test_bins_that_are_missing_say_nothing() -> None:
    series = errors(requests(5))
    gone = np.random.default_rng(3).random(len(series.events)) < 0.2
    assert judged(
        replace(series, events=np.where(gone, 0, series.events), exposure=np.where(gone, 0, series.exposure))
    ) > (0.01)


def test_a_gap_between_change_and_judgement_is_in_the_placebos_too() -> None:
    series = errors(requests(5))
    series.events[-HORIZON - 24 : -HORIZON] += 200
    assert judged(series, gap=24) > 0.01


def test_without_a_day_of_history_it_takes_more_to_alarm() -> None:
    """The same excess beside two hours and beside five days of history."""
    long = errors(requests(5, weekend=1.0))
    long.events[-HORIZON:] += 5
    short = Series(long.events[-36 - HORIZON :], long.exposure[-36 - HORIZON :], STEP_S)
    at = len(short.events) - HORIZON
    where = replay.frame(np.arange(len(short.events)) < at, None, at=at, gap=0, horizon=HORIZON, step_s=STEP_S)
    one = replay.replay(short, where)
    height = scan.heights(replay.since(one, where), one.scale, STEP_S)[scan.UP, 0]
    assert where.independent <= 2
    assert scan.null(one.heights[scan.UP], where.independent).exceedance(height) > judged(long)


def test_correlated_noise_alarms_as_often_as_it_was_told_to() -> None:
    """AR(0.9) noise on a value: a test that took steps for independent would alarm in a third of the cases."""
    alarms = 0
    for seed in range(200):
        steps = np.random.default_rng(seed).normal(0, 1, 4 * DAY + HORIZON)
        values = np.empty(len(steps))
        values[0] = steps[0]
        for i in range(1, len(steps)):
            values[i] = 0.9 * values[i - 1] + steps[i]
        alarms += judged(replay.value_series(values, STEP_S)) <= 0.05
    assert alarms <= 20  # 10 expected; 21 or more would be seen once in 900 tries


@given(
    st.lists(st.floats(0, 20), min_size=20, max_size=200), st.floats(20, 300), st.sampled_from([0.2, 0.05, 0.01, 1e-4])
)
@settings(deadline=None, max_examples=100)
def test_the_threshold_is_reached_as_seldom_as_it_says(heights: list[float], independent: float, alpha: float) -> None:
    placebos = np.array(heights)
    at = scan.null(placebos, independent).threshold(alpha)
    assert scan.null(placebos, independent).exceedance(at) <= alpha * (1 + 1e-9)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=100), st.floats(0, 300), st.floats(0, 30), st.floats(0, 30))
@settings(deadline=None, max_examples=100)
def test_a_greater_height_is_never_likelier(heights: list[float], independent: float, one: float, more: float) -> None:
    placebos = np.array(heights)
    low, high = (scan.null(placebos, independent).exceedance(h) for h in (one, one + more))
    assert 0 < high <= low <= 1 or high == low == 0


@given(st.integers(1, HORIZON), st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_a_later_look_never_lowers_the_height(seen: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    r, v = rng.normal(0, 5, (1, HORIZON)), np.full((1, HORIZON), 25.0)
    scale = np.full((2, len(scan.widths(STEP_S, HORIZON))), 2.4)
    later = np.arange(HORIZON) >= seen
    early = Residuals(np.where(later, 0, r), np.where(later, 0, v), v, 1.0)
    full = Residuals(r, v, v, 1.0)
    for side in (scan.UP, scan.DOWN):
        done = scan.peak(early, scale, STEP_S, side, seen)
        assert done.first + done.width <= seen
        assert scan.heights(full, scale, STEP_S)[side, 0] >= done.height - 1e-12
