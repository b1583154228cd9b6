"""The e-BH procedure keeps the rate of false discoveries, however the e-values depend on one another."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.stats import e_bh
from onejob.stats.e_bh import discoveries

EVIDENCE = st.lists(st.floats(-5, 20), max_size=30)


def test_the_examples_run() -> None:
    assert doctest.testmod(e_bh, extraglobs={"np": np}).failed == 0


@settings(deadline=None)
@given(EVIDENCE, st.sampled_from([0.01, 0.05, 0.2]))
def test_the_rejected_are_the_most_that_their_own_number_allows(log_e: list[float], alpha: float) -> None:
    values = np.array(log_e)
    found = discoveries(values, alpha)
    k = int(found.sum())
    bar = {n: np.log(len(values) / (alpha * n)) for n in range(1, len(values) + 1)}
    assert all(values[found] >= bar[k]) if k else True
    assert all((values >= bar[n]).sum() < n for n in range(k + 1, len(values) + 1))


@settings(deadline=None)
@given(EVIDENCE, st.integers(0, 29), st.floats(0, 5))
def test_more_evidence_never_takes_a_discovery_back(log_e: list[float], which: int, more: float) -> None:
    before = discoveries(np.array(log_e), 0.05)
    after = discoveries(np.array([e + more * (i == which) for i, e in enumerate(log_e)]), 0.05)
    assert (after | ~before).all()


def test_what_is_not_known_is_not_found() -> None:
    assert discoveries(np.array([np.nan, 9.0]), 0.05).tolist() == [False, True]


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_false_discoveries_are_at_most_alpha_of_all(shared: float) -> None:
    """Twenty hypotheses, five of them false; likelihood ratios of normals, independent or with one cause in common."""
    rng = np.random.default_rng(4)
    truth = np.arange(20) < 5
    proportions = []
    for _ in range(4000):
        noise = np.sqrt(shared) * rng.normal() + np.sqrt(1 - shared) * rng.normal(size=20)
        found = discoveries(3.0 * (noise + 3.0 * truth) - 4.5, 0.05)
        proportions.append(float((found & ~truth).sum()) / max(1, int(found.sum())))
    assert np.mean(proportions) + 3 * np.std(proportions) / np.sqrt(4000) <= 0.05
