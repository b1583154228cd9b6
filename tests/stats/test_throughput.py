"""Counts against an expectation, and of two arms against each other."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, gamma, poisson

from onejob.stats import throughput
from onejob.stats.core_test import LOG_RATIOS
from onejob.stats.throughput import LOG_RHO, PairedCounts, log_evidence, residual_ratio

BAR = float(np.log(2 / 0.01))


def test_the_examples_run() -> None:
    assert doctest.testmod(throughput).failed == 0


@pytest.mark.parametrize("expected", [0.5, 4.0, 60.0])
@pytest.mark.parametrize("slack", [1.0, 1.25])
def test_at_the_edge_of_the_null_the_expectation_is_one_and_inside_less(expected: float, slack: float) -> None:
    x = np.arange(0, 400)
    fewer, more = np.array([log_evidence(float(n), expected, slack) for n in x]).T

    def expectation(log_e: np.ndarray, rate: float) -> float:
        return float(np.exp(poisson.logpmf(x, rate) + log_e).sum())

    assert expectation(fewer, expected / slack) == pytest.approx(1.0, abs=1e-6)
    assert expectation(more, expected * slack) == pytest.approx(1.0, abs=1e-6)
    assert expectation(fewer, expected * 1.3) < 1
    assert expectation(more, expected * 0.7) < 1


@given(st.floats(0.5, 5000), st.floats(0.01, 3.0))
@settings(deadline=None, max_examples=80)
def test_incomplete_gammas_are_right_where_they_can_be_checked(shape: float, relative: float) -> None:
    at = shape * relative
    for is_lower, known in ((True, gamma.logcdf(at, shape)), (False, gamma.logsf(at, shape))):
        if -600 < known < -1e-9:
            assert throughput._log_gamma_cdf(shape, at, is_lower) == pytest.approx(known, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("observed", [0, 10, 40_000, 2_000_000])
def test_a_day_of_counts_gives_a_number(observed: int) -> None:
    found = log_evidence(float(observed), 1_000_000.0)
    assert np.isfinite(found).all()
    assert (found[0] > 100) == (observed < 1_000_000)
    assert (found[1] > 100) == (observed > 1_000_000)


@pytest.mark.untraced
def test_looking_at_every_bin_seldom_alarms_without_a_change_and_finds_a_loss_of_a_fifth() -> None:
    rng, alarms, delays = np.random.default_rng(2), 0, []
    for run in range(120):
        x = np.cumsum(rng.poisson(5.0 * (0.8 if run % 2 else 1.0), 200))
        crossed = [t for t in range(4, 200, 5) if log_evidence(float(x[t]), 5.0 * (t + 1))[0] >= np.log(20)]
        if run % 2:
            delays.append(crossed[0] if crossed else 999)
        else:
            alarms += bool(crossed)
    assert alarms <= 3
    assert np.median(delays) < 60


@given(st.integers(1, 30), st.floats(0.1, 50), st.floats(0.1, 50), st.sampled_from(range(len(LOG_RHO))))
@settings(deadline=None, max_examples=60)
def test_given_the_events_of_a_bin_the_paired_test_has_expectation_one(k: int, e0: float, e1: float, at: int) -> None:
    rho = float(np.exp(LOG_RHO[at]))
    pi = rho * e1 / (rho * e1 + e0)
    added = np.array([throughput._added(np.array([[k - x], [x]]), np.array([[e0], [e1]]))[:, at] for x in range(k + 1)])
    expectation = np.einsum("x,xsj->sj", binom.pmf(np.arange(k + 1), k, pi), np.exp(added))
    assert expectation == pytest.approx(np.ones((2, len(LOG_RATIOS))))


@pytest.mark.untraced
def test_intervals_of_the_ratio_contain_it_at_all_looks_while_share_and_base_rate_move() -> None:
    rng, missed, widths = np.random.default_rng(4), 0, []
    e = np.stack([np.full(120, 9.0), np.where(np.arange(120) < 60, 1.0, 9.0)])
    base = np.linspace(1, 4, 120)
    for _ in range(60):
        pairs, is_missed = PairedCounts(), False
        counts = rng.poisson(np.stack([base * e[0], 0.7 * base * e[1]])).astype(float)
        for t in range(120):
            pairs.add(counts[:, t : t + 1], e[:, t : t + 1], 1.0, BAR)
            low, high = pairs.interval()
            is_missed |= (low is not None and low > 0.7) or (high is not None and high < 0.7)
        missed += is_missed
        widths.append(pairs.interval())
    assert missed <= 1
    assert all(low is not None and high is not None and high < 1 for low, high in widths)
    assert pairs.ratio() == pytest.approx(0.7, abs=0.1)


def test_bins_added_together_are_evidence_as_bins_one_by_one() -> None:
    rng = np.random.default_rng(5)
    counts, e = rng.poisson(4.0, (2, 50)).astype(float), rng.uniform(0, 3, (2, 50)).round()
    together, apart = PairedCounts(), PairedCounts()
    together.add(counts, e, 1.5, BAR)
    for t in range(50):
        apart.add(counts[:, t : t + 1], e[:, t : t + 1], 1.5, BAR)
    assert together.log_evidence(0.1) == pytest.approx(apart.log_evidence(0.1))
    assert together.ratio() == pytest.approx(apart.ratio())


def test_an_allowance_asks_for_more_on_both_sides() -> None:
    pairs = PairedCounts()
    pairs.add(np.array([[100.0], [140.0]]), np.ones((2, 1)), 1.0, BAR)
    free, careful = pairs.log_evidence(0.0), pairs.log_evidence(0.2)
    assert careful[0] < free[0]
    assert PairedCounts().ratio() is None
    assert pairs.log_evidence(99.0)[0] < careful[0]


def test_bursts_raise_the_residuals_and_independent_events_do_not() -> None:
    rng = np.random.default_rng(6)
    single = rng.poisson(6.0, (2, 3000)).astype(float)
    bursts = 5.0 * rng.poisson(1.2, (2, 3000))
    for counts, expected in ((single, 1.0), (bursts, 5.0)):
        total, blocks = residual_ratio(counts[0], np.ones(3000), counts.sum(axis=0), np.full(3000, 2.0))
        assert total / blocks == pytest.approx(expected, rel=0.15)
    assert residual_ratio(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1)) == (0.0, 0)
