"""Sentry's SDK, given a DSN of onejob: what it reports, and what is stored of it."""

import contextlib
import gzip
import json
import subprocess
import sys
import time
import traceback
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pyarrow as pa
import pytest
import sentry_sdk
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentry_sdk import logger as sentry_logger
from sentry_sdk.crons import capture_checkin
from sentry_sdk.envelope import Envelope as SdkEnvelope
from sentry_sdk.envelope import Item as SdkItem
from sentry_sdk.envelope import PayloadRef
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from sentry_sdk.sessions import track_session

from doors import Said
from onejob.config import Settings
from onejob.ingest.bodies import DECOMPRESS, inflate, unbrotli
from onejob.ingest.errors import BadRequest
from onejob.ingest.sentry.envelope import parse
from onejob.ingest.sentry.http import SHOWN_PATH, accept
from onejob.ingest.sentry.sender import Sender
from onejob.ingest.sentry.stack import exceptions_of, stack_of
from onejob.ingest.service import Intake
from onejob.known.reading import Known, read_thrown
from onejob.stats.octaves import ZERO
from onejob.store.engine import Engine
from onejob.store.sessions import Sessions, crash_free, read_sessions
from onejob.verdict.fingerprints import fingerprint
from onejob.verdict.frames import frames_of
from onejob.verdict.reading import read_thrown as read_thrown_for_a_verdict
from onejob.verdict.reading import read_values
from onejob.verdict.said import Scope
from onejob.verdict.value_cells import together
from otlp_builders import a_service

from .conftest import some_settings
from .waiting import wait_until
from .wire import rows

KEY = "abcdef0123456789abcdef0123456789"
DOC = Path(__file__).resolve().parents[2] / "docs/how-to-sentry.md"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CLIENT = (SHOWN_PATH, "sentry-sdk for Python", sentry_sdk.VERSION)
ISO = time.strftime("%Y-%m-%dT%H:%M:{}.25Z", time.gmtime(time.time() - 60))
Post = Callable[..., httpx.Response]


@contextmanager
def an_sdk(intake: Intake, path: str = "/1", **options: Any) -> Iterator[Any]:
    """The real one, and its client; what it has to report is sent at the end."""
    fixed = {"default_integrations": False, "auto_enabling_integrations": False, "server_name": "checkout-7d9f-1"}
    dsn = f"http://{KEY}@127.0.0.1:{intake.http_port}{path}"
    with sentry_sdk.isolation_scope():
        sentry_sdk.init(dsn=dsn, **(fixed | options))
        client = sentry_sdk.get_client()
        try:
            yield client
        finally:
            client.close(timeout=20)


def stored(engine: Engine, table: str, service: str, columns: str, expected: int = 1) -> list[dict[str, Any]]:
    first = columns.partition(",")[0]
    wait_until(lambda: len(rows(engine, table, service, first)) >= expected, f"{expected} in {table}")
    return rows(engine, table, service, columns)


def charge(card: str) -> None:
    raise ValueError(f"card {card} declined")


RECORD = "Body, ServiceName, Version, Instance, Environment, SeverityNumber, EventName, TraceId, SpanId, LogAttributes"


def test_an_exception_is_a_log_record_that_the_list_of_errors_and_verdicts_read(
    intake: Intake, engine: Engine, door: Said
) -> None:
    service, started = a_service(), int(time.time())
    with an_sdk(intake, release=f"{service}@2.3.1+4f5c9d0", environment="staging", traces_sample_rate=1.0):
        sentry_sdk.set_user({"id": "customer-7", "email": "joe@shop.example", "ip_address": "10.0.0.1"})
        sentry_sdk.set_tag("tenant.id", "acme")
        with sentry_sdk.start_transaction(op="http.server", name="POST /checkout") as transaction:
            try:
                charge("4111")
            except ValueError as error:
                as_python_says = "".join(traceback.format_exception(error))
                sentry_sdk.capture_exception(error)

    (row,) = stored(engine, "otel_logs", service, RECORD)
    attributes = row.pop("LogAttributes")
    assert row == {
        "Body": "ValueError: card 4111 declined",
        "ServiceName": service,
        "Version": "2.3.1+4f5c9d0",
        "Instance": "checkout-7d9f-1",
        "Environment": "staging",
        "SeverityNumber": 17,
        "EventName": "exception",
        "TraceId": transaction.trace_id,
        "SpanId": transaction.span_id,
    }
    assert attributes["enduser.id"] == "customer-7"
    assert attributes["tenant.id"] == "acme"
    assert attributes["sentry.handled"] == "true"
    assert not any(secret in json.dumps(attributes) for secret in ("joe@", "10.0.0.1"))
    assert attributes["exception.stacktrace"].startswith("Traceback (most recent call last):\n  File ")
    marks = {
        fingerprint("ValueError", "card 4111 declined", stack)[0]
        for stack in (attributes["exception.stacktrace"], as_python_says)
    }
    assert len(marks) == 1, "the same error whichever SDK reports it"
    until = int(time.time()) + 60
    found = [one for one in read_thrown(engine, started - 60, until, Known("production", {})) if one.service == service]
    assert [(one.title, one.version, one.environment, one.count) for one in found] == [
        ("ValueError in charge (ingest/test_sentry.py)", "2.3.1+4f5c9d0", "staging", 1)
    ]
    scope = Scope(
        service=service, environment="staging", default_environment="production",
        since=started - 60, until=until, width_s=86_400, has_logs=True,
    )  # fmt: skip
    assert {one.fingerprint for one in read_thrown_for_a_verdict(engine, scope)} == marks
    assert len(stored(engine, "otel_traces", service, "SpanName")) == 1
    door(*CLIENT, "an exception in a transaction", engine, service)


