"""Deletion of one attribute value on both engines, whatever is in its name and in it."""

import pytest

from onejob.store.engine import Engine
from onejob.store.forgetting import forget_rows, traces_of
from otlp_builders import a_log_request, a_payload, a_record, a_span, attributes_of

ODD = (
    "o'neill", '"quoted"', "100%", "%s %(value)s %d", "back\\slash", "back\\", "a\tb\nc", "{value:String}", "{}", "$1",
    "'; DROP TABLE otel_traces; --", "日本語 ü", "?", "", " spaced ", "a" * 5000, "\x00nul",
)  # fmt: skip


def left(engine: Engine, service: str) -> list[str]:
    sql = "SELECT SpanAttributes['number'] AS n FROM otel_traces WHERE ServiceName = {service:String} ORDER BY n"
    return [row["n"] for row in engine.query(sql, {"service": service}).to_pylist()]


def store(engine: Engine, service: str, attributes: list[dict[str, str]]) -> None:
    spans = []
    for number, named in enumerate(attributes):
        span = a_span()
        span.attributes.extend(attributes_of({"number": str(number), **named}))
        spans.append(span)
    engine.insert_traces(a_payload(*spans, service=service), service)


def test_any_value_is_forgotten_and_no_other(engine: Engine) -> None:
    store(engine, "odd-values", [{"customer": value} for value in ODD])
    assert forget_rows(engine, "customer", ODD[::2], 60)["otel_traces"] == len(ODD[::2])
    assert left(engine, "odd-values") == sorted(str(n) for n in range(1, len(ODD), 2))
    assert forget_rows(engine, "customer", ODD[1::2], 60)["otel_traces"] == len(ODD[1::2])
    assert left(engine, "odd-values") == []


def test_whose_a_trace_was_is_known_when_nothing_is_left_of_it(engine: Engine) -> None:
    named, other, logged = a_span(customer="acme-9"), a_span(customer="other-9"), a_span()
    engine.insert_traces(a_payload(named, other, logged, service="whose"), "whose")
    record = a_record(trace_id=logged.trace_id, attributes=attributes_of({"customer": "acme-9"}))
    engine.insert("otel_logs", a_log_request(record, service="whose").SerializeToString(), "whose-logs")
    traces = [one.trace_id.hex() for one in (named, other, logged)]
    with traces_of(engine, "customer", ["acme-9", "o'neill"]) as theirs_of:
        forget_rows(engine, "customer", ["acme-9"], 60)
        assert theirs_of([*traces, "ab" * 16]) == {traces[0], traces[2]}
        assert theirs_of([]) == set()
    assert engine.query("SELECT name FROM system.tables WHERE startsWith(name, 'forgetting_')").to_pylist() == []


@pytest.mark.parametrize("name", ["o'neill", "100%s", "{value:String}", "back\\slash", "a`b"])
def test_so_is_a_value_of_any_attribute(engine: Engine, name: str) -> None:
    store(engine, f"odd-{name}", [{name: "same"}, {"other": "same"}, {}])
    assert forget_rows(engine, name, ["same"], 60)["otel_traces"] == 1
    assert left(engine, f"odd-{name}") == ["1", "2"]
    assert engine.query("SELECT name FROM system.tables WHERE startsWith(name, 'forgetting_')").to_pylist() == []
