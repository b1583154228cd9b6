"""Explanations of made-up damage in realistic traces, through a real engine."""

import random
from dataclasses import replace

import pytest

from onejob.config import Settings
from onejob.explain.service import explain
from onejob.model.explanation import CallChange, CallKind, CauseKind, Explanation
from onejob.model.verdict import ArmSummary, State
from onejob.store.engine import Engine

from .builders import CLIENT, NEW, OLD, START, ASpan, Order, Traffic, a_deployment, a_signal, a_verdict, store
from .conftest import Explain

ORDERS = "POST /orders"
SELECT = "SELECT price FROM prices WHERE product_id = ?"
CHARGE = (ORDERS, "POST /charges", "POST /charges")
ERRORS = a_signal("errors", control=0.0, treatment=0.12, effect=0.12)


def orders(traffic: Traffic, control: int = 300, treatment: int = 100, **overrides: str) -> list[Order]:
    """Both arms served side by side."""
    return [
        traffic.order(number, NEW if number % (control + treatment) < treatment else OLD, **overrides)
        for number in range(control + treatment)
    ]


def spans_of(made: list[Order]) -> list[ASpan]:
    return [span for order in made for span in order.spans()]


def hurt(made: list[Order], *, when: dict[str, str] | None = None, **damage: object) -> list[Order]:
    """The new version damages requests with these attributes."""
    wanted = when or {}
    return [
        replace(order, **damage)
        if order.version == NEW and all(getattr(order, name) == value for name, value in wanted.items())
        else order
        for order in made
    ]


def fail_half(made: list[Order], when: dict[str, str], seed: int = 1) -> list[Order]:
    draw = random.Random(seed)
    return [hurt([order], when=when, charge_fails=True)[0] if draw.random() < 0.5 else order for order in made]


def the_cause(explanation: Explanation) -> CallChange:
    (cause,) = [call for call in explanation.calls if call.is_cause]
    return cause


def first_attribute(explanation: Explanation) -> str:
    first = explanation.attributes[0]
    return f"{first.name}={first.value}"


@pytest.mark.parametrize("seed", range(4))
def test_an_n_plus_one_query_of_one_tenant_size_is_found(explained: Explain, traffic: Traffic, seed: int) -> None:
    size = ["large", "small", "medium", "large"][seed]
    made = hurt(orders(traffic, 400, 90), when={"size": size}, queries=41, query_s=0.001)

    explanation = explained(spans_of(made))

    assert first_attribute(explanation) == f"tenant.size={size}"
    assert len(explanation.attributes) == 1
    cause = the_cause(explanation)
    assert (cause.path, cause.kind) == ((ORDERS, SELECT), CallKind.MORE)
    assert (cause.calls_control, cause.calls_treatment) == (1, 41)
    assert cause.added_s == pytest.approx(0.039, abs=0.005)
    found = explanation.attributes[0]
    assert found.lift > 4
    assert found.coverage > 0.8
    assert found.rest_share < 0.1


def test_the_loop_around_many_quick_calls_does_not_hide_them(explained: Explain, traffic: Traffic) -> None:
    made = hurt(orders(traffic), when={"size": "large"}, queries=41, query_s=0.0004, between_s=0.002)

    cause = the_cause(explained(spans_of(made)))

    assert (cause.path, cause.kind) == ((ORDERS, SELECT), CallKind.MORE)


@pytest.mark.parametrize("seed", range(4))
def test_half_of_the_requests_of_one_payment_method_failing_are_found(
    explained: Explain, traffic: Traffic, seed: int
) -> None:
    method = ["card", "paypal", "sepa", "invoice"][seed]
    made = fail_half(orders(traffic, 700, 110), {"method": method}, seed)

    explanation = explained(spans_of(made), ERRORS)

    assert first_attribute(explanation) == f"payment.method={method}"
    cause = the_cause(explanation)
    assert (cause.path, cause.kind, cause.service) == (CHARGE, CallKind.FAILING, "payments")
    assert cause.error_rate_control == 0
    assert cause.error_rate_treatment == pytest.approx(0.5, abs=0.35)