def test_frames_that_the_sdk_knows_to_be_no_code_of_the_service_do_not_tell_errors_apart(
    intake: Intake, engine: Engine
) -> None:
    service = a_service()
    with an_sdk(intake, f"/{service}/1"):
        try:
            json.loads("{")
        except ValueError:
            sentry_sdk.capture_exception()

    (row,) = stored(engine, "otel_logs", service, "LogAttributes")
    stack = row["LogAttributes"]["exception.stacktrace"]
    assert [frame.is_library for frame in frames_of(stack)][-1] is False
    assert all(frame.is_library for frame in frames_of(stack)[:-1])
    assert fingerprint("JSONDecodeError", "", stack)[1].startswith("JSONDecodeError in test_frames_that_the_sdk_")


def test_messages_and_logs_are_log_records(intake: Intake, engine: Engine, door: Said) -> None:
    service, started = a_service(), time.time()
    with an_sdk(intake, release=f"{service}@7", enable_logs=True):
        sentry_sdk.capture_message("deploy finished", level="warning")
        sentry_logger.error("payment of {order} failed", order="o-1")

    found = stored(engine, "otel_logs", service, f"{RECORD}, toUnixTimestamp64Nano(Timestamp) AS ns", 2)
    message, log = found
    assert (message["Body"], message["SeverityNumber"], message["EventName"]) == ("deploy finished", 13, "")
    assert (log["Body"], log["SeverityNumber"], log["Version"]) == ("payment of o-1 failed", 17, "7")
    assert log["Instance"] == "checkout-7d9f-1"
    assert log["LogAttributes"]["sentry.message.template"] == "payment of {order} failed"
    assert log["LogAttributes"]["sentry.message.parameter.order"] == "o-1"
    assert len(log["TraceId"]) == 32
    assert all(started - 1 < row["ns"] / 1e9 < time.time() + 1 for row in found)
    door(*CLIENT, "a message, and a log", engine, service)


SPAN_COLUMNS = (
    "SpanName, SpanKind, StatusCode, TraceId, SpanId, ParentSpanId, Operation, IsEntry, IsFailed, Version, Duration, "
    "TraceState, SpanAttributes"
)


def test_a_transaction_is_an_entry_span_with_its_spans_below_it(intake: Intake, engine: Engine, door: Said) -> None:
    service = a_service()
    with an_sdk(intake, release=f"{service}@2.3.1", traces_sample_rate=1.0):
        parent = sentry_sdk.continue_trace({"sentry-trace": f"{TRACE}-{SPAN}-1"}, op="http.server", name="/orders/{id}")
        parent.source = "route"
        with sentry_sdk.start_transaction(parent) as transaction:
            sentry_sdk.set_user({"id": "customer-7"})
            with sentry_sdk.start_span(op="db", name="SELECT 1"):
                time.sleep(0.01)
            with sentry_sdk.start_span(op="http.client", name="GET http://stock.example/items?token=secret") as call:
                call.set_data("url", "http://stock.example/items?token=secret")
                call.set_data("http.query", "token=secret")
                call.set_http_status(503)
            transaction.set_data("http.request.method", "POST")
            transaction.set_http_status(404)

    spans = {row["SpanName"]: row for row in stored(engine, "otel_traces", service, SPAN_COLUMNS, 3)}
    root = spans["POST /orders/{id}"]
    assert (root["SpanKind"], root["StatusCode"], root["ParentSpanId"]) == ("Server", "Unset", SPAN)
    assert (root["TraceId"], root["IsEntry"], root["IsFailed"], root["Version"]) == (TRACE, True, False, "2.3.1")
    assert root["SpanAttributes"]["http.route"] == "/orders/{id}"
    assert root["Operation"] == "POST /orders/{id}"
    assert root["SpanAttributes"]["http.response.status_code"] == "404"
    assert root["SpanAttributes"]["enduser.id"] == "customer-7"
    query, call = spans["SELECT 1"], spans["GET"]
    assert (query["SpanKind"], query["ParentSpanId"], query["IsEntry"]) == ("Client", root["SpanId"], False)
    assert 10_000_000 <= query["Duration"] < root["Duration"]
    assert query["SpanAttributes"]["db.query.text"] == "SELECT 1"
    assert (call["SpanKind"], call["StatusCode"], call["IsFailed"]) == ("Client", "Error", True)
    assert call["SpanAttributes"]["url"] == "http://stock.example/items"
    assert "secret" not in json.dumps([row["SpanAttributes"] for row in spans.values()])
    assert {row["TraceState"] for row in spans.values()} == {""}
    door(*CLIENT, "a transaction with a query and a call that failed", engine, service)


