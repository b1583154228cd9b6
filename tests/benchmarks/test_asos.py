"""Means of experiments dealt anew: a repeated test finds what is not there, the sequence only what is."""

from pathlib import Path

import numpy as np
import pytest
from bench.verdict import asos_aa
from bench.verdict.results import AbsentError

PAIRS = 90


def dealt(seed: int, less: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    means = np.random.default_rng(seed).normal(10, 0.2, (2, PAIRS))
    means[1] -= less
    return means, np.full(PAIRS, 1.0)


def test_a_mean_that_is_lower_is_found() -> None:
    assert asos_aa.sequence_alarms(*dealt(1, less=0.4))
    assert asos_aa.t_test_alarms(*dealt(1, less=0.4))
    assert not asos_aa.sequence_alarms(*dealt(1, less=-0.4))


def test_a_repeated_t_test_alarms_without_a_change_and_the_sequence_does_not() -> None:
    cases = [dealt(seed) for seed in range(60)]
    assert sum(asos_aa.t_test_alarms(*case) for case in cases) >= 3
    assert sum(asos_aa.sequence_alarms(*case) for case in cases) == 0


def test_what_was_earned_between_two_snapshots_is_a_pair() -> None:
    rows = {
        "time_since_start": np.array([2.0, 1.0, 3.0]),
        "count_c": np.array([20.0, 10.0, 40.0]),
        "count_t": np.array([20.0, 10.0, 0.0]),
        "mean_c": np.array([2.0, 1.0, 2.0]),
        "mean_t": np.array([3.0, 1.0, np.nan]),
    }
    found = asos_aa._trajectory(rows)
    assert found.users.tolist() == [[10, 20], [10, 20]]
    assert found.means == pytest.approx(np.array([[1.0, 30 / 20], [1.0, 50 / 20]]))


def test_absent_experiments_say_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match="fetch the ASOS"):
        asos_aa.rows(tmp_path, quick=True)
