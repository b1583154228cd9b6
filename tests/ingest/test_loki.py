"""Loki's push API at its boundary: a request over HTTP, and the log records that it becomes."""

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onejob.ingest.loki.selector import labels_of
from onejob.ingest.service import Intake
from onejob.store.engine import Engine
from otlp_builders import a_service

from .conftest import some_settings
from .waiting import wait_until
from .wire import field, push, rows, snappy, varint

NOW_NS = int(time.time()) * 10**9 + 123_456_789
JSON = {"content-type": "application/json"}
PROTOBUF = {"content-type": "application/x-protobuf"}
COLUMNS = (
    "Body, toUnixTimestamp64Nano(Timestamp) AS ns, SeverityText, SeverityNumber, TraceId, SpanId, "
    "ResourceAttributes, LogAttributes, ScopeName, Version"
)
Post = Callable[..., httpx.Response]


@pytest.fixture
def post(intake: Intake) -> Post:
    def post(body: Any, headers: dict[str, str] = JSON) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(f"http://127.0.0.1:{intake.http_port}/loki/api/v1/push", content=content, headers=headers)

    return post


def a_push(labels: Any, *values: Any) -> dict[str, Any]:
    return {"streams": [{"stream": labels, "values": list(values)}]}


def logs(engine: Engine, service: str, expected: int) -> list[dict[str, Any]]:
    wait_until(lambda: len(rows(engine, "otel_logs", service, "Body")) >= expected, "storing")
    return rows(engine, "otel_logs", service, COLUMNS)


def test_a_json_push_is_stored_with_its_labels_at_the_resource(post: Post, engine: Engine) -> None:
    service = a_service()
    labels = {"service_name": service, "version": "2.3.1", "severity": "error", "logger": "shop", "tenant": "a"}

    answer = post(a_push(labels, [str(NOW_NS), "payment failed"]))

    assert (answer.status_code, answer.content) == (204, b"")
    own = {name: value for name, value in labels.items() if name != "service_name"}
    assert logs(engine, service, 1) == [
        {
            "Body": "payment failed",
            "ns": NOW_NS,
            "SeverityText": "error",
            "SeverityNumber": 17,
            "TraceId": "",
            "SpanId": "",
            "ResourceAttributes": own | {"service.name": service, "service.version": "2.3.1"},
            "LogAttributes": {},
            "ScopeName": "onejob/loki",
            "Version": "2.3.1",
        }
    ]


METADATA = {
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "00f067aa0ba902b7",
    "detected_level": "warn",
    "user": "u1",
}


@pytest.mark.parametrize("form", ["json", "gzip", "protobuf", "protobuf without an encoding"])
def test_structured_metadata_is_the_record_s_own(post: Post, engine: Engine, form: str) -> None:
    service = a_service()
    if form.startswith("protobuf"):
        body = snappy(push((f'{{app="{service}", k8s_pod_name="p-1"}}', [(NOW_NS, "slow", METADATA)])))
        headers = PROTOBUF | ({} if "without" in form else {"content-encoding": "snappy"})
    else:
        body = json.dumps(a_push({"app": service, "k8s_pod_name": "p-1"}, [str(NOW_NS), "slow", METADATA])).encode()
        headers = JSON | ({"content-encoding": "gzip"} if form == "gzip" else {})
        body = gzip.compress(body) if form == "gzip" else body

    assert post(body, headers).status_code == 204

    assert logs(engine, service, 1) == [
        {
            "Body": "slow",
            "ns": NOW_NS,
            "SeverityText": "warn",
            "SeverityNumber": 13,
            "TraceId": METADATA["trace_id"],
            "SpanId": METADATA["span_id"],
            "ResourceAttributes": {"app": service, "k8s.pod.name": "p-1", "service.name": service},
            "LogAttributes": {"detected_level": "warn", "user": "u1"},
            "ScopeName": "onejob/loki",
            "Version": "",
        }
    ]


@pytest.mark.parametrize(
    ("labels", "metadata", "text", "number"),
    [
        ({}, {}, "", 0),
        ({"level": "INFO"}, {}, "INFO", 9),
        ({"level": "info"}, {"level": "error"}, "error", 17),
        ({"level": "info"}, {"severity_text": "Critical"}, "Critical", 18),
        ({}, {"severity_text": "odd", "severity_number": "22"}, "odd", 22),
        ({}, {"severity_number": "99", "lvl": "dbg"}, "dbg", 5),
        ({"severity": "unheard of"}, {}, "unheard of", 0),
    ],
)
def test_how_bad_a_line_is_comes_from_the_entry_or_else_the_stream(
    post: Post, engine: Engine, labels: dict[str, str], metadata: dict[str, str], text: str, number: int
) -> None:
    service = a_service()

    assert post(a_push({"service_name": service} | labels, [str(NOW_NS), "x", metadata])).status_code == 204

    (kept,) = logs(engine, service, 1)
    assert (kept["SeverityText"], kept["SeverityNumber"]) == (text, number)


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({"service_name": "{}", "app": "other"}, "{}"),
        ({"container": "other", "app": "{}"}, "{}"),
        ({"job": "{}"}, "{}"),
        ({"service": "", "component": "{}"}, "{}"),
        ({"host": "{}"}, "unknown_service"),
    ],
)
def test_the_service_is_found_as_loki_finds_it(labels: dict[str, str], name: str) -> None:
    from onejob.ingest.loki.translate import resource_of

    assert dict(resource_of(labels))["service.name"] == name