@pytest.mark.parametrize(
    ("op", "status", "kind", "code", "is_entry"),
    [
        ("http.server", "internal_error", "Server", "Error", True),
        ("http.server", "not_found", "Server", "Unset", True),
        ("http.server", "ok", "Server", "Ok", True),
        ("queue.task.celery", "internal_error", "Consumer", "Error", True),
        ("function.aws", None, "Server", "Unset", True),
        ("queue.publish", "ok", "Producer", "Ok", False),
        ("task", "invalid_argument", "Internal", "Error", True),
        (None, None, "Internal", "Unset", True),
    ],
)
def test_what_kind_of_span_it_is_follows_from_its_operation(
    post: Post, engine: Engine, op: str | None, status: str | None, kind: str, code: str, is_entry: bool
) -> None:
    service = a_service()
    event = a_transaction(service, op=op, status=status)

    assert post(an_envelope(("transaction", event))).status_code == 200

    (row,) = stored(engine, "otel_traces", service, SPAN_COLUMNS)
    assert (row["SpanKind"], row["StatusCode"], row["IsEntry"]) == (kind, code, is_entry)


@pytest.mark.parametrize(
    ("transaction", "source", "asked", "operation"),
    [
        ("/orders/{id}", "route", {"method": "post", "url": "http://x/orders/17?q=1"}, "POST /orders/{id}"),
        ("GET /orders/{id}", "route", {}, "GET /orders/{id}"),
        ("/orders/17/lines/b%20c", "url", {"method": "GET"}, "GET /orders/{id}/lines/{id}"),
        ("shop.views.checkout", "component", {"method": "GET"}, "shop.views.checkout"),
        ("POST /checkout", "custom", {"method": "POST", "url": "http://[broken"}, "POST /checkout"),
    ],
)
def test_a_route_names_the_operation_and_an_address_without_its_ids(
    post: Post, engine: Engine, transaction: str, source: str, asked: dict[str, str], operation: str
) -> None:
    service = a_service()
    event = a_transaction(service, op="http.server") | {
        "transaction": transaction, "transaction_info": {"source": source}, "request": asked,
    }  # fmt: skip

    assert post(an_envelope(("transaction", event))).status_code == 200

    (row,) = stored(engine, "otel_traces", service, SPAN_COLUMNS)
    assert row["Operation"] == operation
    assert "q=1" not in json.dumps(row["SpanAttributes"])


def test_a_sampled_trace_says_for_how_many_it_stands(post: Post, engine: Engine) -> None:
    service = a_service()
    headers = {"trace": {"trace_id": TRACE, "sample_rate": "0.25", "sampled": "true"}}

    post(an_envelope(("transaction", a_transaction(service, op="http.server")), headers=headers))

    (row,) = stored(engine, "otel_traces", service, f"{SPAN_COLUMNS}, AdjustedCount")
    assert (row["TraceState"], row["AdjustedCount"]) == ("ot=th:c", 4)


