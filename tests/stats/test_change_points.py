"""Changes of level are found where a person would point, and nowhere else."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from onejob.stats import change_points as module
from onejob.stats.change_points import change_points


def noise(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(100.0, 2.0, n)


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(module, extraglobs={"np": np}).failed == 0


@pytest.mark.parametrize("seed", range(20))
def test_noise_without_a_change_has_none(seed: int) -> None:
    assert change_points(noise(400, seed)) == []


@pytest.mark.parametrize("seed", range(20))
def test_steps_are_found_where_they_are(seed: int) -> None:
    values = noise(300, seed)
    values[120:] += 8.0
    values[200:] -= 12.0
    found = change_points(values)
    assert [abs(point.index - at) <= 2 for point, at in zip(found, (120, 200), strict=True)] == [True, True]
    assert [np.sign(point.jump) for point in found] == [1, -1]
    assert found[0].before == pytest.approx(100, abs=1)
    assert found[0].after == pytest.approx(108, abs=1)


def test_lone_outliers_are_no_changes() -> None:
    values = noise(300)
    values[::37] += 60.0
    assert change_points(values) == []


def test_a_slow_drift_is_no_change() -> None:
    assert change_points(noise(400) + np.linspace(0, 4.0, 400)) == []


def test_a_step_that_drowns_in_outliers_is_not_worth_a_report() -> None:
    values = noise(400) + 3.0 * (np.arange(400) >= 200)
    assert len(change_points(values)) == 1
    values[::10] += 300.0
    assert change_points(values) == []


def test_missing_points_do_not_move_the_change() -> None:
    values = noise(300) + 10.0 * (np.arange(300) >= 150)
    values[140:148] = np.nan
    assert abs(change_points(values)[0].index - 150) <= 2


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0, 3.0], [5.0] * 50, [np.nan] * 10])
def test_too_little_to_tell_is_no_change(values: list[float]) -> None:
    assert change_points(np.array(values)) == []


@given(
    arrays(float, st.integers(4, 60), elements=st.floats(-100, 100, width=16)),
    st.sampled_from([0.25, 8.0]),
    st.sampled_from([-64.0, 0.0, 512.0]),
)
@settings(deadline=None, max_examples=60)
def test_units_do_not_matter(values: np.ndarray, scale: float, shift: float) -> None:
    plain = [point.index for point in change_points(values)]
    assert [point.index for point in change_points(values * scale + shift)] == pytest.approx(plain)


@given(arrays(float, st.integers(0, 80), elements=st.floats(allow_nan=True, allow_infinity=True, width=32)))
@settings(deadline=None, max_examples=60)
def test_points_are_in_order_and_inside_whatever_the_values(values: np.ndarray) -> None:
    at = [point.index for point in change_points(values)]
    assert at == sorted(set(at))
    assert all(0 < index < len(values) for index in at)
