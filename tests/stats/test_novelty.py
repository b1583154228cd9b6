"""What control never showed is new only if control had the chance to show it."""

import doctest
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from onejob.stats import novelty
from onejob.stats.core_test import LOG_RATIOS
from onejob.stats.novelty import added_evidence, log_evidence

SIZES = st.integers(1, 1000)


def test_the_examples_run() -> None:
    assert doctest.testmod(novelty, extraglobs={"np": np}).failed == 0


@given(st.tuples(SIZES, SIZES), st.tuples(SIZES, SIZES), st.tuples(st.integers(0, 5), st.integers(0, 5)))
@settings(deadline=None, max_examples=40)
def test_given_the_occurrences_the_expectation_is_one(
    n0: tuple[int, int], n1: tuple[int, int], k: tuple[int, int]
) -> None:
    """Two bins of different shares, all ways to divide the occurrences enumerated."""
    sizes, totals = (np.array([n0, n1], dtype=float), np.array(k, dtype=float))
    pi = sizes[1] / sizes.sum(axis=0)
    expectation = np.zeros(len(LOG_RATIOS))
    for x in product(range(k[0] + 1), range(k[1] + 1)):
        x1 = np.array(x, dtype=float)
        expectation += binom.pmf(x1, totals, pi).prod() * np.exp(added_evidence(sizes[0], sizes[1], totals - x1, x1))
    assert expectation == pytest.approx(np.ones(len(LOG_RATIOS)))


def test_the_smaller_the_share_the_more_an_occurrence_says() -> None:
    x0, x1 = np.zeros(1), np.array([3.0])
    tenth, half = (
        log_evidence(added_evidence(np.array([n0]), np.array([n1]), x0, x1), 1.0)
        for n0, n1 in ((900.0, 100.0), (500.0, 500.0))
    )
    assert tenth > half > 0
    assert 0.7 * 3 * np.log(10) < tenth <= 3 * np.log(10)


def test_one_occurrence_in_control_takes_the_evidence_back() -> None:
    n = np.array([500.0])
    alone = added_evidence(n, n, np.zeros(1), np.array([6.0]))
    shared = added_evidence(n, n, np.array([6.0]), np.array([6.0]))
    assert log_evidence(alone, 1.0) > 3
    assert log_evidence(shared, 1.0) < 0