def test_web_vitals_of_a_page_are_those_that_are_judged(post: Post, engine: Engine) -> None:
    service = a_service()
    measured = {"lcp": {"value": 2100.5, "unit": "millisecond"}, "cls": {"value": 0.02}, "fp": {"value": 3}}
    event = a_transaction(service, op="pageload") | {
        "transaction": "/orders/17", "transaction_info": {"source": "url"}, "measurements": measured,
    }  # fmt: skip

    assert post(an_envelope(("transaction", event))).status_code == 200

    (row,) = stored(engine, "otel_traces", service, f"{SPAN_COLUMNS}, Events.Name AS n, Events.Attributes AS a")
    said = [(dict(one)["browser.web_vital.name"], dict(one)["browser.web_vital.value"]) for one in row["a"]]
    assert (row["n"], said) == (["browser.web_vital"] * 2, [("lcp", "2100.5"), ("cls", "0.02")])
    assert row["SpanAttributes"]["url.template"] == "/orders/{id}"


SUM = (
    "MetricName, Value, Version, Environment, AggregationTemporality, IsMonotonic, Attributes['session.state'] AS state"
)


def states(engine: Engine, service: str, expected: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in stored(engine, "otel_metrics_sum", service, SUM, expected):
        assert (row["MetricName"], row["AggregationTemporality"], row["IsMonotonic"]) == ("sentry.sessions", 1, True)
        found[row["state"]] = found.get(row["state"], 0) + row["Value"]
    return found


def a_page(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """An application by PEP 3333, one of whose pages is broken."""
    if environ["PATH_INFO"] == "/broken":
        raise RuntimeError("no such order")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_sessions_of_requests_are_counted_by_how_they_ended(intake: Intake, engine: Engine, door: Said) -> None:
    service = a_service()
    for _ in range(2):  # two servers may report the same in the same minute
        with an_sdk(intake, release=f"{service}@2.3.1", auto_session_tracking=True) as client:
            transport = httpx.WSGITransport(app=SentryWsgiMiddleware(a_page))
            with httpx.Client(transport=transport, base_url="http://shop.test") as browser:
                assert [browser.get(path).status_code for path in ("/", "/orders")] == [200, 200]
                with pytest.raises(RuntimeError, match="no such order"):
                    browser.get("/broken")
            client.session_flusher.flush()

    assert states(engine, service, 6) == {"started": 6, "exited": 4, "crashed": 2}
    door(*CLIENT, "sessions of requests, counted", engine, service)


def test_counts_of_several_minutes_are_points_of_their_own_also_where_a_clock_is_ahead(
    post: Post, engine: Engine
) -> None:
    service = a_service()
    ahead = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime(time.time() + 3600))
    minutes = [{"started": ISO.format("00"), "exited": 3}, {"started": ahead, "exited": 2, "crashed": 1}]
    body = an_envelope(("sessions", {"attrs": {"release": f"{service}@1"}, "aggregates": minutes}), headers={})

    assert [post(body).status_code for _ in range(2)] == [200, 200], "two servers that count alike"

    assert states(engine, service, 10) == {"started": 12, "exited": 10, "crashed": 2}
    sql = (
        "SELECT uniqExact(TimeUnix) AS times, countIf(StartTimeUnix > TimeUnix) AS backwards FROM otel_metrics_sum "
        "WHERE ServiceName = {service:String} AND Attributes['session.state'] = 'exited'"
    )
    assert engine.query(sql, {"service": service}).to_pylist() == [{"times": 4, "backwards": 0}]


def test_single_sessions_are_counted_once_however_often_they_are_sent(
    intake: Intake, post: Post, engine: Engine
) -> None:
    service = a_service()
    with an_sdk(intake, release=f"{service}@2.3.1") as client:
        with sentry_sdk.isolation_scope() as scope, track_session(scope):
            pass
        client.session_flusher.flush()
    sid, attrs = str(uuid4()), {"release": f"{service}@2.3.1", "environment": "production"}
    begun = {"sid": sid, "init": True, "started": ISO.format("00"), "status": "ok", "attrs": attrs}
    ended = begun | {"init": False, "timestamp": ISO.format("01"), "errors": 1}
    crashed = begun | {"sid": str(uuid4()), "status": "crashed"}
    for _ in range(2):
        for session in (begun, ended | {"status": "ok"}, ended | {"status": "exited"}, crashed):
            assert post(an_envelope(("session", session), headers={})).status_code == 200

    assert states(engine, service, 6) == {"started": 3, "exited": 1, "errored": 1, "crashed": 1}
    (row,) = engine.query(example_sql(), {"service": service}).to_pylist()
    assert (row["Version"], row["Sessions"], row["CrashFree"]) == ("2.3.1", 3, pytest.approx(2 / 3))
    named = json.loads(DOC.read_text().partition("```json\n")[2].partition("```")[0])
    (kpi,) = Settings(kpis=[named]).kpis  # type: ignore[arg-type]
    now = int(time.time())
    scope = Scope(
        service=service, environment="production", default_environment="x", since=now - 86_400, until=now + 60,
        width_s=86_400, has_logs=True,
    )  # fmt: skip
    told: dict[int, int] = {}
    for cell in read_values(engine, scope, [kpi]):
        told = together(told, cell.counts)
    assert (told.pop(ZERO), sum(told.values())) == (2, 1), "two ended well, one crashed"
    (read,) = read_sessions(
        engine, service=service, environment="production", default_environment="x", since=now - 86_400, until=now + 60
    )
    assert read == Sessions(version="2.3.1", sessions=3, errored=1, crashed=1, abnormal=0)
    assert crash_free(read).share == pytest.approx(2 / 3)


def example_sql() -> str:
    return DOC.read_text().partition("```sql\n")[2].partition("```")[0].replace("'checkout'", "{service:String}")


def test_what_is_not_taken_the_sdk_is_told_not_to_send(intake: Intake, engine: Engine) -> None:
    service = a_service()
    with an_sdk(intake, release=f"{service}@1") as client:
        capture_checkin(monitor_slug="nightly", status="ok")
        client.flush(timeout=20)
        assert "monitor" in client.transport._disabled_until
        assert None not in client.transport._disabled_until
        sentry_sdk.capture_message("still here")

    assert stored(engine, "otel_logs", service, "Body") == [{"Body": "still here"}]


# --- what comes by hand ---


@pytest.fixture
def post(intake: Intake) -> Post:
    def post(body: bytes, path: str = "/api/1/envelope/", **headers: str) -> httpx.Response:
        url = f"http://127.0.0.1:{intake.http_port}{path}"
        sent = {"x-sentry-auth": f"Sentry sentry_key={KEY}, sentry_version=7"}
        return httpx.post(url, content=body, headers=sent | {k.replace("_", "-"): v for k, v in headers.items()})

    return post


def an_envelope(*items: tuple[str, Any], headers: dict[str, Any] | None = None) -> bytes:
    """As the SDK writes it."""
    made = [SdkItem(PayloadRef(json=payload), type=kind) for kind, payload in items]
    return SdkEnvelope({"event_id": uuid4().hex} if headers is None else headers, made).serialize()


def an_event(service: str, **fields: Any) -> dict[str, Any]:
    return {"event_id": uuid4().hex, "timestamp": time.time(), "release": f"{service}@1", "message": "x"} | fields


def a_transaction(service: str, op: str | None, status: str | None = None) -> dict[str, Any]:
    trace = {"trace_id": uuid4().hex, "span_id": uuid4().hex[:16], "op": op, "status": status}
    ended = time.time()
    return {
        "type": "transaction", "transaction": "work", "release": f"{service}@1", "contexts": {"trace": trace},
        "start_timestamp": ended - 1.5, "timestamp": ended,
    }  # fmt: skip


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
    "br": lambda body: bytes(pa.Codec("brotli").compress(body, asbytes=True)),
}


