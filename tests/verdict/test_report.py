"""The sentence says what happened in words a developer uses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from onejob.model.explanation import (
    AttributeValue,
    CallChange,
    CallKind,
    Explanation,
    Relation,
    SuspectedDeployment,
)
from onejob.model.verdict import EffectKind, Missing, Reason, SignalResult, State, Verdict
from onejob.verdict.recompute import explained
from onejob.verdict.report import duration, percent, sentence
from verdict.traffic import a_deployment

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_signal(**changes: object) -> SignalResult:
    values: dict[str, object] = {
        "operation": "POST /orders",
        "signal": "latency_p95",
        "state": State.WORSE,
        "effect_kind": EffectKind.RATIO,
        "control": 0.1,
        "treatment": 0.138,
        "effect": 1.38,
        "low": 1.27,
        "high": 1.51,
        "tolerance": 1.1,
        "missing": None,
        "log_evidence": 9.0,
        "log_evidence_better": 0.0,
        "weight": 0.5,
        "phi": 1.5,
        "theta_0": 1.48,
        "control_requests": 100,
        "treatment_requests": 100,
    }
    return SignalResult(**(values | changes))  # type: ignore[arg-type]


def a_verdict(*signals: SignalResult, state: State = State.WORSE, reason: Reason | None = None) -> Verdict:
    return Verdict(
        deployment_id="dep_1",
        state=state,
        reason=reason,
        sentence="",
        judged_at=NOW,
        decided_at=NOW,
        first_visible_at=None,
        control=None,
        treatment=None,
        signals=signals,
        log_evidence=9.0,
        alpha=0.01,
        window_start=None,
        window_end=None,
        left_out=(),
        engine_version="onejob",
    )


def a_call(kind: CallKind, **changes: object) -> CallChange:
    values: dict[str, object] = {
        "path": ("POST /orders", "SELECT prices"),
        "service": "checkout",
        "kind": kind,
        "added_s": 0.148,
        "calls_control": 1.0,
        "calls_treatment": 41.0,
        "each_control_s": 0.003,
        "each_treatment_s": 0.025,
        "error_rate_treatment": 0.5,
        "is_cause": True,
    }
    return CallChange(**(values | changes))  # type: ignore[arg-type]


def an_explanation(*calls: CallChange) -> Explanation:
    large = AttributeValue(
        operation="POST /orders",
        signal="latency_p95",
        name="tenant.size",
        value="large",
        lift=5.5,
        coverage=0.94,
        rest_share=0.17,
        bad=94,
        total=100,
    )
    return Explanation(
        deployment_id="dep_1", made_at=NOW, operations=(), attributes=(large,) if calls else (), calls=calls, traces=()
    )


def said(verdict: Verdict, explanation: Explanation | None = None) -> str:
    return sentence(a_deployment(), verdict, explanation)


@pytest.mark.parametrize(
    ("call", "cause"),
    [
        (a_call(CallKind.MORE), "1 of SELECT prices became 41"),
        (a_call(CallKind.MORE, calls_control=0.4), "0.4 of SELECT prices became 41"),
        (a_call(CallKind.FAILING), "SELECT prices fails 50 % of the time"),
        (a_call(CallKind.WAITING), "SELECT prices waits 148 ms longer"),
        (a_call(CallKind.SLOWER), "SELECT prices takes 25 ms instead of 3 ms"),
    ],
)
def test_the_cause_is_named(call: CallChange, cause: str) -> None:
    assert said(a_verdict(a_signal()), an_explanation(call)) == (
        f"checkout 2 is worse: POST /orders p95 rose 38 % (27 % to 51 %) for tenant.size = large, because {cause}."
    )


def test_an_operation_is_no_cause_of_itself() -> None:
    itself = a_call(CallKind.FAILING, path=("POST /orders",))
    assert "because" not in said(a_verdict(a_signal()), an_explanation(itself))


def test_without_a_cause_none_is_made_up() -> None:
    plain = "checkout 2 is worse: POST /orders p95 rose 38 % (27 % to 51 %)."
    assert said(a_verdict(a_signal()), an_explanation()) == plain
    assert said(a_verdict(a_signal())) == plain


def a_suspect(service: str, seconds: float, posterior: float, *, separable: bool = True) -> SuspectedDeployment:
    return SuspectedDeployment(
        deployment_id=f"dep_{service}",
        service=service,
        version="2" if service == "checkout" else "1.8",
        relation=Relation.ITSELF if service == "checkout" else Relation.CALLED,
        steps=0 if service == "checkout" else 1,
        began_at=NOW + timedelta(seconds=seconds),
        posterior=posterior,
        separable=separable,
        reasons=(),
    )


@pytest.mark.parametrize(
    ("suspects", "words"),
    [
        ((a_suspect("payments", -40, 0.99), a_suspect("checkout", 0, 0.01)),
         ", but payments 1.8, deployed 40 s earlier, fits better"),
        ((a_suspect("payments", 90, 0.99),), ", but payments 1.8 fits better"),
        ((a_suspect("checkout", 0, 0.99), a_suspect("payments", -40, 0.01)), ""),
        ((a_suspect("checkout", 0, 0.99), a_suspect("payments", 70, 0.98)),
         ", and payments 1.8, deployed 1 min 10 s later, adds to it"),
        ((a_suspect("payments", 0, 0.5, separable=False), a_suspect("checkout", 0, 0.4, separable=False)),
         ", but that may as well be payments 1.8, deployed in the same second: not separable"),
        ((a_suspect("payments", -9, 0.5, separable=False), a_suspect("stock", -8, 0.45, separable=False),
          a_suspect("checkout", 0, 0.01)),
         ", but payments 1.8, deployed 9 s earlier, or stock 1.8, deployed 8 s earlier, fits better"),
        ((a_suspect("checkout", 0, 0.2, separable=False), a_suspect("payments", -9, 0.1, separable=False)), ""),
        ((a_suspect("checkout", 0, 0.2), a_suspect("payments", -9, 0.01)), ""),
        ((), ""),
    ],
)  # fmt: skip
def test_other_deployments_are_named_only_where_that_changes_what_to_do(
    suspects: tuple[SuspectedDeployment, ...], words: str
) -> None:
    explanation = replace(an_explanation(), suspects=suspects)
    plain = "checkout 2 is worse: POST /orders p95 rose 38 % (27 % to 51 %)"
    assert said(a_verdict(a_signal()), explanation) == f"{plain}{words}."


def test_what_is_still_open_for_the_same_operation_is_said() -> None:
    waiting = Missing(largest_excluded=0.01, requests=600, seconds_p50=360.0, seconds_p90=700.0)
    errors = a_signal(signal="errors", state=State.UNDECIDED, effect_kind=EffectKind.DIFFERENCE, missing=waiting)
    assert said(a_verdict(a_signal(), errors)).endswith("undecided: its error rate (about 6 minutes more).")


def test_an_open_end_of_an_interval_is_not_invented() -> None:
    assert "rose 38 % (at least 27 %)" in said(a_verdict(a_signal(high=None)))


@pytest.mark.parametrize("ends", [{"low": None, "high": None}, {"low": 0.93, "high": 1.9}, {"low": 0.93, "high": None}])
def test_a_sure_change_whose_interval_still_holds_none_does_not_read_like_a_doubt(
    ends: dict[str, float | None],
) -> None:
    assert "POST /orders p95 rose 38 % (how much is still open)." in said(a_verdict(a_signal(**ends)))
    errors = {"signal": "errors", "effect_kind": EffectKind.DIFFERENCE, "control": 0.0, "treatment": 0.02}
    points = {name: end and end - 1 for name, end in ends.items()}
    assert "errors rose from 0 % to 2 % (how much is still open)." in said(
        a_verdict(a_signal(**(errors | {"effect": 0.02} | points)))
    )


def test_better_reads_downwards() -> None:
    faster = a_signal(state=State.BETTER, effect=0.85, low=0.8, high=0.9)
    assert said(a_verdict(faster, state=State.BETTER)) == (
        "checkout 2 is better: POST /orders p95 fell 15 % (10 % to 20 %); nothing is worse so far."
    )


def test_errors_of_an_operation_and_of_the_router_read_differently() -> None:
    points = {"effect_kind": EffectKind.DIFFERENCE, "effect": 0.12, "low": 0.05, "high": 0.2}
    errors = a_signal(signal="errors", control=0.0, treatment=0.12, **points)
    assert "POST /orders errors rose from 0 % to 12 %" in said(a_verdict(errors))
    router = replace(errors, operation="*")
    assert "12 % of its requests failed at the router (0 % before)" in said(a_verdict(router))
    silent = replace(router, signal="shortfall", treatment=1.0)
    assert "100 % of its requests got no answer" in said(a_verdict(silent))
    fewer = replace(errors, state=State.BETTER, control=0.12, treatment=0.01, effect=-0.11, low=-0.2, high=-0.05)
    assert "errors fell from 12 % to 1 %" in said(a_verdict(fewer, state=State.BETTER))


def test_undecided_says_what_is_excluded_and_for_how_long_it_goes_on() -> None:
    def with_eta(seconds: float | None) -> str:
        lacking = Missing(largest_excluded=None, requests=None, seconds_p50=seconds, seconds_p90=None)
        rows = (
            a_signal(signal="errors", state=State.UNDECIDED, effect_kind=EffectKind.DIFFERENCE, high=0.042),
            a_signal(signal="latency_p50", state=State.UNDECIDED, high=1.38, missing=lacking),
        )
        return said(a_verdict(*rows, state=State.UNDECIDED, reason=Reason.TOO_EARLY))

    excluded = "errors rose by less than 4.2 points and medians by less than 38 %"
    assert excluded in with_eta(None)
    assert with_eta(7200.0).endswith("about 2 hours more of this traffic would settle the rest.")
    assert "more than a week" in with_eta(1e7)
    assert "too few requests" in said(a_verdict(state=State.UNDECIDED, reason=Reason.TOO_EARLY))


def test_only_a_worse_verdict_takes_an_explanation() -> None:
    better = a_verdict(a_signal(state=State.BETTER), state=State.BETTER)
    assert explained(a_deployment(), better, an_explanation()) is better


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (60, "1 minute"), (7000, "2 hours"), (90_000, "1 day")]
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("fraction", "words"), [(None, "unknown"), (0.0, "0 %"), (0.0012, "0.12 %"), (0.384, "38 %"), (1.132, "113 %")]
)
def test_percentages_have_two_or_three_digits(fraction: float | None, words: str) -> None:
    assert percent(fraction) == words