def test_failures_are_charged_to_the_service_that_they_begin_in(explained: Explain, traffic: Traffic) -> None:
    explanation = explained(spans_of(fail_half(orders(traffic, 300, 200), {})), ERRORS)

    (at_fault,) = explanation.services
    assert (at_fault.service, at_fault.kind) == ("payments", CauseKind.ERRORS)
    assert 0.2 < at_fault.failures < 0.6


@pytest.mark.parametrize("where", ["storefront", "payments"])
def test_attributes_of_callers_and_of_called_services_count_as_well(
    explained: Explain, traffic: Traffic, where: str
) -> None:
    made = [replace(o, tenant_on="storefront", method_on="payments") for o in orders(traffic, 400, 150)]
    if where == "storefront":
        explanation = explained(spans_of(hurt(made, when={"size": "small"}, query_s=0.05)))
        assert first_attribute(explanation) == "tenant.size=small"
    else:
        explanation = explained(spans_of(fail_half(made, {"method": "card"})), ERRORS)
        assert first_attribute(explanation) == "payment.method=card"


def test_a_slower_query_that_hits_everyone_has_a_span_but_no_attribute(explained: Explain, traffic: Traffic) -> None:
    explanation = explained(spans_of(hurt(orders(traffic), query_s=0.012)))

    assert explanation.attributes == ()
    assert any("everyone" in note for note in explanation.notes)
    cause = the_cause(explanation)
    assert (cause.path, cause.kind) == ((ORDERS, SELECT), CallKind.SLOWER)
    assert cause.each_control_s == pytest.approx(0.002, rel=0.1)
    assert cause.each_treatment_s == pytest.approx(0.012, rel=0.1)
    assert all(call.kind is CallKind.UNCHANGED for call in explanation.calls if not call.is_cause)


def test_a_slow_callee_is_named_not_the_call_to_it(explained: Explain, traffic: Traffic) -> None:
    explanation = explained(spans_of(hurt(orders(traffic), charge_s=0.030)))

    cause = the_cause(explanation)
    assert (cause.path, cause.kind, cause.service) == (CHARGE, CallKind.SLOWER, "payments")
    (at_fault,) = explanation.services
    assert (at_fault.service, at_fault.kind, at_fault.share) == ("payments", CauseKind.SLOW, 1.0)
    assert at_fault.own_s == pytest.approx(cause.added_s, rel=0.2)


def test_time_between_calls_is_waiting(explained: Explain, traffic: Traffic) -> None:
    cause = the_cause(explained(spans_of(hurt(orders(traffic), wait_s=0.030))))

    assert (cause.path, cause.kind) == ((ORDERS,), CallKind.WAITING)
    assert cause.added_s == pytest.approx(0.030, abs=0.003)


def test_damage_of_a_pair_of_values_is_named_as_a_pair(explained: Explain, traffic: Traffic) -> None:
    made = hurt(orders(traffic, 600, 300), when={"size": "large", "region": "eu"}, query_s=0.04)

    explanation = explained(spans_of(made))

    first = explanation.attributes[0]
    assert {first.name, first.value} == {"region & tenant.size", "eu & large"} or {first.name, first.value} == {
        "tenant.size & region", "large & eu",
    }  # fmt: skip
    assert the_cause(explanation).path == (ORDERS, SELECT)


def test_two_hurt_classes_are_both_named(explained: Explain, traffic: Traffic) -> None:
    made = hurt(orders(traffic, 500, 200), when={"size": "large"}, query_s=0.04)
    made = hurt(made, when={"size": "small"}, query_s=0.04)

    found = explained(spans_of(made)).attributes

    assert {(a.name, a.value) for a in found} == {("tenant.size", "large"), ("tenant.size", "small")}
    assert found[0].coverage < 0.8