@pytest.mark.parametrize("encoding", COMPRESS)
def test_every_encoding_that_sdks_use_is_read_and_bounded(post: Post, engine: Engine, encoding: str) -> None:
    service = a_service()
    event = an_event(service)
    body = an_envelope(("event", event), headers={"event_id": event["event_id"]})

    answer = post(COMPRESS[encoding](body), content_encoding=encoding)

    assert (answer.status_code, answer.json()) == (200, {"id": event["event_id"]})
    assert len(stored(engine, "otel_logs", service, "Body")) == 1
    bomb = post(COMPRESS[encoding](bytes(3 * 2**20)), content_encoding=encoding)
    assert (bomb.status_code, "ONEJOB_MAX_REQUEST_BYTES" in bomb.json()["detail"]) == (413, True)
    if encoding not in ("", "identity"):
        for broken in (COMPRESS[encoding](body)[:-9], b"no such thing"):
            assert post(broken, content_encoding=encoding).status_code == 400


@pytest.mark.parametrize("encoding", [name for name in COMPRESS if name not in ("", "identity")])
def test_a_body_that_cannot_be_decompressed_leaves_nothing_in_memory(encoding: str) -> None:
    decompress = {**DECOMPRESS, "deflate": inflate, "br": unbrotli}[encoding]
    tracemalloc.start()
    try:
        for number in range(30):
            with pytest.raises(BadRequest):
                decompress(b"no such thing %d" % number, 2**20)
        assert tracemalloc.get_traced_memory()[0] < 2**20
    finally:
        tracemalloc.stop()


