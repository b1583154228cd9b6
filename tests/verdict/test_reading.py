"""KPI values, web vitals and exceptions come out of a real engine as they were put on spans."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from onejob.config import Settings
from onejob.model.kpi import Direction, Kpi, KpiKind, KpiSource
from onejob.store.engine import Engine, open_engine
from onejob.verdict.reading import read_known, read_logged, read_said, read_thrown, read_values, read_vitals
from onejob.verdict.said import Scope
from otlp_builders import a_log_request, a_payload, a_record, a_service, a_span, attributes_of
from verdict.traffic import a_deployment

BEGAN = int(time.time()) // 100 * 100 - 600
HOSTILE = 'it\'s \\ "quoted" ${x} {y:String}'


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(Settings(data_dir=tmp_path_factory.mktemp("reading"), bin_width_s=10))
    yield engine
    engine.close()


def scope(service: str, since: int = BEGAN, until: int = BEGAN + 100) -> Scope:
    return Scope(
        service=service,
        environment="production",
        default_environment="production",
        since=since,
        until=until,
        width_s=10,
    )


def a_kpi(**changes: object) -> Kpi:
    values: dict[str, object] = {
        "name": "revenue",
        "kind": KpiKind.MEAN,
        "direction": Direction.HIGHER_IS_BETTER,
        "attribute": "order.total",
    }
    return Kpi(**(values | changes))  # type: ignore[arg-type]


def at(second: float, duration_s: float = 0.5, **attributes: object) -> Span:
    """A span that ends `second` seconds after the beginning."""
    start_ns = int((BEGAN + second - duration_s) * 10**9)
    return a_span("POST /orders", start_ns=start_ns, duration_s=duration_s, **attributes)  # type: ignore[arg-type]


def with_event(span: Span, event: str, /, **attributes: object) -> Span:
    said = attributes_of({key.replace("__", "."): value for key, value in attributes.items()})
    span.events.add(name=event, time_unix_nano=span.end_time_unix_nano, attributes=said)
    return span


def store(engine: Engine, *spans: Span, version: str = "2", service: str | None = None) -> str:
    service = service or a_service()
    resource = {"service.version": version, "service.instance.id": f"i-{version}"}
    engine.insert_traces(a_payload(*spans, service=service, resource=resource), a_service())
    return service


def test_values_are_counted_and_summed_by_octave_in_the_bin_of_the_spans_end(engine: Engine) -> None:
    spans = [at(5, order__total=v) for v in (1.0, 1.5, 3.0, 0.0, -3.0)]
    spans += [at(15, 12.0, order__total=100), at(5, order__total="a lot"), at(5), at(5, order__total=float("inf"))]
    spans += [at(5, order__total=7.0, user_agent__synthetic__type="test"), at(100, order__total=7.0)]
    service = store(engine, *spans)

    first, second = read_values(engine, scope(service), (a_kpi(),))

    assert (first.kpi, first.version, first.instance, first.bin_start) == ("revenue", "2", "i-2", BEGAN)
    assert first.counts == {1100: 2, 1101: 1, 0: 1, -1101: 1}
    assert first.sums[1100] == 2.5
    assert (first.sums[1101], first.sums[-1101]) == (3.0, -3.0)
    assert (second.bin_start, second.counts, second.sums) == (BEGAN + 10, {1106: 1}, {1106: 100.0})


@pytest.mark.parametrize(
    ("kpi", "counts"),
    [
        (a_kpi(kind=KpiKind.YES_NO, attribute="sold"), {1100: 2, 0: 1}),
        (a_kpi(kind=KpiKind.THROUGHPUT, attribute="sold"), {1100: 4}),
        (a_kpi(kind=KpiKind.THROUGHPUT, attribute="", source=KpiSource.EVENT, event="sold"), {1100: 3}),
        (a_kpi(source=KpiSource.EVENT, event="sold", attribute="pieces"), {1101: 2}),
        (a_kpi(kind=KpiKind.YES_NO, attribute="sold", operation="POST *"), {1100: 2, 0: 1}),
    ],
    ids=["yes or no", "spans with the attribute", "events", "an event's attribute", "of an operation"],
)
def test_each_kind_and_source_is_read(engine: Engine, kpi: Kpi, counts: dict[int, int]) -> None:
    spans = [at(3, sold=True), at(3, sold="YES"), at(3, sold="false"), at(3, sold="maybe")]
    spans[0] = with_event(with_event(spans[0], "sold", pieces=2), "sold", pieces=3)
    spans[1] = with_event(with_event(spans[1], "sold"), "returned", pieces=9)
    (cell,) = read_values(engine, scope(store(engine, *spans)), (kpi,))
    assert cell.counts == counts


def test_several_kpis_take_one_query_and_names_are_never_taken_for_sql(engine: Engine) -> None:
    service = store(engine, at(3, **{"it's": 4.0, HOSTILE: 8.0}))
    kpis = (
        a_kpi(name="a", attribute="it's"),
        a_kpi(name="b", attribute=HOSTILE),
        a_kpi(name="c", attribute="it's", operation="GET *"),
        a_kpi(name="d", source=KpiSource.EVENT, event=HOSTILE, attribute=HOSTILE),
    )
    asked: list[str] = []

    class Counting:
        def query(self, sql: str, *args: object, **more: object) -> object:
            asked.append(sql)
            return engine.query(sql, *args, **more)  # type: ignore[arg-type]

    found = read_values(Counting(), scope(service), kpis)  # type: ignore[arg-type]
    assert {cell.kpi: cell.sums for cell in found} == {"a": {1102: 4.0}, "b": {1103: 8.0}}
    assert len(asked) == 1
    assert read_values(Counting(), scope(service), ()) == ()  # type: ignore[arg-type]
    assert len(asked) == 1


def a_view(second: float, vital: str, value: float, view: str = "", **attributes: object) -> Span:
    said = {"browser__web_vital__name": vital, "browser__web_vital__value": value}
    if view:
        said["browser__web_vital__id"] = view
    return with_event(at(second, **attributes), "browser.web_vital", **said)


def test_web_vitals_are_put_into_the_buckets_of_durations_per_page(engine: Engine) -> None:
    views = [a_view(3, "LCP", 2000.0, http__route="/cart"), a_view(3, "lcp", 1000.0, url__path="/orders/17/items/4")]
    views += [a_view(3, "inp", 0.0), a_view(3, "cls", 0.0), a_view(3, "cls", 0.1), a_view(3, "fcp", 9.0)]
    views += [a_view(3, "lcp", -1.0), with_event(at(3), "browser.web_vital", name="inp", value=250.0)]
    vitals = {vital.name: vital.cells for vital in read_vitals(engine, scope(store(engine, *views)))}

    assert set(vitals) == {"lcp", "inp", "cls"}
    pages = {cell.operation: cell for cell in vitals["lcp"]}
    assert set(pages) == {"/cart", "/orders/{id}/items/{id}"}
    assert (pages["/cart"].buckets, pages["/cart"].bin_start, pages["/cart"].version) == ({31: 1}, BEGAN, "2")
    assert sum(cell.zeros for cell in vitals["inp"]) == 1
    assert sum(cell.count for cell in vitals["inp"]) == 2
    assert sorted(k for cell in vitals["cls"] for k in cell.buckets) == [-107, -75]
    assert all(cell.instance.startswith("sessions ") for cell in vitals["lcp"])


def test_a_vital_that_is_reported_again_counts_once_as_it_was_last(engine: Engine) -> None:
    spans = [a_view(2, "inp", 100.0, "v1"), a_view(4, "inp", 400.0, "v1"), a_view(4, "inp", 200.0, "v2")]
    for span in spans:
        span.trace_id = b"\1" * 16
    (vital,) = read_vitals(engine, scope(store(engine, *spans)))
    (cell,) = vital.cells
    assert (cell.count, cell.sum_s) == (2, pytest.approx(0.6))


def logged(engine: Engine, *records: LogRecord, version: str = "2", service: str | None = None) -> str:
    service = service or a_service()
    request = a_log_request(*records, service=service, resource={"service.version": version})
    engine.insert("otel_logs", request.SerializeToString(), a_service())
    return service


def an_event(second: float, event: str, **attributes: object) -> LogRecord:
    said = attributes_of({key.replace("__", "."): value for key, value in attributes.items()})
    return a_record(time_ns=int((BEGAN + second) * 10**9), event_name=event, attributes=said)


def test_vitals_that_browsers_put_into_logs_are_read_beside_those_on_spans(engine: Engine) -> None:
    where = {"url__template": "/orders/{id}", "session__id": "s1"}
    said = {"browser__web_vital__name": "inp", "browser__web_vital__id": "v1", **where}
    records = [
        an_event(s, "browser.web_vital", browser__web_vital__value=v, **said) for s, v in ((2, 100.0), (4, 400.0))
    ]
    records += [an_event(4, "browser.web_vital", **where), an_event(4, "browser.navigation", **said)]
    records += [an_event(101, "browser.web_vital", browser__web_vital__value=9.0, **said)]
    service = logged(engine, *records)
    store(engine, a_view(2, "inp", 200.0, "v2", http__route="/orders/{id}"), service=service)
    logged(engine, records[0], version="1", service=service)

    (vital,) = read_vitals(engine, replace(scope(service), has_logs=True))

    cells = {cell.version: cell for cell in vital.cells if cell.version == "1"}
    assert (cells["1"].count, cells["1"].sum_s) == (1, pytest.approx(0.1))
    mine = [cell for cell in vital.cells if cell.version == "2"]
    assert {cell.operation for cell in mine} == {"/orders/{id}"}
    assert (sum(cell.count for cell in mine), sum(cell.sum_s for cell in mine)) == (2, pytest.approx(0.6))
    (spans_only,) = read_vitals(engine, scope(service))
    assert sum(cell.count for cell in spans_only.cells) == 1


def test_an_error_in_browsers_counts_the_sessions_that_had_it(engine: Engine) -> None:
    stack = "TypeError: no price\n    at total (https://shop.example/app.js:{}:7)"
    errors = [
        an_event(3, "exception", exception__type="TypeError", exception__stacktrace=stack.format(line), session__id=who)
        for line, who in ((1, "s1"), (2, "s1"), (3, "s2"))
    ]
    (found,) = read_thrown(engine, replace(scope(logged(engine, *errors)), has_logs=True))
    assert (found.count, found.title, found.trace_id) == (2, "TypeError in total (shop.example/app.js)", "")


def thrown(second: float, line: int, function: str = "price", message: str = "no", **more: object) -> Span:
    stack = f'Traceback (most recent call last):\n  File "/app/shop/pricing.py", line {line}, in {function}\nKeyError'
    said = {"exception__type": "KeyError", "exception__message": message, "exception__stacktrace": stack}
    return with_event(at(second, **more), "exception", **said)


def test_the_same_error_on_other_lines_is_one_and_counts_traces(engine: Engine) -> None:
    twice = with_event(thrown(3, 40), "exception", exception__type="KeyError", exception__stacktrace="")
    spans = [thrown(3, 40), thrown(3, 57), thrown(13, 99), thrown(3, 40, "discount"), twice]
    spans += [thrown(3, 40, user_agent__synthetic__type="test"), with_event(at(3), "retry")]
    found = read_thrown(engine, scope(store(engine, *spans)))

    counts = {(cell.title, cell.bin_start): cell.count for cell in found}
    assert counts == {
        ("KeyError in price (shop/pricing.py)", BEGAN): 3,
        ("KeyError in price (shop/pricing.py)", BEGAN + 10): 1,
        ("KeyError in discount (shop/pricing.py)", BEGAN): 1,
        ("KeyError", BEGAN): 1,
    }
    assert all(len(cell.trace_id) == 32 for cell in found)
    assert "Traceback" in next(cell.sample for cell in found if "price" in cell.title)


def a_line(second: float, text: str, severity: int = 13, trace: bytes = b"", **attributes: object) -> LogRecord:
    said = attributes_of({key.replace("__", "."): value for key, value in attributes.items()})
    when = int((BEGAN + second) * 10**9)
    return a_record(text, time_ns=when, severity_number=severity, severity_text="", trace_id=trace, attributes=said)


def test_what_loggers_put_into_logs_as_attributes_was_thrown_too(engine: Engine) -> None:
    stack = 'Traceback (most recent call last):\n  File "/app/shop/pricing.py", line 3, in price\nKeyError'
    line = a_line(3, "cannot price", 17, exception__type="KeyError", exception__stacktrace=stack)
    said = read_said(engine, replace(scope(logged(engine, line)), has_logs=True), ())
    assert [(cell.kind, cell.title) for cell in said.novelties] == [("error", "KeyError in price (shop/pricing.py)")]


def test_warnings_and_errors_in_logs_are_told_apart_by_their_words_and_count_traces(engine: Engine) -> None:
    traces = [bytes([number]) * 16 for number in range(1, 4)]
    lines = [a_line(3, f"payment {number} declined", trace=trace) for number, trace in enumerate(traces)]
    lines += [a_line(4, "payment 9 declined", trace=traces[0]), a_line(13, "payment 9 declined", 17)]
    lines += [a_line(5, f"queue of {number} is full", 17) for number in range(3)]
    lines += [a_line(6, "payment 1 accepted", 9), a_line(7, "", 17)]
    said = read_said(engine, replace(scope(logged(engine, *lines)), has_logs=True), ())

    counts = {(cell.title, cell.bin_start): cell.count for cell in said.novelties}
    assert counts == {
        ("payment <*> declined", BEGAN): 3,
        ("payment <*> declined", BEGAN + 10): 1,
        ("queue of <*> is full", BEGAN): 1,
    }
    assert {cell.kind for cell in said.novelties} == {"log_template"}
    assert said.between(BEGAN, BEGAN + 10).novelties == tuple(c for c in said.novelties if c.bin_start == BEGAN)


def test_a_severity_that_is_only_a_text_counts(engine: Engine) -> None:
    line = a_record("disk is full", time_ns=(BEGAN + 3) * 10**9, severity_number=0, severity_text="Warning")
    (found,) = read_logged(engine, replace(scope(logged(engine, line)), has_logs=True))
    assert found.sample == "disk is full"


def test_what_another_version_logged_the_day_before_is_known(engine: Engine) -> None:
    service = logged(engine, a_line(3, "queue of 3 is full"), version="1")
    logged(engine, a_line(3, "disk is full"), version="2", service=service)
    later = replace(scope(service, since=BEGAN + 100, until=BEGAN + 200), has_logs=True)
    known = read_known(engine, later, a_deployment(service=service))
    assert [(cell.is_known, cell.count, cell.sample) for cell in known] == [(True, 0, "queue of 3 is full")]


def test_what_another_version_threw_the_day_before_is_known(engine: Engine) -> None:
    service = store(engine, thrown(3, 40), version="1")
    store(engine, thrown(3, 40, "discount"), version="2", service=service)
    later = scope(service, since=BEGAN + 100, until=BEGAN + 200)
    known = read_known(engine, later, a_deployment(service=service))
    assert [(cell.is_known, cell.count, cell.bin_start) for cell in known] == [(True, 0, BEGAN + 100)]