@pytest.mark.parametrize("version", [{"service_version": "2"}, {"app_kubernetes_io_version": "2"}, {"version": "2"}])
def test_the_version_is_found_in_labels_that_say_it(version: dict[str, str]) -> None:
    from onejob.ingest.loki.translate import resource_of

    assert dict(resource_of({"app": "shop"} | version))["service.version"] == "2"


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("{}", {}),
        (' { a = "1" , b_2="" , } ', {"a": "1", "b_2": ""}),
        (r'{a="\"\\\n\t\x41\u00e9\U0001F600\101"}', {"a": '"\\\n\tAé😀A'}),
        ('{a=`raw \\n "x"`}', {"a": 'raw \\n "x"'}),
        ('{a.b="c, d=\\"e\\"}"}', {"a.b": 'c, d="e"}'}),
    ],
)
def test_labels_are_read_as_loki_writes_them(text: str, labels: dict[str, str]) -> None:
    assert labels_of(text) == labels


@pytest.mark.parametrize("text", ["", "a", '{a="1"', "{a=1}", '{a="1" b="2"}', '{a="1",a="2"}', r'{a="\q"}', '{="x"}'])
def test_labels_that_are_none_cost_their_stream_only(post: Post, engine: Engine, text: str) -> None:
    service = a_service()
    entries = [(NOW_NS, "a line", {})]

    answer = post(snappy(push((text, entries), (f'{{app="{service}"}}', entries))), PROTOBUF)

    assert answer.status_code == 400
    assert answer.text.startswith("1 of 2 log records were refused, and the others taken. The first: A stream has")
    assert len(logs(engine, service, 1)) == 1
    assert post(snappy(push((text, entries))), PROTOBUF).status_code == 400


def test_an_entry_without_a_time_is_refused_and_the_others_taken(post: Post, engine: Engine) -> None:
    service = a_service()

    answer = post(a_push({"app": service}, ["0", "no"], [str(NOW_NS), "yes"], [str(2**63), "never"]))

    assert answer.status_code == 400
    assert answer.text.startswith("2 of 3 log records were refused")
    assert [row["Body"] for row in logs(engine, service, 1)] == ["yes"]