def test_one_envelope_with_all_kinds_is_stored_whole_and_once(post: Post, engine: Engine) -> None:
    service = a_service()
    attrs = {"release": f"{service}@1"}
    session = {"sid": str(uuid4()), "init": True, "started": ISO.format("00"), "status": "crashed"}
    body = an_envelope(
        ("event", an_event(service)),
        ("transaction", a_transaction(service, op="http.server")),
        ("session", session | {"attrs": attrs}),
        ("client_report", {"discarded_events": []}),
    )

    answers = [post(body) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}
    assert "x-sentry-rate-limits" not in answers[0].headers
    assert post(an_envelope(("event", an_event(service, message="last")))).status_code == 200
    assert [row["Body"] for row in stored(engine, "otel_logs", service, "Body", 3)] == ["", "last", "x"]
    assert len(stored(engine, "otel_traces", service, "SpanName")) == 1
    assert states(engine, service, 2) == {"started": 1, "crashed": 1}


def test_items_that_are_not_taken_are_named_and_the_others_kept(post: Post, engine: Engine) -> None:
    service = a_service()
    answer = post(
        an_envelope(
            ("attachment", "a file"),
            ("replay_event", {}),
            ("profile", {}),
            ("never_heard_of", {}),
            ("event", [1]),
            ("transaction", {"type": "transaction"}),
            ("log", {"items": [{}]}),
            ("event", an_event(service)),
        )
    )

    assert answer.status_code == 200
    limits = answer.headers["x-sentry-rate-limits"]
    assert limits == "3600:attachment;replay;profile:organization:not_taken"
    assert answer.json()["detail"].startswith("3 items were refused, and the others taken. The first: In 'event'")
    assert len(stored(engine, "otel_logs", service, "Body")) == 1


def test_an_older_sdk_sends_single_events(post: Post, engine: Engine) -> None:
    service = a_service()
    event = an_event(service, tags=[["region", "eu"], ["odd"], None], exception=[{"type": "KeyError", "value": "'a'"}])
    body = json.dumps(event).encode()

    answer = post(body, "/api/1/store/")
    spans = post(json.dumps(a_transaction(service, op="task")).encode(), f"/api/{service}/store")

    assert (answer.status_code, answer.json(), spans.status_code) == (200, {"id": event["event_id"]}, 200)
    (row,) = stored(engine, "otel_logs", service, RECORD)
    assert (row["Body"], row["EventName"], row["LogAttributes"]["region"]) == ("x", "exception", "eu")
    assert row["LogAttributes"]["exception.type"] == "KeyError"
    assert len(stored(engine, "otel_traces", service, "SpanName")) == 1


@pytest.mark.parametrize(
    ("sender", "release", "tags", "name", "version"),
    [
        (Sender("", "42"), "checkout@2.3.1+4f5c9d0", {}, "checkout", "2.3.1+4f5c9d0"),
        (Sender("", "42"), "@shop/checkout@2.3.1", {}, "@shop/checkout", "2.3.1"),
        (Sender("", "42"), "4f5c9d0", {}, "sentry-project-42", "4f5c9d0"),
        (Sender("", "42"), None, {"service": "cart"}, "cart", ""),
        (Sender("", "42"), "checkout@1", {"service": "cart", "service.name": "basket"}, "basket", "1"),
        (Sender("till", "42"), "checkout@1", {"service": "cart"}, "till", "1"),
        (Sender("", "42"), "@", {}, "sentry-project-42", "@"),
    ],
)
def test_the_service_is_named_by_dsn_tag_or_release(
    sender: Sender, release: str | None, tags: dict[str, str], name: str, version: str
) -> None:
    found = dict(sender.resource_of({"release": release}, tags))
    assert (found["service.name"], found.get("service.version", "")) == (name, version)


PRICE = {"function": "price", "lineno": 17, "in_app": True}
PLACES = {
    "python": {"abs_path": "/app/checkout/pricing.py", "filename": "checkout/pricing.py", "context_line": "  return 1"},
    "javascript": {"abs_path": "https://shop.example/(shop)/check out/pricing.js?v=1", "colno": 3},
    "node": {"filename": "/app/checkout/pricing.js", "colno": 3},
    "java": {"module": "com.shop.Pricing", "filename": "Pricing.java"},
    "csharp": {"module": "Shop.Pricing", "function": "int Price(Order order)", "abs_path": "/app/Pricing.cs"},
    "go": {"module": "shop/checkout", "function": "(*Cart).price", "abs_path": "/app/checkout/pricing.go"},
    "php": {"abs_path": "/app/checkout/pricing.php", "function": "Shop\\Cart::price"},
    "ruby": {"abs_path": "/app/checkout/pricing.rb"},
    "native": {"filename": "pricing.cpp", "function": "shop::price(int, int)"},
    "unheard of": {"module": "checkout"},
}


