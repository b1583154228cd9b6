"""What control series do meanwhile is not held against a series, and alarms come no more often for it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.stats import controls, replay, scan
from onejob.stats.expectation import Series
from onejob.stats.replay import Frame

STEP_S, HORIZON, STEPS = 300, 12, 6 * 288


def a_series(seed: int, now: float = 1.0, requests: float = 500.0, shared: np.ndarray | None = None) -> Series:
    """Errors of 1 % for six days and an hour, of which the last is `now` times as bad; `shared` times what all have."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(requests, STEPS + HORIZON).astype(float)
    rate = 0.01 * (np.ones(len(n)) if shared is None else shared)
    rate[STEPS:] *= now
    return Series(rng.binomial(n.astype(int), np.minimum(rate, 1.0)).astype(float), n, STEP_S)


def a_frame() -> Frame:
    return Frame(STEPS, 0, HORIZON, STEP_S, np.arange(24, STEPS - HORIZON, 3))


def p_values(series: Series, beside: list[Series], where: Frame) -> tuple[float, float]:
    """Of the last hour being worse than usual: alone, and beyond the controls."""
    found = []
    for others in ([], beside):
        known = [replay.control(one, where) for one in others]
        one = replay.replay(series, where, replay.together(known, where))
        now = replay.since(one, where)
        if known:
            since = [other.events[STEPS:] for other in others], [k.rate for k in known]
            events, expected = (np.array(rows)[:, None, :] for rows in since)
            now = replace(now, beside=controls.beside(events, expected, scan.widths(STEP_S, HORIZON)))
        height = float(scan.heights(now, one.scale, STEP_S)[scan.UP, 0])
        found.append(scan.null(one.heights[scan.UP], where.independent).exceedance(height))
    return found[0], found[1]


def test_what_all_services_suffer_is_none_of_this_ones_doing() -> None:
    alone, beyond = p_values(a_series(1, 4.0), [a_series(seed, 4.0) for seed in (2, 3, 4)], a_frame())
    assert alone < 0.001
    assert beyond > 0.05


def test_what_this_one_suffers_alone_is() -> None:
    alone, beyond = p_values(a_series(1, 4.0), [a_series(seed) for seed in (2, 3, 4)], a_frame())
    assert alone < 0.001
    assert beyond < 0.001


def test_what_this_one_suffers_much_more_of_is() -> None:
    _, beyond = p_values(a_series(1, 12.0), [a_series(seed, 1.5) for seed in (2, 3, 4)], a_frame())
    assert beyond < 0.001


def test_one_control_in_trouble_of_its_own_excuses_nothing() -> None:
    _, beyond = p_values(a_series(1, 4.0), [a_series(2, 8.0), a_series(3), a_series(4)], a_frame())
    assert beyond < 0.001


def test_where_controls_share_the_noise_less_damage_shows() -> None:
    """Every hour has its own weather, which hides damage from a comparison with the past alone."""
    weather = np.repeat(np.random.default_rng(9).lognormal(0.0, 0.5, STEPS // 12 + 1), 12)
    series = a_series(1, 3.0, 4_000.0, weather)
    alone, beyond = p_values(series, [a_series(s, 1.0, 4_000.0, weather.copy()) for s in (2, 3, 4)], a_frame())
    assert alone > 0.01
    assert beyond < alone / 5


def test_too_few_controls_or_unknown_ones_change_nothing() -> None:
    where = a_frame()
    assert replay.together([replay.control(a_series(seed), where) for seed in (2, 3)], where) is None
    nothing = np.zeros((3, 1, HORIZON))
    moved = controls.beside(nothing, nothing, (4,)).moved[4]
    r, sd = controls.beyond(np.full((1, 9), 5.0), np.full((1, 9), 2.0), np.full((1, 9), 7.0), moved)
    assert (r == 5.0).all()
    assert (sd == 2.0).all()


@given(st.lists(st.integers(0, 400), min_size=3, max_size=6), st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_the_order_of_controls_says_nothing_and_noise_never_shrinks(counts: list[int], usual: int) -> None:
    events = np.array(counts, dtype=float)[:, None, None]
    expected = np.full_like(events, float(usual))
    one, other = (controls.beside(x, expected, (1,)).moved[1] for x in (events, events[::-1]))
    assert np.allclose(one, other)
    _, sd = controls.beyond(np.zeros((1, 1)), np.ones((1, 1)), np.full((1, 1), 9.0), one)
    assert sd[0, 0] >= 1.0


@pytest.mark.parametrize("width", [1, 3, 5])
def test_windows_are_sums_along_the_last_axis(width: int) -> None:
    values = np.arange(24.0).reshape(2, 2, 6)
    assert np.allclose(controls.windows(values, width)[1, 0], np.convolve(values[1, 0], np.ones(width), "valid"))