def test_values_that_are_slow_in_both_arms_explain_nothing(explained: Explain, traffic: Traffic) -> None:
    made = [replace(o, query_s=0.05) if o.size == "large" else o for o in orders(traffic, 500, 200)]
    made = hurt(made, when={"method": "paypal"}, charge_s=0.05)

    explanation = explained(spans_of(made))

    assert [f"{a.name}={a.value}" for a in explanation.attributes] == ["payment.method=paypal"]


def test_a_value_that_came_with_the_version_is_marked_new(explained: Explain, traffic: Traffic) -> None:
    draw = random.Random(3)
    made = [
        replace(o, extra={"feature.pricing": "v2"}, query_s=0.05) if o.version == NEW and draw.random() < 0.4 else o
        for o in orders(traffic)
    ]

    explanation = explained(spans_of(made))

    assert first_attribute(explanation) == "feature.pricing=v2"
    assert explanation.attributes[0].is_new


def test_consequences_that_an_application_records_itself_do_not_win(explained: Explain, traffic: Traffic) -> None:
    made = fail_half(orders(traffic, 600, 200), {"method": "sepa"})
    made = [replace(o, extra={"order.outcome": "payment_failed" if o.charge_fails else "placed"}) for o in made]

    assert first_attribute(explained(spans_of(made), ERRORS)) == "payment.method=sepa"


def test_twins_are_said_to_be_inseparable_and_promoted_attributes_preferred(
    explained: Explain, traffic: Traffic
) -> None:
    made = [replace(o, extra={"a.plan": f"plan-{o.size}"}) for o in orders(traffic)]

    explanation = explained(spans_of(hurt(made, when={"size": "large"}, query_s=0.05)))

    assert first_attribute(explanation) == "tenant.size=large"
    hurt_tenants = {o.tenant for o in made if o.size == "large" and o.version == NEW}
    assert 0 < explanation.attributes[0].customers <= len(hurt_tenants)
    assert any("a.plan=plan-large" in note and "not separable" in note for note in explanation.notes)


def test_names_of_the_stable_conventions_are_read_as_well(explained: Explain, traffic: Traffic) -> None:
    made = orders(traffic)
    for order in made:
        order.traffic = replace(traffic, new_names=order.number % 2 == 0)  # a fleet in the middle of its migration

    explanation = explained(spans_of(hurt(made, when={"size": "large"}, queries=41, query_s=0.001)))

    assert the_cause(explanation).path == (ORDERS, SELECT)
    assert the_cause(explanation).calls_treatment == 41


def test_exemplars_are_one_comparable_trace_of_each_arm(explained: Explain, traffic: Traffic) -> None:
    made = hurt(orders(traffic), when={"size": "large"}, queries=41, query_s=0.001)

    treatment, control = explained(spans_of(made)).traces

    assert (treatment.arm, control.arm) == ("treatment", "control")
    by_trace = {span.trace_id.hex(): order for order in made for span in order.spans()[:1]}
    assert by_trace[treatment.trace_id].version == NEW
    assert by_trace[treatment.trace_id].size == "large"
    assert by_trace[control.trace_id].version == OLD
    assert by_trace[control.trace_id].size == "large"
    assert sum(span.path == (ORDERS, SELECT) for span in treatment.spans) == 41
    assert sum(span.path == (ORDERS, SELECT) for span in control.spans) == 1
    assert treatment.spans[0].offset_s == 0
    assert treatment.spans[0].path == (ORDERS,)
    ids = {span.span_id for span in treatment.spans}
    assert all(span.parent_span_id in ids for span in treatment.spans[1:])


def test_the_failing_exemplar_fails_where_the_cause_is(explained: Explain, traffic: Traffic) -> None:
    explanation = explained(spans_of(fail_half(orders(traffic), {"method": "card"})), ERRORS)

    treatment, control = explanation.traces
    assert treatment.is_error
    assert any(span.is_error and span.path == CHARGE for span in treatment.spans)
    assert not control.is_error


