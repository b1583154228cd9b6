"""The core test is an e-value for every margin, exactly and through its bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import comb

from onejob.stats import core_test, noncentral
from onejob.stats.core_test import LOG_RATIOS, Bins, log_evidence, log_evidence_per_bin

margins = st.tuples(st.integers(0, 12), st.integers(0, 12)).flatmap(
    lambda n: st.tuples(st.just(n[0]), st.just(n[1]), st.integers(0, n[0] + n[1]))
)


def support(n0: int, n1: int, k: int) -> np.ndarray:
    return np.arange(max(0, k - n0), min(k, n1) + 1)


def probabilities(n0: int, n1: int, k: int, theta: float) -> np.ndarray:
    """Fisher's noncentral hypergeometric distribution, by enumeration."""
    x = support(n0, n1, k)
    weight = comb(n1, x) * comb(n0, k - x) * theta**x
    return weight / weight.sum()


def bins(value: int, size: int) -> np.ndarray:
    return np.full(size, value, dtype=np.int64)


def evidence(n0: int, n1: int, k: int, x: np.ndarray, theta_0: float) -> np.ndarray:
    size = len(x)
    theta = np.full(size, np.log(theta_0))
    return log_evidence(Bins(bins(n0, size), bins(n1, size), bins(k, size), x, theta), np.arange(size), size)[0]


@given(margins, st.sampled_from([1.0, 1.48, 3.0]), st.floats(0.05, 1.0))
@settings(max_examples=150, deadline=None)
def test_no_change_earns_nothing_on_average(margin: tuple[int, int, int], theta_0: float, part: float) -> None:
    n0, n1, k = margin
    x = support(n0, n1, k)
    expectation = probabilities(n0, n1, k, theta_0 * part) @ np.exp(evidence(n0, n1, k, x, theta_0))
    assert (expectation <= 1 + 1e-9).all()


@given(margins, st.sampled_from([1.0, 1.48]))
@settings(max_examples=100, deadline=None)
def test_at_the_edge_of_the_null_the_exact_test_wastes_nothing(margin: tuple[int, int, int], theta_0: float) -> None:
    n0, n1, k = margin
    x = support(n0, n1, k)
    expectation = probabilities(n0, n1, k, theta_0) @ np.exp(evidence(n0, n1, k, x, theta_0))
    assert expectation == pytest.approx(np.ones(len(LOG_RATIOS)))


@given(margins, st.sampled_from([1.0, 1.48, 3.0]), st.floats(0.05, 1.0))
@settings(max_examples=150, deadline=None)
def test_the_search_for_better_earns_nothing_on_average_either(
    margin: tuple[int, int, int], theta_0: float, part: float
) -> None:
    """Better is the same with the arms swapped: the odds of control against treatment are at most theta_0."""
    n0, n1, k = margin
    x = support(n0, n1, k)
    of_k = np.full(len(x), k)
    theta = np.full(len(x), np.log(theta_0))
    found = log_evidence_per_bin(Bins(bins(n0, len(x)), bins(n1, len(x)), of_k, x, theta))[1]
    expectation = probabilities(n0, n1, k, 1 / (theta_0 * part)) @ np.exp(found)
    assert (expectation <= 1 + 1e-9).all()


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)).flatmap(
        lambda n: st.tuples(st.just(n[0]), st.just(n[1]), st.integers(1, n[0] + n[1] - 1))
    ),
    st.sampled_from([1.0, 1.48, 3.0]),
)
@settings(max_examples=200, deadline=None)
def test_the_bound_of_a_busy_bin_is_a_bound(margin: tuple[int, int, int], theta_0: float) -> None:
    n0, n1, k = (np.array([float(value)]) for value in margin)
    low, high = np.maximum(0, k - n0), np.minimum(k, n1)
    arguments = (n0, n1, k, low, high, np.log([theta_0]), LOG_RATIOS)
    exact = noncentral._summed(*arguments)
    assert exact[0] == pytest.approx(log_expectation(*margin, theta_0))
    if high > low:
        assert (noncentral._integrated(*arguments) >= exact).all()


def log_expectation(n0: int, n1: int, k: int, theta_0: float) -> np.ndarray:
    x = support(n0, n1, k)
    return np.log(probabilities(n0, n1, k, theta_0) @ np.exp(np.outer(x, LOG_RATIOS)))