@pytest.mark.parametrize("per_s", [1, 10**3, 10**6], ids=["seconds", "milliseconds", "microseconds"])
def test_a_time_that_is_not_in_nanoseconds_is_refused_and_not_taken_for_one_of_1970(post: Post, per_s: int) -> None:
    answer = post(a_push({"app": a_service()}, [str(NOW_NS * per_s // 10**9), "no"]))
    assert answer.status_code == 400
    assert "send nanoseconds since 1970" in answer.text


def test_an_empty_push_is_taken_and_one_sent_again_is_stored_once(post: Post, engine: Engine) -> None:
    service = a_service()
    assert post({"streams": []}).status_code == 204
    assert post(snappy(b""), PROTOBUF).status_code == 204

    for _ in range(3):
        assert post(a_push({"app": service}, [str(NOW_NS), "once"])).status_code == 204
    assert post(a_push({"app": service}, [str(NOW_NS), "other"])).status_code == 204

    assert [row["Body"] for row in logs(engine, service, 2)] == ["once", "other"]


GOOD = a_push({"app": "x"}, [str(NOW_NS), "x"])


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (GOOD, {"content-type": "text/plain"}, 415, "application/json"),
        (b"x", {}, 415, "application/json"),
        (GOOD, JSON | {"content-encoding": "br"}, 415, "use gzip, zstd or none"),
        (snappy(push()), PROTOBUF | {"content-encoding": "gzip"}, 415, "use snappy"),
        (b"not json", JSON, 400, "in JSON"),
        (b'{"streams": {"a": 1}}', JSON, 400, "list of `streams`"),
        (b"[1]", JSON, 400, "list of `streams`"),
        ({"streams": [7]}, JSON, 400, "a stream is 7"),
        (a_push(["x"]), JSON, 400, "object of texts"),
        (a_push({"a": 1}), JSON, 400, "object of texts"),
        ({"streams": [{"stream": {}, "values": 1}]}, JSON, 400, "no list"),
        (a_push({}, [NOW_NS, "a number"]), JSON, 400, "time in nanoseconds as text"),
        (a_push({}, ["1e9", "x"]), JSON, 400, "nanoseconds since 1970, as text"),
        (a_push({}, [str(NOW_NS), "x", {"a": 1}]), JSON, 400, "structured metadata"),
        (a_push({}, [str(NOW_NS)]), JSON, 400, "[time in nanoseconds as text, line]"),
        (b'{"streams": [{"stream": {"a": "\\ud800"}, "values": [["1", "x"]]}]}', JSON, 400, "in JSON"),
        (b'{"streams":' + b"[" * 5_000, JSON, 400, "in JSON"),
        (b'{"streams": [' + b"{}," * 300_000 + b"{}]}", JSON, 400, "mostly empty"),
        (b"\x05hello", PROTOBUF, 400, "snappy"),
        (snappy(b"\xff\xff\xff"), PROTOBUF, 400, "push request of Loki"),
        (snappy(field(9, "x")), PROTOBUF, 400, "/v1/logs"),
        (snappy(field(1, field(1, "{}") + b"\x12\x00" * 300_000)), PROTOBUF, 400, "mostly empty"),
        (snappy(field(1, field(1, "{}") + field(2, b"\x1a\x00" * 300_000))), PROTOBUF, 400, "mostly empty"),
        (varint(2**31) + bytes(100), PROTOBUF, 413, "ONEJOB_MAX_REQUEST_BYTES"),
        (a_push({}, [str(NOW_NS), "x" * 2**20]), JSON, 413, "ONEJOB_MAX_REQUEST_BYTES"),
    ],
    ids=range(25),
)
def test_what_is_no_push_is_refused_for_good_in_plain_words(
    post: Post, body: Any, headers: dict[str, str], status: int, says: str
) -> None:
    answer = post(body, headers)

    assert answer.status_code == status
    assert says in answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert "retry-after" not in answer.headers


def test_otlp_says_where_a_push_goes(intake: Intake) -> None:
    base = f"http://127.0.0.1:{intake.http_port}/v1/logs"
    answer = httpx.post(base, json=GOOD)
    assert (answer.status_code, "/loki/api/v1/push" in answer.json()["message"]) == (400, True)
    compressed = httpx.post(base, content=snappy(push()), headers=PROTOBUF | {"content-encoding": "snappy"})
    assert (compressed.status_code, b"/loki/api/v1/push" in compressed.content) == (415, True)


def test_only_post_is_taken(intake: Intake) -> None:
    assert httpx.get(f"http://127.0.0.1:{intake.http_port}/loki/api/v1/push").status_code == 405


def test_what_there_is_no_room_for_now_is_to_be_sent_again(engine: Engine, tmp_path: Path) -> None:
    intake = Intake(some_settings(tmp_path, spool_max_bytes=1), engine)
    intake.start()
    try:
        answer = httpx.post(f"http://127.0.0.1:{intake.http_port}/loki/api/v1/push", json=GOOD)
    finally:
        intake.stop()

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


texts = st.text(st.characters(codec="utf-8"), max_size=10)
names = st.from_regex(r"l_[a-z0-9_]{0,5}", fullmatch=True)
entries = st.tuples(
    st.integers(0, 10**14).map(lambda back: NOW_NS - back), texts, st.dictionaries(names, texts, max_size=3)
)
streams = st.tuples(st.dictionaries(names, texts, max_size=3), st.lists(entries, max_size=4))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=st.lists(streams, min_size=1, max_size=4), as_json=st.booleans())
def test_whatever_is_pushed_is_read_back_field_by_field(post: Post, engine: Engine, drawn: Any, as_json: bool) -> None:
    service = a_service()
    drawn = [({"service_name": service} | labels, lines) for labels, lines in [*drawn, ({}, [(NOW_NS, "last", {})])]]
    if as_json:
        found = [{"stream": labels, "values": [[str(ns), *rest] for ns, *rest in lines]} for labels, lines in drawn]
        answer = post({"streams": found})
    else:
        answer = post(snappy(push(*((_written_out(labels), lines) for labels, lines in drawn))), PROTOBUF)

    assert answer.status_code == 204
    wanted = [
        repr(
            (ns, line, sorted(metadata.items()), sorted((k, v) for k, v in labels.items() if v and k != "service_name"))
        )
        for labels, lines in drawn
        for ns, line, metadata in lines
    ]
    kept = [
        repr((row["ns"], row["Body"], sorted(row["LogAttributes"].items()), _own(row["ResourceAttributes"])))
        for row in logs(engine, service, len(wanted))
    ]
    assert sorted(kept) == sorted(wanted)


def _own(resource: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(pair for pair in resource.items() if pair[0] != "service.name")


def _written_out(labels: dict[str, str]) -> str:
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in labels.values())
    return "{" + ", ".join(f'{name}="{value}"' for name, value in zip(labels, quoted, strict=True)) + "}"