def test_operations_share_the_damage_by_what_their_requests_lost(explained: Explain, traffic: Traffic) -> None:
    made = spans_of(hurt(orders(traffic), query_s=0.05))
    signals = (a_signal("latency_p99"), a_signal("latency_p50", log_evidence=20.0), a_signal(operation="GET /gone"))

    explanation = explained(made, *signals)

    assert [(o.operation, o.signal) for o in explanation.operations] == [
        (ORDERS, "latency_p50"), ("GET /gone", "latency_p95"),
    ]  # fmt: skip
    assert sum(o.share for o in explanation.operations) == pytest.approx(1)


def test_late_spans_are_used_when_asked_again(engine: Engine, settings: Settings, traffic: Traffic) -> None:
    made = hurt(orders(traffic), when={"size": "large"}, queries=41, query_s=0.001)
    spans = spans_of(made)
    store(engine, [s for s in spans if s.name != "SELECT"], "early" + traffic.environment)
    deployment, verdict = a_deployment(traffic.environment), a_verdict()

    early = explain(engine, deployment, verdict, settings=settings, now=START)
    store(engine, [s for s in spans if s.name == "SELECT"], "late" + traffic.environment)
    late = explain(engine, deployment, verdict, settings=settings, now=START)

    assert the_cause(early).path == (ORDERS,)
    assert the_cause(late).path == (ORDERS, SELECT)
    assert late == explain(engine, deployment, verdict, settings=settings, now=START)


def test_no_difference_in_the_spans_is_said(explained: Explain, traffic: Traffic) -> None:
    made = [replace(order, speed=1.0) for order in orders(traffic, size="large", method="card", region="eu")]

    explanation = explained(spans_of(made))

    assert explanation.attributes == ()
    assert explanation.traces == ()
    assert any("show no difference" in note for note in explanation.notes)


@pytest.mark.parametrize(("kept", "missing"), [(OLD, "new"), (NEW, "old"), ("none", "either")])
def test_an_empty_arm_is_said(explained: Explain, traffic: Traffic, kept: str, missing: str) -> None:
    explanation = explained([s for o in orders(traffic, 30, 30) if o.version == kept for s in o.spans()])

    assert (explanation.attributes, explanation.calls, explanation.traces) == ((), (), ())
    assert any(f"of {missing}" in note or f"of the {missing}" in note for note in explanation.notes)
    assert explanation.operations[0].operation == ORDERS


def test_requests_outside_the_window_do_not_count(explained: Explain, traffic: Traffic) -> None:
    explanation = explained(spans_of(orders(traffic, 30, 30)), window_start=START.replace(year=2001), window_end=START)

    assert any("no traces" in note for note in explanation.notes)


@pytest.mark.parametrize("state", [State.UNDECIDED, State.BETTER, State.NO_WORSE])
def test_only_worse_is_explained(explained: Explain, state: State) -> None:
    explanation = explained([], state=state)

    assert explanation.operations == ()
    assert state.value in explanation.notes[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"window_start": None}, {"control": None}, {"control": None, "treatment": None, "window_end": None},
        {"control": ArmSummary(kind="concurrent", versions=(), instances=(), requests=0)},
    ],
)  # fmt: skip
def test_a_verdict_without_arms_or_window_gets_a_defined_answer(
    explained: Explain, traffic: Traffic, fields: dict[str, object]
) -> None:
    explanation = explained(spans_of(orders(traffic, 20, 20)), **fields)

    assert explanation.notes


def test_a_verdict_whose_signals_are_worse_only_together_names_those_that_point_that_way(
    explained: Explain, traffic: Traffic
) -> None:
    weak = a_signal(state=State.UNDECIDED, log_evidence=2.0)
    explanation = explained(spans_of(hurt(orders(traffic), query_s=0.05)), weak)

    assert the_cause(explanation).path == (ORDERS, SELECT)
    assert any("only all together" in note for note in explanation.notes)


