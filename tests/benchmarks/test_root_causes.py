"""The rankings that root causes are compared with, and what the measure says where its data is absent."""

from pathlib import Path

import numpy as np
import pytest
from bench.verdict import nezha
from bench.verdict.peers.services import RANKINGS, Series, ranked
from bench.verdict.results import AbsentError


def a_series(service: str, moved: float, seed: int = 1) -> Series:
    draw = np.random.default_rng([seed, len(service)])
    before, during = draw.normal(10, 1, 50), draw.normal(10 + moved, 1, 5)
    return Series(service, before, during, draw.normal(0, 1, 50), draw.normal(9, 1, 5))


@pytest.mark.parametrize("who", RANKINGS)
def test_the_service_whose_series_moved_with_the_front_door_comes_first(who: str) -> None:
    series = [a_series("calm", 0.0), a_series("hurt service", 12.0), a_series("other", 1.0)]

    assert ranked(series, RANKINGS[who])[0] == "hurt service"


def test_the_most_conspicuous_series_of_a_service_counts() -> None:
    series = [a_series("one", 0.0), a_series("one", 30.0, seed=2), a_series("three", 8.0)]

    assert ranked(series, RANKINGS["N-sigma"]) == ["one", "three"]


def test_a_series_that_never_moved_counts_in_its_own_unit() -> None:
    still = Series("still", np.ones(20), np.full(3, 3.0), np.ones(20), np.ones(3))

    assert RANKINGS["N-sigma"](still) == RANKINGS["RobustScorer"](still) == 2.0
    assert RANKINGS["correlation"](still) == 0.0


def test_a_service_without_points_is_left_out() -> None:
    nothing = Series("silent", np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))

    assert ranked([nothing], RANKINGS["N-sigma"]) == []


def test_absent_recordings_say_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match="IntelligentDDS/Nezha"):
        nezha.rows(tmp_path, quick=True)
