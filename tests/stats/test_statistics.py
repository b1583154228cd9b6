"""Histograms, mixtures, the confidence sequence and the design effect keep what their docstrings promise."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.stats import confidence, design_effect, histogram, mixture
from onejob.stats.confidence import running_mean_interval


@pytest.mark.parametrize("module", [histogram, mixture, design_effect])
def test_examples_in_docstrings_run(module: object) -> None:
    assert doctest.testmod(module, extraglobs={"np": np}).failed == 0  # type: ignore[arg-type]


@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
@settings(deadline=None, max_examples=60)
def test_a_quantile_is_right_to_within_a_bucket(seconds: list[float], q: float) -> None:
    index = np.ceil(np.log2(seconds) * histogram.PER_OCTAVE).astype(np.int64) - 1
    counts = np.bincount(histogram.position(index), minlength=histogram.SIZE)
    found = histogram.quantile_s(counts, q)
    true = np.quantile(seconds, q, method="inverted_cdf")
    assert found is not None
    assert true / 2 ** (1.5 / 32) <= found <= true * 2 ** (1.5 / 32)


def test_an_empty_histogram_has_no_quantile() -> None:
    empty = np.zeros(histogram.SIZE, dtype=np.int64)
    assert histogram.quantile_s(empty, 0.5) is None
    assert histogram.quantile_position(empty, 0.5) == -1


def test_durations_out_of_range_are_counted_at_the_ends() -> None:
    assert histogram.position(np.array([-10_000, 10_000])).tolist() == [0, histogram.SIZE - 1]


def test_an_average_of_evidence_is_taken_in_log_space_without_overflow() -> None:
    assert mixture.log_mean(np.array([2000.0, 0.0])) == pytest.approx(2000 - np.log(2))
    assert mixture.log_weighted(np.array([2000.0]), np.array([0.25])) == pytest.approx(2000 + np.log(0.25))
    assert mixture.log_weighted(np.array([-np.inf, 1.0]), np.array([0.0, 1.0])) == pytest.approx(1.0)


@pytest.mark.untraced
def test_intervals_contain_the_running_mean_at_every_look() -> None:
    """Rates that drift, 300 looks, 400 runs: misses at any look stay under alpha (here 5 %)."""
    rng = np.random.default_rng(3)
    p = np.clip(0.02 + 0.02 * np.sin(np.arange(300) / 30), 0.001, 1)
    missed = 0
    for _ in range(400):
        events = np.cumsum(rng.binomial(20, p)).astype(float)
        requests = np.arange(1, 301) * 20.0
        low, high = running_mean_interval(events, requests, 0.05)
        mean = np.cumsum(p) / np.arange(1, 301)
        missed += bool(((mean < low) | (mean > high)).any())
    assert missed / 400 <= 0.05


@given(st.floats(1.0, 1e6), st.floats(0.0, 1.0), st.sampled_from([0.05, 0.005]))
@settings(deadline=None, max_examples=100)
def test_the_ends_of_an_interval_are_excluded_and_a_little_inside_is_not(n: float, mean: float, alpha: float) -> None:
    """By the mixture itself, whatever way its boundary is looked for."""
    low, high = (float(end[0]) for end in running_mean_interval(np.array([mean * n]), np.array([n]), alpha))
    assert low <= mean <= high

    def is_excluded(p: float, lambdas: np.ndarray) -> bool:
        log_e = lambdas * mean * n - n * np.log1p(p * np.expm1(lambdas))
        return bool(mixture.log_mean(log_e) >= np.log(2 / alpha) - 1e-6)

    assert high == 1.0 or is_excluded(high, -confidence._STEPS)
    assert low == 0.0 or is_excluded(low, confidence._STEPS)
    if n > 100:
        assert high == 1.0 or not is_excluded(high - max(0.02 * (high - mean), 2e-7), -confidence._STEPS)


def test_without_requests_nothing_is_known() -> None:
    low, high = running_mean_interval(np.zeros(1), np.zeros(1), 0.01)
    assert (low[0], high[0]) == (0.0, 1.0)


def test_ten_thousand_clean_requests_exclude_a_tenth_of_a_point() -> None:
    _, high = running_mean_interval(np.zeros(1), np.array([10_300.0]), 0.005)
    assert high[0] < 0.001


def test_bursts_raise_phi_and_independent_requests_do_not() -> None:
    rng = np.random.default_rng(5)
    n_i, n = np.full(2000, 100), np.full(2000, 200)
    single = rng.binomial(100, 0.1, (2, 2000))
    bursts = 10 * rng.binomial(10, 0.1, (2, 2000))
    phis = []
    for counts in (single, bursts):
        ratios, usable = design_effect.residual_ratios(n_i, n, counts.sum(axis=0), counts[0])
        phis.append(design_effect.phi(ratios.sum(), usable.sum()))
    assert phis[0] == pytest.approx(1.0, abs=0.15)
    assert phis[1] == pytest.approx(10.0, rel=0.2)


def test_phi_starts_careful_and_is_never_below_one() -> None:
    nothing = np.zeros(3, dtype=np.int64)
    ratios, usable = design_effect.residual_ratios(nothing, nothing, nothing, nothing)
    assert not ratios.any()
    assert not usable.any()
    assert design_effect.phi(0.0, 0) == design_effect.PRIOR_PHI
    assert design_effect.phi(0.0, 10_000) == 1.0


def test_instances_that_differ_are_told_from_sampling_noise() -> None:
    rng = np.random.default_rng(6)
    requests = np.full(200, 20_000.0)
    alike = rng.binomial(20_000, 0.1, 200).astype(float)
    odds = 0.1 / 0.9 * np.exp(rng.normal(0, 0.2, 200))
    unlike = rng.binomial(20_000, odds / (1 + odds)).astype(float)
    assert design_effect.between_instances(alike, requests)[0] < 0.02  # type: ignore[index]
    assert design_effect.between_instances(unlike, requests)[0] == pytest.approx(0.2, rel=0.15)  # type: ignore[index]


def test_few_instances_may_differ_by_more() -> None:
    assert design_effect.between_instances(np.array([10.0, 10.0]), np.array([100.0, 100.0])) is None
    pair = design_effect.log_theta_0(None, 1, 1)
    many = design_effect.log_theta_0(None, 9, 3)
    assert many < pair
    lucky = design_effect.log_theta_0((0.0, 3), 3, 1)
    assert lucky > 0


def test_history_replaces_what_a_cold_start_assumes_but_not_what_is_seen_today() -> None:
    assert design_effect.phi(0.0, 0, (6.0, 10_000)) > 5
    assert design_effect.phi(0.0, 0, (1.0, 10_000)) < 1.1
    assert design_effect.phi(50_000.0, 10_000, (1.0, 10_000)) == pytest.approx(5.0, rel=0.05)