def test_a_verdict_without_any_signal_gets_a_defined_answer(engine: Engine, settings: Settings) -> None:
    verdict = replace(a_verdict(), signals=())

    explanation = explain(engine, a_deployment("nowhere"), verdict, settings=settings, now=START)

    assert explanation.notes == ("The verdict rests on no operation, so there is no place to look.",)


def test_requests_never_answered_have_no_spans_and_that_is_said(explained: Explain, traffic: Traffic) -> None:
    explanation = explained(spans_of(orders(traffic, 20, 20)), a_signal("shortfall", control=1.0, treatment=0.8))

    assert explanation.operations[0].signal == "shortfall"
    assert any("never answered" in note for note in explanation.notes)


def test_spans_with_missing_parents_are_left_out_and_counted(explained: Explain, traffic: Traffic) -> None:
    spans = [s for s in spans_of(hurt(orders(traffic), query_s=0.05)) if s.name != "POST"]

    explanation = explained(spans)

    assert the_cause(explanation).path == (ORDERS, SELECT)
    assert all("POST /charges" not in call.path for call in explanation.calls)
    assert any("parents that are not in the store" in note for note in explanation.notes)


def test_spans_that_are_their_own_ancestors_are_left_out(explained: Explain, traffic: Traffic) -> None:
    spans = spans_of(hurt(orders(traffic), query_s=0.05))
    for span in [s for s in spans if s.service == "payments" and s.name == "POST /charges"]:
        first, second = span.child("a", 0, 0.001), span.child("b", 0, 0.001)
        first.parent_id, second.parent_id = second.span_id, first.span_id
        itself = span.child("c", 0, 0.001)
        itself.parent_id = itself.span_id
        spans += [first, second, itself]

    explanation = explained(spans)

    assert the_cause(explanation).path == (ORDERS, SELECT)
    assert not {"a", "b", "c"} & {label for call in explanation.calls for label in call.path}


def test_an_operation_with_a_nul_in_its_name_is_explained_too(explained: Explain, traffic: Traffic) -> None:
    made = hurt(orders(traffic, 200, 90), when={"size": "large"}, queries=41, query_s=0.001)
    made = [replace(o, traffic=replace(traffic, operation="/or\0ders")) for o in made]

    explanation = explained(spans_of(made), a_signal(operation="POST /or\0ders"))

    assert first_attribute(explanation) == "tenant.size=large"
    assert the_cause(explanation).path[-1] == SELECT
    assert explanation.traces


def test_hostile_values_stay_values(explained: Explain, traffic: Traffic) -> None:
    evil = "<script>alert('1')</script> \\' OR 1=1 \0 \u202e"
    made = [replace(o, extra={f"x.{evil}": evil}) if o.size == "large" else o for o in orders(traffic)]
    made = [replace(o, traffic=replace(traffic, operation="/o'rders\\ <b>")) for o in made]
    made = hurt(made, when={"size": "large"}, query_s=0.05)

    explanation = explained(spans_of(made), a_signal(operation="POST /o'rders\\ <b>"))

    text = str(explanation)
    assert "\0" not in text
    assert "<script>" in text  # shown as it is: escaping is for who renders it
    assert the_cause(explanation).path == ("POST /o'rders\\ <b>", SELECT)


def test_concurrent_calls_are_not_counted_twice(explained: Explain, traffic: Traffic) -> None:
    spans = []
    for order in orders(traffic):
        mine = order.spans()
        entry = next(s for s in mine if s.service == "checkout" and s.name == ORDERS)
        took = 0.040 if order.version == NEW else 0.005
        for index in range(3):
            mine.append(entry.child(f"fetch {index}", 0.0011 + index * 1e-5, took, kind=CLIENT))
        entry.took = max(entry.took, took + 0.002)
        spans += mine

    explanation = explained(spans)

    waiting = next(call for call in explanation.calls if call.path == (ORDERS,))
    assert abs(waiting.added_s) < 0.005
    assert the_cause(explanation).path[-1].startswith("fetch")


