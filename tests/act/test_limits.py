from dataclasses import replace

import pytest
from tests.act.builders import a_signal, a_verdict

from onejob.act.limits import assess
from onejob.act.plan import make_step
from onejob.model.verdict import Reason, State, Verdict

SMALL = make_step(0.1, 60)  # +30 points, x3
LARGE = make_step(0.5, 120)  # +5 points, x1.5
TINY = {"control_requests": 40, "treatment_requests": 4}


def undecided(*signals: object) -> Verdict:
    return a_verdict(signals=signals)  # type: ignore[arg-type]


def test_a_step_goes_on_once_effects_beyond_its_limits_are_excluded() -> None:
    verdict = undecided(a_signal(high=0.2), a_signal(signal="latency_p50", high=2.5))

    assert assess(verdict, SMALL).is_excluded
    assert not assess(verdict, LARGE).is_excluded


@pytest.mark.parametrize(
    "still_possible",
    [
        a_signal(high=0.31),
        a_signal(high=None),
        a_signal(signal="latency_p50", high=3.1),
        a_signal(signal="latency_p50", high=None),
        a_signal(signal="latency_p95", effect=3.1, high=4.0),
        a_signal("*", "errors", high=0.31),
        a_signal("*", "shortfall", high=0.31),
    ],
)
def test_one_open_signal_of_a_busy_operation_holds_the_step_and_is_named(still_possible: object) -> None:
    others = (a_signal(), a_signal(signal="latency_p50", high=1.1))

    assessment = assess(undecided(*others, still_possible), SMALL)

    assert not assessment.is_excluded
    assert "possible" in assessment.sentence


@pytest.mark.parametrize(
    ("effect", "treatment_requests", "is_excluded"), [(3.5, 399, True), (3.5, 400, False), (2.5, 400, True)]
)
def test_a_tail_holds_the_step_when_it_is_seen_beyond_the_limit_and_not_by_a_handful_of_requests(
    effect: float, treatment_requests: int, is_excluded: bool
) -> None:
    tail = a_signal(signal="latency_p95", effect=effect, high=None, treatment_requests=treatment_requests)

    assert (
        assess(undecided(a_signal(), a_signal(signal="latency_p50", high=2.0), tail), SMALL).is_excluded is is_excluded
    )


def test_an_operation_with_little_traffic_neither_blocks_nor_passes_silently() -> None:
    rare = a_signal("GET /rare", high=0.9, **TINY)

    assessment = assess(undecided(a_signal(), rare), SMALL)

    assert assessment.is_excluded
    assert "GET /rare" in assessment.sentence
    assert "not covered, 0.4% of the traffic" in assessment.sentence


def test_little_traffic_that_adds_up_to_much_holds_the_step() -> None:
    rare = [a_signal(f"GET /{i}", high=0.9, control_requests=600, treatment_requests=60) for i in range(5)]

    assessment = assess(undecided(a_signal(), *rare), SMALL)

    assert not assessment.is_excluded
    assert "and 2 more" in assessment.sentence


def test_little_traffic_that_is_seen_to_fail_holds_the_step() -> None:
    rare = a_signal("GET /rare", effect=0.5, high=0.95, **TINY)

    assessment = assess(undecided(a_signal(), rare), SMALL)

    assert not assessment.is_excluded
    assert "+50.0 points" in assessment.sentence


def test_a_service_with_nothing_but_rare_operations_is_not_passed() -> None:
    assert not assess(undecided(a_signal(high=0.9, **TINY)), SMALL).is_excluded


def test_a_shortfall_without_a_router_goes_by_its_estimate() -> None:
    few = a_signal("*", "shortfall", high=None, effect=0.1, tolerance=0.2)
    many = a_signal("*", "shortfall", high=None, effect=0.5, tolerance=0.2)

    assert assess(undecided(a_signal(), few), LARGE).is_excluded
    assert not assess(undecided(a_signal(), many), LARGE).is_excluded


def test_what_is_tolerable_never_holds_a_step() -> None:
    full = make_step(0.9, 60)

    assert assess(undecided(a_signal(high=0.001), a_signal(signal="latency_p50", high=1.1)), full).is_excluded
    assert not assess(undecided(a_signal(high=0.002)), full).is_excluded


@pytest.mark.parametrize("reason", [Reason.NO_DATA, Reason.NO_CONTROL, Reason.NOT_COMPARABLE])
def test_lack_of_data_never_passes_as_green(reason: Reason) -> None:
    verdict = a_verdict(reason=reason, signals=(a_signal(),))

    assert not assess(verdict, SMALL).is_excluded


def test_without_a_verdict_or_a_compared_operation_nothing_is_excluded() -> None:
    assert not assess(None, SMALL).is_excluded
    assert not assess(undecided(), SMALL).is_excluded
    assert not assess(undecided(a_signal("*", "errors")), SMALL).is_excluded


@pytest.mark.parametrize("state", [State.NO_WORSE, State.BETTER])
def test_a_decided_verdict_excludes_everything(state: State) -> None:
    assert assess(a_verdict(state), LARGE).is_excluded


def test_a_worse_verdict_excludes_nothing() -> None:
    assert not assess(a_verdict(State.WORSE), SMALL).is_excluded


def test_a_kpi_that_is_open_holds_no_step() -> None:
    kpi = replace(a_signal("*", "revenue", high=None, effect=None), family="kpi")

    assert assess(undecided(a_signal(), a_signal(signal="latency_p50", high=2.0), kpi), SMALL).is_excluded


@pytest.mark.parametrize("state", [State.UNDECIDED, State.NO_WORSE])
def test_an_exploratory_signal_that_is_worse_holds_the_step_and_is_named(state: State) -> None:
    calm = (a_signal(), a_signal(signal="latency_p50", high=2.0))
    found = replace(a_signal("*", "revenue"), family="kpi", exploratory=True, state=State.WORSE)

    assessment = assess(a_verdict(state=state, signals=(*calm, found)), SMALL)

    assert not assessment.is_excluded
    assert "revenue is no guardrail" in assessment.sentence
