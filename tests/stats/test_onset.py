"""When a change began is told with 99 %, and what has ended is told from what goes on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.stats import onset
from onejob.stats.scan import DOWN, UP

STEPS = 90


def counts(began: int, rate: float, factor: float, seed: int, ended: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    at = np.arange(STEPS)
    expected = np.full(STEPS, rate)
    is_changed = (at >= began) & (at < ended)
    return np.random.default_rng(seed).poisson(expected * np.where(is_changed, factor, 1.0)).astype(float), expected


@pytest.mark.parametrize(("rate", "factor", "side"), [(3.0, 2.5, UP), (40.0, 1.3, UP), (30.0, 0.6, DOWN)])
def test_the_step_at_which_it_began_is_missed_at_most_one_time_in_a_hundred(
    rate: float, factor: float, side: int
) -> None:
    missed = 0
    for seed in range(400):
        began = 20 + seed % 50
        found = onset.onset(*counts(began, rate, factor, seed), side=side, phi=1.0)
        missed += found is None or not found.earliest <= began <= found.latest
    assert missed <= 9  # 4 expected at most; ten or more would come once in a hundred times


def test_a_clear_change_is_told_to_the_step() -> None:
    found = onset.onset(*counts(40, 50.0, 3.0, 1), side=UP, phi=1.0)
    assert found == onset.Onset(40, 40, 40)


def test_noise_makes_it_less_sure() -> None:
    sure, unsure = (onset.onset(*counts(40, 20.0, 1.5, 1), side=UP, phi=phi) for phi in (1.0, 6.0))
    assert sure is not None
    assert unsure is not None
    assert unsure.latest - unsure.earliest > sure.latest - sure.earliest


def test_a_change_to_the_other_side_is_none() -> None:
    assert onset.onset(np.zeros(30), np.full(30, 5.0), side=UP, phi=1.0) is None
    assert onset.onset(np.zeros(0), np.zeros(0), side=UP, phi=1.0) is None


def test_steps_of_which_nothing_is_known_may_all_be_it() -> None:
    events, expected = counts(40, 50.0, 3.0, 1)
    events[37:40] = expected[37:40] = 0.0
    assert onset.onset(events, expected, side=UP, phi=1.0) == onset.Onset(40, 37, 40)


@given(st.integers(8, 60), st.integers(0, 1_000))
@settings(max_examples=40, deadline=None)
def test_what_ended_is_told_within_a_step_or_two(ended: int, seed: int) -> None:
    events, expected = counts(0, 50.0, 2.5, seed, ended)
    assert abs(onset.ending(events, expected, side=UP) - ended) <= 2


def test_what_goes_on_has_not_ended() -> None:
    assert onset.ending(*counts(0, 30.0, 2.0, 1), side=UP) >= STEPS - 2
    assert onset.ending(np.zeros(5), np.ones(5), side=UP) == 5
