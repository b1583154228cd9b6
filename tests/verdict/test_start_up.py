"""New instances are slow at first: how long is learnt from those that began before, and what is left out is told."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from json import dumps

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onejob.config import Settings
from onejob.model.evidence import JudgeSettings, PastStarts
from onejob.store.engine import Engine, open_engine
from onejob.verdict import start_up
from onejob.verdict.recompute import recompute

from .rollups import BEGAN, a_row, moment, store
from .traffic import Scenario, a_deployment

STEPS = 12  # of ten seconds
PER_STEP = 200


def twice(_: np.random.Generator, seconds: np.ndarray) -> np.ndarray:
    return 2 * seconds


def starts(number: int, cold_steps: int, seed: int = 1) -> np.ndarray:
    """Shape (number, 2, STEPS + 1): nine of ten requests are slower than the median while it is cold, then half."""
    rng = np.random.default_rng(seed)
    timed = np.array([PER_STEP] * STEPS + [24 * PER_STEP])
    share = np.where(np.arange(STEPS + 1) < cold_steps, 0.9, 0.5)
    return np.array([[timed, rng.binomial(timed, share)] for _ in range(number)]).reshape(-1, 2, STEPS + 1)


@pytest.mark.parametrize(("cold_steps", "settled_s"), [(0, 10), (1, 10), (2, 20), (4, 40), (5, 80)])
def test_the_start_up_time_ends_when_past_starts_were_as_quick_as_later(cold_steps: int, settled_s: int) -> None:
    assert start_up.settled(starts(60, cold_steps), 10) == settled_s


def test_starts_that_are_slow_to_the_end_shorten_nothing() -> None:
    assert start_up.settled(starts(60, STEPS), 10) is None


@given(number=st.integers(0, start_up.FEWEST - 1))
def test_few_starts_shorten_nothing(number: int) -> None:
    assert start_up.settled(starts(number, 0), 10) is None


def test_one_cold_start_in_four_is_enough_to_keep_the_time() -> None:
    mixed = np.concatenate([starts(9, 0), starts(3, STEPS, seed=2)])
    assert start_up.settled(mixed, 10) is None


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(Settings(data_dir=tmp_path_factory.mktemp("starts"), rollup_retention_days=400))
    yield engine
    engine.close()


def a_day_of_starts(service: str, cold_s: int, number: int = 10) -> Iterator[str]:
    """Every hour a new instance; the one that was there in the beginning was not seen to begin."""
    rng = np.random.default_rng(3)
    for start in range(number + 1):
        began = BEGAN - (number + 1 - start) * 3_600
        for age in range(0, 600, 10):
            slower = 3.0 if age < cold_s else 1.0
            seconds = 0.03 * slower * np.exp(rng.normal(0, 0.4, 150))
            row = a_row(service, "GET /cart", "1", began + age, 0, seconds)
            yield dumps(row | {"Instance": f"i-{start}"})


@pytest.mark.parametrize(("cold_s", "counts_after_s"), [(0, 10.0), (30, 40.0), (120, 120.0)])
def test_a_services_own_starts_say_how_long_its_new_instances_need(
    engine: Engine, cold_s: int, counts_after_s: float
) -> None:
    service = f"cold-for-{cold_s}"
    store(engine, a_day_of_starts(service, cold_s))
    deployment = replace(a_deployment(), service=service, started_at=moment(0))
    told = start_up.learn(engine, deployment, JudgeSettings(), default_environment="production", bin_width_s=10)
    assert told.warm_up_s == counts_after_s
    assert told.starts is not None
    assert told.starts.instances == 10
    assert told.starts.slower == pytest.approx(0.5 + 0.5 * cold_s / 120, abs=0.04)


def test_nothing_after_the_deployment_and_of_no_other_service_is_looked_at(engine: Engine) -> None:
    store(engine, a_day_of_starts("later", 0))
    before = replace(a_deployment(), service="later", started_at=moment(0) - timedelta(hours=8))
    for deployment in (before, replace(before, service="nobody")):
        asked = JudgeSettings()
        assert start_up.learn(engine, deployment, asked, default_environment="production", bin_width_s=10) is asked


def test_the_verdict_says_what_a_cold_instance_cost_and_what_is_usual() -> None:
    settings = JudgeSettings(starts=PastStarts(instances=12, slower=0.64))
    cold = [replace(b, warmed=()) for b in Scenario(slower=twice, seconds=60).batches(1, settings)]
    verdict = recompute(a_deployment(), cold)
    assert verdict is not None
    said = " ".join(verdict.left_out)
    assert "of them took longer than the old version's median" in said
    assert "12 instances that began in the days before, at the same age, 64%" in said


def test_the_verdict_says_that_the_time_was_learnt() -> None:
    settings = JudgeSettings(warm_up_s=10, starts=PastStarts(instances=12, slower=0.5, settled_s=10))
    verdict = recompute(a_deployment(), list(Scenario(seconds=20).batches(1, settings)))
    assert verdict is not None
    assert "count after 10 s: 12 that began in the days before" in " ".join(verdict.left_out)
