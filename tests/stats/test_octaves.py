"""Values are counted and summed by octave, and cut off where control's tail ends."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.stats import octaves
from onejob.stats.octaves import cap, capped_sum, octave

FINITE = st.floats(-1e12, 1e12, allow_subnormal=False).filter(lambda v: v == 0 or abs(v) > 1e-12)


def test_the_examples_run() -> None:
    assert doctest.testmod(octaves).failed == 0


@given(FINITE)
def test_an_octave_holds_its_value(value: float) -> None:
    k = octave(value)
    if value == 0:
        assert k == 0
    else:
        assert 2.0 ** (abs(k) - 1100) <= abs(value) < 2.0 ** (abs(k) - 1099)
        assert (k > 0) == (value > 0)


def counted(values: np.ndarray) -> tuple[dict[int, int], dict[int, float]]:
    counts: dict[int, int] = {}
    sums: dict[int, float] = {}
    for value in values.tolist():
        k = octave(value)
        counts[k], sums[k] = counts.get(k, 0) + 1, sums.get(k, 0.0) + value
    return counts, sums


@given(st.lists(FINITE, min_size=1, max_size=60), st.integers(1090, 1110))
@settings(deadline=None)
def test_a_capped_sum_is_the_sum_of_capped_values(values: list[float], limit: int) -> None:
    edge = 2.0 ** (limit + 1 - 1100)
    expected = sum(np.clip(v, -edge, edge) for v in values)
    assert capped_sum(*counted(np.array(values)), limit) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_cap_lies_beyond_the_tail_of_control() -> None:
    values = np.random.default_rng(9).lognormal(3, 1, 30_000)
    limit = cap(counted(values)[0])
    assert limit is not None
    assert (values < 2.0 ** (limit + 1 - 1100)).mean() >= 0.9985
    assert (values >= 2.0 ** (limit - 1 - 1100)).mean() > 0.001


def test_with_few_values_nothing_seen_is_cut_off_and_with_none_nothing_is_known() -> None:
    few = counted(np.array([3.0] * 20 + [900.0]))
    limit = cap(few[0])
    assert limit == octave(900.0) + 1
    assert capped_sum(*few, limit) == 960.0
    assert cap(counted(np.zeros(19))[0]) is None
    never = cap(counted(np.zeros(50))[0])
    assert never is not None
    assert capped_sum(*counted(np.array([1e12])), never) == 1e12