@pytest.mark.parametrize(
    ("n0", "n1", "k", "most"), [(25, 25, 25, 0.03), (450, 50, 250, 0.01), (5_000, 5_000, 50, 0.01)]
)
def test_the_bound_of_a_busy_bin_gives_next_to_nothing_away(n0: int, n1: int, k: int, most: float) -> None:
    """Of the evidence that a change of that size brings on average; the usual bounds give away half at equal arms."""
    a, b, c = (np.array([float(value)]) for value in (n0, n1, k))
    arguments = (a, b, c, np.maximum(0, c - a), np.minimum(c, b), np.zeros(1), LOG_RATIOS)
    exact, bound = noncentral._summed(*arguments)[0], noncentral._integrated(*arguments)[0]
    x = support(n0, n1, k)
    means = np.array([probabilities(n0, n1, k, np.exp(r)) @ x for r in LOG_RATIOS])
    assert ((bound - exact) / (means * LOG_RATIOS - exact) <= most).all()


def test_the_second_side_is_the_first_with_the_arms_swapped() -> None:
    rng = np.random.default_rng(9)
    n0, n1 = rng.integers(1, 30, 60), rng.integers(1, 30, 60)
    k = rng.integers(0, n0 + n1 + 1)
    x = np.clip(k // 3, np.maximum(0, k - n0), np.minimum(k, n1))
    theta, groups = np.full(60, 0.39), np.arange(60)
    found = log_evidence(Bins(n0, n1, k, x, theta), groups, 60)
    swapped = log_evidence(Bins(n1, n0, k, k - x, theta), groups, 60)
    assert found[::-1] == pytest.approx(swapped)


def test_evidence_is_summed_per_group_and_never_across() -> None:
    rng = np.random.default_rng(7)
    n0, n1 = rng.integers(0, 40, 200), rng.integers(0, 20, 200)
    k = rng.integers(0, n0 + n1 + 1)
    x = np.clip(rng.integers(0, 20, 200), np.maximum(0, k - n0), np.minimum(k, n1))
    theta = np.log(rng.choice([1.0, 1.3, 1.48], 200))
    single = log_evidence(Bins(n0, n1, k, x, theta), np.arange(200), 200)
    group = rng.integers(0, 7, 200)
    together = log_evidence(Bins(n0, n1, k, x, theta), group, 7)
    assert together == pytest.approx(np.stack([single[:, group == g].sum(axis=1) for g in range(7)], axis=1))


@pytest.mark.parametrize("dense", [10, 20_000_000])
def test_a_series_of_bins_is_the_sum_of_its_bins(monkeypatch: pytest.MonkeyPatch, dense: int) -> None:
    """Whether equal margins are looked for or not; with empty and one-sided bins, and those where all fail."""
    monkeypatch.setattr(core_test, "_FEW", 0)
    monkeypatch.setattr(core_test, "_DENSE", dense)
    rng = np.random.default_rng(8)
    n0, n1 = rng.integers(0, 20, (5, 80)), rng.integers(0, 6, (5, 80))
    k = np.minimum(rng.integers(0, 26, (5, 80)), n0 + n1)
    x = np.clip(k // 2, np.maximum(0, k - n0), np.minimum(k, n1))
    theta = np.array([0.0, 0.39, 0.1, 0.39, 0.0])
    single = [log_evidence_per_bin(Bins(n0[g], n1[g], k[g], x[g], np.full(80, theta[g]))).sum(axis=1) for g in range(5)]
    found = core_test.log_evidence_of_series(n0, n1, k, x, theta)
    assert found == pytest.approx(np.stack(single, axis=1), abs=1e-9)


@pytest.mark.parametrize("n", [300, 3_000, 15_000])
def test_busy_bins_without_a_change_earn_nothing(n: int) -> None:
    """Thousands of events in a bin: e^(5 x) leaves the range of floats long before."""
    one = lambda v: np.array([v], dtype=np.int64)  # noqa: E731
    found = log_evidence(Bins(one(n), one(n), one(n), one(n // 2), np.zeros(1)), np.zeros(1, dtype=np.int64), 1)
    assert np.isfinite(found).all()
    assert (found[0] < 0).all()


def test_a_bin_of_a_million_requests_still_finds_a_large_effect() -> None:
    n = 400_000
    one = lambda v: np.array([v], dtype=np.int64)  # noqa: E731
    found = log_evidence(Bins(one(n), one(n), one(40_000), one(24_000), np.zeros(1)), np.zeros(1, dtype=np.int64), 1)
    assert found[0].max() > np.log(100)
    assert found[1].max() < 0
    same = log_evidence(Bins(one(n), one(n), one(40_000), one(20_000), np.zeros(1)), np.zeros(1, dtype=np.int64), 1)
    assert same.max() < 0


@pytest.mark.parametrize(
    ("n0", "n1", "k", "x"), [(0, 5, 2, 2), (5, 0, 2, 0), (5, 5, 0, 0), (5, 5, 10, 5), (0, 0, 0, 0)]
)
def test_bins_without_a_contrast_say_nothing(n0: int, n1: int, k: int, x: int) -> None:
    assert (evidence(n0, n1, k, np.array([x]), 1.0) == 0).all()