@pytest.mark.parametrize("platform", PLACES)
def test_the_frames_of_every_language_are_read_innermost_first(platform: str) -> None:
    own = PRICE | PLACES[platform]
    outer = own | {"function": own["function"].replace("rice", "lace")}
    library = own | {
        "function": own["function"].replace("price", "raise_it").replace("Price", "Throw"),
        "in_app": False,
    }
    cause = {"type": "OSError", "value": "full", "stacktrace": {"frames": [outer]}}
    last = {"type": "Declined", "value": "no", "stacktrace": {"frames": [outer, own, library, None]}}

    stack = stack_of(exceptions_of({"exception": {"values": [cause, None, last]}}), platform)

    frames = frames_of(stack)
    assert [frame.is_library for frame in frames[:3]] == [True, False, False]
    mark, title = fingerprint("Declined", "no", stack)
    assert "rice" in title
    moved = stack.replace(":17", ":99").replace("line 17", "line 99").replace("(17)", "(99)")
    assert fingerprint("Declined", "no", moved)[0] == mark
    assert "OSError: full" in stack
    assert "Declined: no" in stack


def test_a_deep_recursion_keeps_where_it_was_thrown() -> None:
    frames = [{"abs_path": f"/app/{'deep' * 20}.py", "function": f"call_{n}", "lineno": n} for n in range(5_000)]
    stack = stack_of([{"type": "RecursionError", "value": "x" * 9_000, "stacktrace": {"frames": frames}}], "python")
    assert len(stack) < 8_000
    assert frames_of(stack)[0].function == "call_4999"


EVENT = json.dumps(an_event("x")).encode()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "headers of the envelope"),
        (b"no json\n", "headers of the envelope"),
        (b"[]\n", "no JSON object"),
        (b"{}\nnope\n{}", "headers of item 1"),
        (b"{}\n{}\n{}", "no type"),
        (b'{}\n{"type":"event","length":-1}\n{}', "length of an item"),
        (b'{}\n{"type":"event","length":"2"}\n{}', "length of an item"),
        (b'{}\n{"type":"event","length":1e400}\n{}', "length of an item"),
        (b'{}\n{"type":"event","length":99}\n{}', "99 bytes, and 2 follow"),
        (b'{}\n{"type":"event","length":1}\n{}', "goes on after them"),
        (b'{}\n{"type":"event"}\n{"a":', "not JSON"),
        (b'{}\n{"type":"event"}\n\xff\xfe', "not JSON"),
        (b'{}\n{"type":"event"}\n' + b"[" * 5_000, "not JSON"),
        (b'{}\n{"type":"event"}\n[1]', "no JSON object"),
        (b'{}\n{"type":"transaction"}\n{}', "no time"),
        (b'{}\n{"type":"transaction"}\n{"start_timestamp":1,"timestamp":2}', "trace_id"),
        (b'{}\n{"type":"transaction"}\n{"start_timestamp":"x","timestamp":1e300}', "no time"),
        (b'{}\n{"type":"session"}\n{"started":"2026-02-31T00:00:00Z"}', "no time when it started"),
        (b'{}\n{"type":"sessions"}\n{"aggregates":[{"exited":1}]}', "no time when these started"),
        (b'{}\n{"type":"event"}\n{"tags":[' + b"{}," * 300_000 + b"{}]}", "mostly empty"),
        (b"{}\n" + b'{"type":"x"}\n\n' * 1_001, "more than 1000 items"),
    ],
    ids=range(21),
)
def test_what_is_no_envelope_is_refused_in_plain_words(post: Post, body: bytes, says: str) -> None:
    answer = post(body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"{}\n",
        b"{}\n\n\r\n",
        b'{}\n{"type":"event"}\n' + EVENT,
        b'{}\r\n{"type":"event","x":1}\r\n' + EVENT + b"\r\n\n",
    ],
    ids=range(5),
)
def test_an_envelope_may_be_empty_and_end_as_it_likes(post: Post, body: bytes) -> None:
    assert post(body).status_code == 200


def test_only_post_and_known_encodings_are_taken(intake: Intake, post: Post) -> None:
    assert httpx.get(f"http://127.0.0.1:{intake.http_port}/api/1/envelope/").status_code == 405
    answer = post(b"{}", content_encoding="compress")
    assert (answer.status_code, "gzip" in answer.json()["detail"]) == (415, True)
    for path in ("/api/1/minidump/", "/api/envelope/", "/a/b/api/1/envelope/", "/api/0/projects/"):
        answer = post(b"{}", path)
        assert (answer.status_code, "/api/PROJECT/envelope/" in answer.text) == (404, True)


