import math

import pytest

from onejob.act.errors import PlanError
from onejob.act.plan import DEFAULT_STEPS, make_plan, make_step
from onejob.model.rollout import Mode


def test_without_steps_a_plan_goes_to_ten_fifty_and_a_hundred_percent() -> None:
    plan = make_plan("envoy", {}, mode=Mode.OBSERVE)

    assert [(step.share, step.hold_s) for step in plan.steps[:2]] == [(0.1, 60), (0.5, 120)]
    assert plan.steps[-1].share == 1.0
    assert plan.steps == DEFAULT_STEPS


@pytest.mark.parametrize(
    ("share", "errors", "latency"),
    [(0.01, 0.3, 3), (0.1, 0.3, 3), (0.11, 0.05, 1.5), (0.5, 0.05, 1.5), (0.51, 0, 1), (1, 0, 1)],
)
def test_the_more_users_a_step_reaches_the_less_damage_may_be_left_open(
    share: float, errors: float, latency: float
) -> None:
    step = make_step(share, 60)

    assert (step.error_limit, step.latency_limit) == (errors, latency)


def test_a_plan_that_stops_short_is_completed() -> None:
    plan = make_plan("envoy", {}, mode=Mode.ACT, steps=[make_step(0.2, 30)])

    assert [step.share for step in plan.steps] == [0.2, 1.0]


@pytest.mark.parametrize(
    "arguments",
    [
        {"share": 0, "hold_s": 1},
        {"share": 10, "hold_s": 1},
        {"share": math.nan, "hold_s": 1},
        {"share": 0.1, "hold_s": -1},
        {"share": 0.1, "hold_s": math.inf},
        {"share": 0.1, "hold_s": 60, "timeout_s": 30},
        {"share": 0.1, "hold_s": 60, "error_limit": 30},
        {"share": 0.1, "hold_s": 60, "latency_limit": 0.5},
    ],
)
def test_a_number_that_makes_no_sense_is_refused_with_its_unit(arguments: dict[str, float]) -> None:
    with pytest.raises(PlanError, match="must be between"):
        make_step(**arguments)


def test_shares_that_do_not_rise_are_refused() -> None:
    with pytest.raises(PlanError, match="must rise"):
        make_plan("envoy", {}, mode=Mode.ACT, steps=[make_step(0.5, 1), make_step(0.5, 1)])


def test_an_unknown_way_out_of_a_timeout_is_refused_by_naming_the_known_ones() -> None:
    with pytest.raises(PlanError, match="pause, abort, promote"):
        make_plan("envoy", {}, mode=Mode.ACT, on_timeout="explode")
