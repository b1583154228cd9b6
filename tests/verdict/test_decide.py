"""Which rows make a verdict, and which only ask for a second look."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.model.evidence import JudgeSettings
from onejob.model.kpi import Direction, Kpi, KpiKind, KpiSource, Tolerance
from onejob.model.verdict import EffectKind, State
from onejob.verdict import tolerances
from onejob.verdict.budget import shares
from onejob.verdict.decide import decide, overall
from onejob.verdict.harm import harm
from onejob.verdict.signals import Row

SIZES = st.one_of(st.none(), st.floats(0.01, 100))


def a_row(**changes: object) -> Row:
    """Errors of GET /cart: seen, and no different."""
    values: dict[str, object] = {
        "family": "errors",
        "operation": "GET /cart",
        "signal": "errors",
        "kind": EffectKind.DIFFERENCE,
        "control": 0.01,
        "treatment": 0.01,
        "effect": 0.0,
        "low": -0.01,
        "high": 0.01,
        "tolerance": 0.005,
        "log_e": (0.0, 0.0),
        "own_log_e": (0.0, 0.0),
        "weight": 1.0,
        "phi": 1.0,
        "theta_0": 1.0,
        "requests": (100, 100),
        "events": (1, 1),
    }
    values |= changes
    return Row(**({"own_log_e": values["log_e"]} | values))  # type: ignore[arg-type]


def a_kpi_row(**changes: object) -> Row:
    """Revenue, a tenth down."""
    values: dict[str, object] = {
        "family": "kpi",
        "operation": "*",
        "signal": "revenue",
        "stream": "revenue",
        "kind": EffectKind.RATIO,
        "effect": 0.9,
        "low": 0.85,
        "high": 0.95,
        "tolerance": 1.02,
        "direction": Direction.HIGHER_IS_BETTER,
        "log_e": (12.0, -3.0),
        "own_log_e": (12.0, -3.0),
    }
    return a_row(**(values | changes))


WITH_KPIS = shares(has_kpis=True, has_vitals=False)


def test_an_exploratory_signal_is_worse_and_the_deployment_is_not() -> None:
    rows = [a_row(), a_kpi_row(exploratory=True)]
    decision = decide(rows, 0.01, WITH_KPIS)
    assert decision.states == (State.UNDECIDED, State.WORSE)
    assert overall(rows, decision.states) is State.UNDECIDED
    assert decision.log_e[0] == pytest.approx(0.0, abs=0.3)


def test_the_same_signal_as_a_guardrail_makes_the_deployment_worse() -> None:
    rows = [a_row(), a_kpi_row()]
    decision = decide(rows, 0.01, WITH_KPIS)
    assert decision.states == (State.UNDECIDED, State.WORSE)
    assert overall(rows, decision.states) is State.WORSE


def test_two_guardrail_kpis_are_two_bets() -> None:
    one = a_kpi_row(weight=0.5)
    other = replace(one, signal="orders", stream="orders", log_e=(-1.0, 0.0), own_log_e=(-1.0, 0.0))
    alone = decide([one], 0.01, WITH_KPIS).log_e[0]
    assert alone - 1.5 < decide([one, other], 0.01, WITH_KPIS).log_e[0] < alone


def test_exploratory_signals_that_are_open_do_not_keep_a_verdict_from_being_no_worse() -> None:
    calm = a_row(low=-0.001, high=0.001)
    rows = [calm, a_kpi_row(exploratory=True, effect=1.0, low=0.9, high=1.1, log_e=(0.0, 0.0))]
    decision = decide(rows, 0.01)
    assert overall(rows, decision.states) is State.NO_WORSE


def test_of_many_exploratory_signals_more_evidence_is_asked() -> None:
    lone = a_kpi_row(exploratory=True, log_e=(4.0, 0.0))
    calm = [a_kpi_row(exploratory=True, signal=f"k{i}", stream=f"k{i}", log_e=(0.0, 0.0)) for i in range(9)]
    assert decide([lone], 0.01).states[0] is State.WORSE
    assert decide([lone, *calm], 0.01).states[0] is State.UNDECIDED


@pytest.mark.parametrize("has_kpis", [True, False])
@pytest.mark.parametrize("has_vitals", [True, False])
def test_the_shares_of_alpha_sum_to_one(has_kpis: bool, has_vitals: bool) -> None:
    assert sum(shares(has_kpis=has_kpis, has_vitals=has_vitals).values()) == pytest.approx(1.0)


@settings(deadline=None)
@given(SIZES, SIZES, SIZES)
def test_turning_an_effect_twice_gives_it_back(effect: float | None, low: float | None, high: float | None) -> None:
    once = harm(EffectKind.RATIO, Direction.HIGHER_IS_BETTER, effect, low, high)
    twice = harm(EffectKind.RATIO, Direction.HIGHER_IS_BETTER, once.effect, once.low, once.high)
    for before, after in zip((effect, low, high), (twice.effect, twice.low, twice.high), strict=True):
        assert after is None if before is None else after == pytest.approx(before)


def test_a_change_either_way_is_beyond_the_tolerance_and_never_better() -> None:
    either = a_kpi_row(direction=Direction.EITHER)
    assert [replace(either, effect=e, low=e, high=e).is_beyond(0) for e in (0.9, 0.99, 1.01, 1.1)] == [
        True, False, False, True,
    ]  # fmt: skip
    assert not replace(either, effect=0.5, low=0.4, high=0.6).is_beyond(1)
    assert replace(either, effect=1.0, low=0.99, high=1.01).is_within
    assert not replace(either, effect=1.0, low=0.97, high=1.01).is_within
    assert not replace(either, effect=1.0, low=None, high=1.01).is_within
    assert replace(either, low=0.8, high=0.9).is_clear(0)
    assert not replace(either, low=0.9, high=1.1).is_clear(0)


def test_a_fall_of_what_should_be_high_is_worse_and_a_rise_is_better() -> None:
    fallen, risen = a_kpi_row(), a_kpi_row(effect=1.1, low=1.05, high=1.15)
    assert (fallen.is_beyond(0), fallen.is_beyond(1), fallen.is_clear(0)) == (True, False, True)
    assert (risen.is_beyond(0), risen.is_beyond(1), risen.is_clear(1)) == (False, True, True)
    assert risen.is_within
    less = a_kpi_row(kind=EffectKind.DIFFERENCE, effect=-0.02, low=-0.03, high=-0.01, tolerance=0.005)
    assert (less.is_beyond(0), less.is_clear(0), less.is_within) == (True, True, False)


def test_the_first_tolerance_that_fits_holds() -> None:
    told = (
        Tolerance(signal="errors", operation="GET *", tolerance=0.02),
        Tolerance(signal="errors", tolerance=0.01),
        Tolerance(signal="latency_p95", tolerance=1.5),
    )
    settings = JudgeSettings(tolerances=told)
    assert tolerances.of_errors(settings, "errors", "GET /cart", 0.5) == 0.02
    assert tolerances.of_errors(settings, "errors", "POST /orders", 0.5) == 0.01
    assert tolerances.of_errors(JudgeSettings(), "errors", "POST /orders", 0.5) == 0.25
    assert tolerances.of_latency(settings, "latency_p95", "GET /cart") == 1.5
    assert tolerances.of_latency(settings, "latency_p50", "GET /cart") == 1.05


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "Revenue"}, "lower case"),
        ({"name": "errors"}, "a signal of that name"),
        ({"source": KpiSource.EVENT}, "`event` must name it"),
        ({"event": "sold"}, "source must be `event`"),
        ({"attribute": ""}, "must name what holds the value"),
        ({"tolerance": 0.0}, "relative"),
        ({"tolerance": float("nan")}, "relative"),
        ({"kind": KpiKind.SLOPE}, "per_instance"),
    ],
)
def test_a_kpi_that_contradicts_itself_is_refused_in_words(wrong: dict[str, object], words: str) -> None:
    sound = {
        "name": "revenue",
        "kind": KpiKind.MEAN,
        "direction": Direction.HIGHER_IS_BETTER,
        "attribute": "order.total",
    }
    assert Kpi(**sound)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        Kpi(**(sound | wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("signal", "tolerance", "words"),
    [
        ("speed", 1.1, "no signal 'speed'"),
        ("latency_p50", 0.05, "ratio above 1"),
        ("errors", 0.0, "difference above 0"),
    ],
)
def test_a_tolerance_that_cannot_be_meant_is_refused_in_words(signal: str, tolerance: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Tolerance(signal=signal, tolerance=tolerance)
