"""How customers are counted, on both engines: whose request it is, once, and beside their own past."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from onejob.config import Settings
from onejob.model.customer import ServedCustomer
from onejob.store.customers import BIN_S, Sides, served_customers, served_over_time, uses
from onejob.store.engine import Engine, open_engine
from onejob.store.forgetting import forget_rows
from otlp_builders import a_moment, a_payload, a_service, a_span

MINUTE_NS = 60 * 10**9
ODD = "it's 'v\\1' {x:String} ${y} % é"


def begun(minutes_ago: float) -> int:
    """Unix nanoseconds at the start of a bin of customers, at least so long ago."""
    at = a_moment(minutes_ago * 60)
    return at - at % (BIN_S * 10**9)


def send(engine: Engine, service: str, version: str, start_ns: int, *requests: tuple[str, float, bool]) -> None:
    """(customer, seconds, failed) each; every one a second after the other."""
    spans = [
        a_span(start_ns=start_ns + n * 10**9, duration_s=took, error=failed, tenant__id=customer)
        for n, (customer, took, failed) in enumerate(requests)
    ]
    payload = a_payload(*spans, service=service, resource={"service.version": version})
    engine.insert_traces(payload, f"{service}{version}{start_ns}")


def sides(service: str, since_ns: int, **changes: object) -> Sides:
    since = since_ns // 10**9
    asked = Sides(
        service=service, environment="production", default_environment="production", version="2", previous="1",
        is_by_time=False, past_since=since - 7 * 86_400, since=since, until=since + 7_200,
    )  # fmt: skip
    return replace(asked, **changes)  # type: ignore[arg-type]


def by_name(found: Sequence[ServedCustomer]) -> dict[str, tuple[int, int, int, int]]:
    return {one.customer: (one.new.count, one.new.errors, one.old.count, one.old.errors) for one in found}


def test_a_request_is_of_the_first_customer_it_names_and_only_entry_spans_are_requests(engine: Engine) -> None:
    service = a_service()
    spans = (
        a_span(user__id="u", tenant__id="t"),
        a_span(user__id="u", enduser__id="e"),
        a_span(user__id=ODD),
        a_span(user__id="x" * 300),
        a_span(tenant__id=""),
        a_span(),
        a_span(tenant__id="of a call", kind=3, parent=b"12345678"),
    )
    engine.insert_traces(a_payload(*spans, service=service), service)
    sql = "SELECT Customer AS c FROM otel_traces WHERE ServiceName = {s:String} ORDER BY c"
    assert [row["c"] for row in engine.query(sql, {"s": service}).to_pylist()] == sorted(
        ["t", "e", ODD, "x" * 200, "", "", ""]
    )
    now = a_moment(0) // 10**9
    found = {(use.customer, use.service) for use in uses(engine, ["t", "e", ODD, "nobody"], now - 7_200, now + BIN_S)}
    assert {one for one in found if one[1] == service} == {("t", service), ("e", service), (ODD, service)}


def test_customers_of_a_version_are_counted_beside_their_own_past_once(engine: Engine) -> None:
    service, since = a_service(), begun(60)
    for _ in range(2):  # the client sends it again
        send(engine, service, "1", since - 30 * MINUTE_NS, ("a", 0.1, False), ("b", 0.1, True), ("gone", 0.1, False))
        send(engine, service, "2", since, ("a", 0.1, True), ("a", 0.2, True), ("b", 0.1, False), (ODD, 0.1, False))
    send(engine, service, "1", since + 20 * MINUTE_NS, ("a", 0.1, False))  # still served by the old version
    send(engine, service, "0", since + 20 * MINUTE_NS, ("a", 0.1, False))  # ... and by one that has no part in it
    found, customers = served_customers(engine, sides(service, since), 10)

    assert by_name(found) == {"a": (2, 2, 2, 0), "b": (1, 0, 1, 1), ODD: (1, 0, 0, 0)}
    assert customers == 3
    assert found[0].customer == "a"
    assert len(served_customers(engine, sides(service, since), 1)[0]) == 1
    other = sides(service, since, environment="staging")
    assert served_customers(engine, other, 10) == ([], 0)


def test_a_version_that_served_before_is_told_from_its_past_by_the_time(engine: Engine) -> None:
    service, since = a_service(), begun(60)
    send(engine, service, "2", since - 20 * MINUTE_NS, ("a", 0.1, False), ("a", 0.1, False))
    send(engine, service, "2", since, ("a", 0.1, False))  # within the ten minutes in which it began
    send(engine, service, "2", since + 10 * MINUTE_NS, ("a", 0.1, True))
    found, _ = served_customers(engine, sides(service, since + MINUTE_NS, previous="2", is_by_time=True), 10)
    assert by_name(found) == {"a": (1, 1, 2, 0)}


def test_what_bins_have_in_common_is_kept(engine: Engine) -> None:
    service, since = a_service(), begun(60)
    send(engine, service, "2", since, *[("a", 0.5, True)] * 4)
    send(engine, service, "2", since + 15 * MINUTE_NS, *[("a", 0.5, False)] * 4)
    ((one,), _) = served_customers(engine, sides(service, since), 10)
    assert (one.new.bins, one.new.failing) == (2, 4.0)
    assert (one.new.logs, one.new.between) == (-8.0, 8.0)
    assert sum(one.new.buckets.values()) == 8


def test_one_customer_is_followed_over_time_and_services(engine: Engine) -> None:
    first, second, since = a_service(), a_service(), begun(120)
    name = f"customer of {first}"
    send(engine, first, "1", since, (name, 0.1, False), ("other", 0.1, False))
    send(engine, second, "7", since + 60 * MINUTE_NS, (name, 0.4, True))
    steps = served_over_time(engine, name, since // 10**9 - 3_600, since // 10**9 + 7_200, 3_600)
    assert [(one.service, one.version, one.count, one.errors) for one in steps] == [
        (second, "7", 1, 1), (first, "1", 1, 0),
    ]  # fmt: skip
    assert (steps[0].first_bin - since // 10**9, steps[0].last_bin - steps[0].first_bin) == (3_600, 0)


def test_a_customer_is_forgotten_with_its_counts_where_the_attribute_names_customers(engine: Engine) -> None:
    service, since = a_service(), begun(60)
    long = "o'neill" + "x" * 300
    send(engine, service, "2", since, ("a", 0.1, False), (long, 0.1, False), ("", 0.1, False))
    assert "customer_rollup" not in forget_rows(engine, "session.id", [long], 60)
    assert forget_rows(engine, "tenant.id", [long, ""], 60, is_customer=True)["customer_rollup"] == 1
    assert set(by_name(served_customers(engine, sides(service, since), 10)[0])) == {"a"}


@pytest.mark.parametrize("kind", ["chdb"], indirect=True)
def test_who_is_a_customer_follows_the_settings_from_then_on(own_settings: Settings) -> None:
    engine = open_engine(own_settings)
    engine.insert_traces(a_payload(a_span(org="o", tenant__id="t"), service="before"), "before")
    engine.close()
    for attributes, expected in ((("o'rg.{id:String}", "org"), "o"), ((), "")):
        engine = open_engine(own_settings.model_copy(update={"customer_attributes": attributes}))
        engine.insert_traces(a_payload(a_span(org="o", tenant__id="t"), service="after"), str(attributes))
        sql = "SELECT ServiceName AS s, Customer AS c FROM otel_traces ORDER BY Timestamp, c"
        found = {(row["s"], row["c"]) for row in engine.query(sql).to_pylist()}
        engine.close()
        assert ("before", "t") in found
        assert ("after", expected) in found