def test_an_http_n_plus_one_blames_the_caller_not_what_it_calls(explained: Explain, traffic: Traffic) -> None:
    spans = []
    for order in orders(traffic):
        mine = order.spans()
        entry = next(s for s in mine if s.service == "checkout" and s.name == ORDERS)
        for index in range(21 if order.version == NEW else 1):
            attributes = {"http.request.method": "GET", "url.full": f"http://stock:80/items/{index}"}
            call = entry.child("GET", 0.02 + index * 0.004, 0.003, kind=CLIENT, attributes=dict(attributes))
            mine += [call, call.child("GET /items/{id}", 0.0005, 0.002, kind="SERVER", service="stock")]
            entry.took = call.at + 0.004 - entry.at
        spans += mine

    explanation = explained(spans)

    cause = the_cause(explanation)
    assert cause.path == (ORDERS, "GET /items/{id}")
    assert (cause.kind, cause.calls_control, cause.calls_treatment) == (CallKind.MORE, 1, 21)
    assert (explanation.services[0].service, explanation.services[0].kind) == ("checkout", CauseKind.CALLS)
    below = next(call for call in explanation.calls if len(call.path) == 3 and call.service == "stock")
    assert below.kind is CallKind.UNCHANGED


def test_builds_of_the_same_version_are_told_apart(engine: Engine, settings: Settings, traffic: Traffic) -> None:
    made = hurt(orders(traffic), query_s=0.05)
    spans = spans_of(made)
    for span in spans:
        if span.service == "checkout":
            build = "a" if span.version == OLD else "b"
            span.resource = {**span.resource, "container.image.id": f"sha256:{build * 64}"}
            span.version = "7"
    store(engine, spans, traffic.environment)
    control = ArmSummary(kind="concurrent", versions=("7",), instances=(), requests=1)
    deployment = a_deployment(traffic.environment, version="7@bbbbbbbbbbbb", previous_version="7@aaaaaaaaaaaa")

    explanation = explain(engine, deployment, a_verdict(control=control), settings=settings, now=START)

    assert the_cause(explanation).path == (ORDERS, SELECT)


@pytest.mark.slow
def test_huge_traces_are_explained_in_bounded_time(explained: Explain, traffic: Traffic) -> None:
    made = orders(traffic, 6, 6)
    for order in made:
        order.queries, order.query_s = (10_000, 2e-5) if order.version == NEW else (5_000, 2e-5)

    spans = spans_of(made)
    explanation = explained(spans)

    assert the_cause(explanation).path == (ORDERS, SELECT)
    assert all(len(trace.spans) <= 400 for trace in explanation.traces)
    assert any("requests were looked into" in note for note in explanation.notes)


def test_twenty_thousand_spans_are_explained(engine: Engine, settings: Settings, traffic: Traffic) -> None:
    made = hurt(orders(traffic, 1_500, 500), when={"size": "large"}, queries=41, query_s=0.001)
    spans = spans_of(made)
    assert len(spans) >= 20_000
    store(engine, spans, traffic.environment)
    explanation = explain(engine, a_deployment(traffic.environment), a_verdict(), settings=settings, now=START)
    assert the_cause(explanation).path == (ORDERS, SELECT)


def test_sampled_requests_stand_for_all(explained: Explain, traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onejob.explain.reading.MAX_REQUESTS", 150)
    monkeypatch.setattr("onejob.explain.sampling.MAX_PER_KIND", 40)
    made = fail_half(orders(traffic, 600, 400), {"method": "paypal"})

    explanation = explained(spans_of(made), ERRORS)

    assert first_attribute(explanation) == "payment.method=paypal"
    found = explanation.attributes[0]
    assert found.bad == sum(order.charge_fails for order in made)
    assert found.total == pytest.approx(sum(o.version == NEW and o.method == "paypal" for o in made), rel=0.35)
    assert the_cause(explanation).error_rate_treatment == pytest.approx(0.5, abs=0.2)
