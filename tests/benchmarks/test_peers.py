"""The peers of the benchmark do what they are known to do."""

import numpy as np
import pytest
from bench.verdict.peers import kayenta, oracle, rules
from bench.verdict.peers.kayenta import Class, Rule
from bench.verdict.peers.series import Series, series
from bench.verdict.traffic import Traffic, day

RNG = np.random.default_rng(5)
USUAL = RNG.normal(100, 5, 60)


def a_series(control: np.ndarray, treatment: np.ndarray, errors: tuple[float, float] = (0.0, 0.0)) -> Series:
    """Durations in buckets, of shape (step, bucket) each; errors as shares of the requests."""
    durations = np.stack([control, treatment]).astype(np.int64)
    requests = durations.sum(axis=2)
    failed = np.round(requests * np.array(errors)[:, None]).astype(np.int64)
    return Series(requests, failed, durations, 1000)


def test_kayenta_calls_a_shift_high_a_drop_low_and_the_same_pass() -> None:
    assert Rule().classify(USUAL, USUAL + 20) is Class.HIGH
    assert Rule().classify(USUAL, USUAL - 20) is Class.LOW
    assert Rule().classify(USUAL, RNG.normal(100, 5, 60)) is Class.PASS
    assert Rule().classify(USUAL, np.array([np.nan])) is Class.NO_DATA


def test_kayenta_takes_only_differences_in_the_direction_and_of_the_size_asked_for() -> None:
    assert Rule(direction="Decrease").classify(USUAL, USUAL + 20) is Class.PASS
    assert Rule(effect_sizes=(0.5, 1.5)).classify(USUAL, USUAL + 20) is Class.PASS
    assert Rule(effect_sizes=(0.5, 1.5)).classify(USUAL, USUAL + 80) is Class.HIGH


def test_kayentas_interval_holds_the_shift_and_the_estimate_lies_in_it() -> None:
    low, high, estimate = kayenta.interval(USUAL + 7, RNG.normal(100, 5, 60), 0.98)
    assert low < 7 < high
    assert low < estimate < high


def test_the_running_statistic_is_the_statistic_of_each_beginning() -> None:
    x, y = RNG.poisson(4, 40).astype(float), RNG.poisson(4, 40).astype(float)
    running = rules.running_z(x, y)
    assert running[[4, 17, 39]] == pytest.approx([kayenta.standardised(0.0, x[:n], y[:n]) for n in (5, 18, 40)])


def test_the_common_language_effect_is_the_share_of_pairs_that_are_higher() -> None:
    assert kayenta.common_language(np.array([1.0, 2.0]), np.array([3.0, 1.5])) == 0.75


def test_the_threshold_rule_fails_at_the_fourth_failed_minute() -> None:
    fine, slow = (np.tile(np.eye(12, dtype=int)[at] * 100, (10, 1)) for at in (0, 11))
    treatment = np.where((np.arange(10) % 2 == 1)[:, None], slow, fine)
    assert rules.argo(a_series(fine, treatment)) == 8 * rules.MINUTE
    assert rules.argo(a_series(fine, fine)) is None


def test_peers_on_all_requests_see_a_plain_regression_and_its_absence() -> None:
    fine, slow = np.tile([10, 50, 30, 10], (30, 1)), np.tile([2, 20, 40, 38], (30, 1))
    for peer in (rules.mann_whitney, rules.quantile_band):
        assert peer(a_series(fine, slow)) is not None
        assert peer(a_series(fine, fine)) is None
        assert peer(a_series(fine, fine, (0.01, 0.2))) is not None


def test_the_band_is_the_published_one() -> None:
    # From the authors' own tests: n = 1000, alpha = 0.05, from 100 on; theirs solves for the constant that ours bounds.
    assert rules.band(np.array([1000]), 0.05, 100)[0] == pytest.approx(0.08204769, rel=0.02)
    assert rules.band(np.array([1000]), 0.05, 100)[0] > 0.08204769


@pytest.mark.parametrize("harm", [{"slower": 1.3}, {"failing": 4.0}])
def test_the_oracle_knows_and_does_not_alarm_on_its_own_null(harm: dict[str, float]) -> None:
    paths = {}
    for name, change in (("same", {}), ("harmed", harm)):
        seen = series(day(Traffic(name=name, bins=120, errors=0.05, warmed=True, **change), 1), 1, 0)
        paths[name] = oracle.durations_path(seen, 1.3) if "slower" in harm else oracle.errors_path(seen, (0.05, 0.2))
    assert oracle.first(paths["harmed"], 0.38) is not None
    assert oracle.first(paths["same"], 0.38) is None
    assert paths["same"][-1] < 0 < paths["harmed"][-1]