def test_what_there_is_no_room_for_makes_the_sdk_wait(engine: Engine, tmp_path: Path) -> None:
    intake = Intake(some_settings(tmp_path, spool_max_bytes=1), engine)
    intake.start()
    try:
        with an_sdk(intake) as client:
            sentry_sdk.capture_message("too much")
            client.flush(timeout=20)
            until = client.transport._disabled_until[None]
    finally:
        intake.stop()

    assert 0 < until.timestamp() - time.time() <= 10


def test_a_page_that_may_send_may_do_so_with_sentry(intake: Intake, post: Post) -> None:
    origin, url = "http://localhost:8080", f"http://127.0.0.1:{intake.http_port}/api/1/envelope/?sentry_key={KEY}"
    asked = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-sentry-auth",
    }
    preflight = httpx.options(url, headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, origin)
    assert "x-sentry-auth" in preflight.headers["access-control-allow-headers"]

    answer = post(an_envelope(("replay_event", {})), origin=origin, content_type="text/plain;charset=UTF-8")
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
    assert "x-sentry-rate-limits" in answer.headers["access-control-expose-headers"]
    assert post(b"{}", origin="https://evil.example").status_code == 403


# --- whatever comes ---

SOME = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
kinds = st.sampled_from(["event", "transaction", "session", "sessions", "log", "attachment", "odd"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@SOME
@given(drawn=st.lists(st.tuples(kinds, st.binary(max_size=60), st.booleans()), max_size=6), ends=st.booleans())
def test_items_are_read_as_they_were_written_with_and_without_a_length(drawn: Any, ends: bool) -> None:
    drawn = [
        (kind, payload if has_length else payload.replace(b"\n", b""), has_length)
        for kind, payload, has_length in drawn
    ]
    lines = [b'{"event_id":"x"}']
    for kind, payload, has_length in drawn:
        lines += [json.dumps({"type": kind} | ({"length": len(payload)} if has_length else {})).encode(), payload]

    envelope = parse(b"\n".join(lines) + (b"\n" if ends else b""))

    assert envelope.headers == {"event_id": "x"}
    assert [(item.kind, item.payload) for item in envelope.items] == [one[:2] for one in drawn]


@SOME
@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"{}", b'{"type":"event","length":2}', b"\n", b"x"])).map(b"".join)
)
def test_bytes_that_mean_nothing_are_refused_and_do_no_harm(body: bytes) -> None:
    with contextlib.suppress(BadRequest):
        accept(Sender("", "1"), 2**20, True, body)


STAMP = st.sampled_from(["2026-11-23T13:25:52Z", 1.7e9, "1700000000.5", 1e300, "x", None])
FIELDS = (
    "level", "exception", "tags", "user", "message", "logentry", "request", "sdk", "release", "spans", "measurements",
    "attrs", "aggregates", "items", "sid", "status", "fingerprint", "type", "transaction",
)  # fmt: skip
shapes = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(FIELDS, values)
    | {"timestamp": STAMP, "start_timestamp": STAMP, "started": STAMP, "init": st.booleans()}
    | {"contexts": st.fixed_dictionaries({"trace": st.just({"trace_id": TRACE, "span_id": SPAN}) | values})},
)  # fmt: skip


@SOME
@given(items=st.lists(st.tuples(kinds, shapes | values), min_size=1, max_size=3))
def test_whatever_is_in_an_item_it_is_taken_or_refused(items: Any) -> None:
    body = b"{}\n" + b"".join(
        json.dumps({"type": kind}).encode() + b"\n" + json.dumps(said).encode() + b"\n" for kind, said in items
    )
    with contextlib.suppress(BadRequest):
        accepted = accept(Sender("", "1"), 2**20, True, body)
        assert all(part.payload for part in (accepted, *accepted.beside) if part.items)


def test_the_example_of_the_documentation_works(intake: Intake, engine: Engine) -> None:
    service = a_service()
    code = DOC.read_text().partition("```python\n")[2].partition("```")[0]
    assert "127.0.0.1:4318" in code
    code = code.replace("127.0.0.1:4318", f"127.0.0.1:{intake.http_port}").replace("checkout@", f"{service}@")
    # In a process of its own: the SDK with all its integrations changes the one that it is in.
    subprocess.run([sys.executable, "-c", code], check=True, timeout=250)

    assert stored(engine, "otel_logs", service, "EventName") == [{"EventName": "exception"}]
    assert stored(engine, "otel_traces", service, "Operation")
