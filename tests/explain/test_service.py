"""Explanations of made-up damage in realistic traces, through a real engine."""

from onejob.model.explanation import CallKind, Explanation

from .builders import NEW, OLD, Order, Traffic
from .conftest import Explain

SELECT = "SELECT price FROM prices WHERE product_id = ?"
PRICES = ("POST /orders", SELECT)


def orders(traffic: Traffic, control: int, treatment: int) -> list[Order]:
    return [
        traffic.order(number, NEW if number % (control + treatment) < treatment else OLD)
        for number in range(control + treatment)
    ]


def the_cause(explanation: Explanation):
    (cause,) = [call for call in explanation.calls if call.is_cause]
    return cause


def test_an_n_plus_one_query_of_one_tenant_size_is_found(explained: Explain, traffic: Traffic) -> None:
    made = orders(traffic, 300, 100)
    for order in made:
        if order.version == NEW and order.size == "large":
            order.queries, order.query_s = 41, 0.001

    explanation = explained(s for order in made for s in order.spans())

    print(explanation)
    first = explanation.attributes[0]
    assert (first.name, first.value) == ("tenant.size", "large")
    cause = the_cause(explanation)
    assert cause.path == PRICES
    assert cause.kind is CallKind.MORE
    assert (cause.calls_control, cause.calls_treatment) == (1, 41)
