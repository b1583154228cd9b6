"""OTLP/HTTP at its boundary: a real server, real requests."""

import asyncio
import gzip
import json
import os
import socket
import zlib
from collections.abc import Callable, MutableMapping
from typing import Any

import httpx
import pytest
from backports import zstd
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from onejob.ingest.otlp_http import OtlpHttpApp, Receive
from onejob.ingest.service import Intake
from onejob.store.engine import Engine
from otlp_builders import a_payload, a_request, a_service, a_span

from .spools import doors_to
from .waiting import counted, stored, wait_until

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


def _with_a_huge_window(data: bytes) -> bytes:
    """A frame of one uncompressed block that asks for 2 GiB of memory to be read (RFC 8878, section 3.1.1)."""
    block = (1 | len(data) << 3).to_bytes(3, "little") + data
    return bytes.fromhex("28b52ffd") + bytes([0, 21 << 3]) + block


def test_protobuf_is_stored_and_answered_in_protobuf(url: str, engine: Engine) -> None:
    service = a_service()

    answer = httpx.post(url, content=a_payload(a_span(), a_span(), service=service), headers=PROTOBUF)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/x-protobuf"
    wait_until(lambda: stored(engine, service) == 2, "storing")


def test_gzip_in_one_or_several_members_is_stored(url: str, engine: Engine) -> None:
    service, headers = a_service(), PROTOBUF | {"content-encoding": "gzip"}
    payload = a_payload(a_span(), service=service)
    members = gzip.compress(payload[:20]) + gzip.compress(payload[20:])

    assert httpx.post(url, content=members, headers=headers).status_code == 200
    wait_until(lambda: stored(engine, service) == 1, "storing")


def test_zstd_in_one_or_several_frames_is_stored(url: str, engine: Engine) -> None:
    service, headers = a_service(), PROTOBUF | {"content-encoding": "zstd"}
    payload = a_payload(*(a_span() for _ in range(100)), service=service)
    frames = zstd.compress(payload[:20]) + zstd.compress(payload[20:])

    assert httpx.post(url, content=frames, headers=headers).status_code == 200
    wait_until(lambda: stored(engine, service) == 100, "storing")


def test_otlp_json_has_ids_in_hex_and_integers_as_strings(url: str, engine: Engine) -> None:
    service = a_service()
    span = {
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "eee19b7ec3c1b174",
        "name": "GET /",
        "kind": 2,
        "startTimeUnixNano": str(a_span().start_time_unix_nano),
        "endTimeUnixNano": str(a_span().end_time_unix_nano),
        "attributes": [{"key": "n", "value": {"intValue": "7"}}],
        "aFieldOfTheFuture": {"x": 1},
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    document = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}

    answer = httpx.post(url, json=document)

    assert (answer.status_code, answer.json()) == (200, {})
    wait_until(lambda: stored(engine, service) == 1, "storing")
    sql = "SELECT TraceId, SpanAttributes['n'] AS n FROM otel_traces WHERE ServiceName = {service:String}"
    kept = engine.query(sql, {"service": service}).to_pylist()
    assert kept == [{"TraceId": "5b8efff798038103d269b633813fc60c", "n": "7"}]


@pytest.mark.parametrize("body", [b"", a_payload(service="nobody")])
def test_an_empty_request_is_a_success(url: str, body: bytes) -> None:
    assert httpx.post(url, content=body, headers=PROTOBUF).status_code == 200
    assert httpx.post(url, content=b"{}", headers=JSON).status_code == 200


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\xff\xff\xff\xff", PROTOBUF),
        (a_payload(a_span())[:-3], PROTOBUF),
        (b'{"resourceSpans": []}', PROTOBUF),
        (b"not json", JSON),
        (b"[]", JSON),
        (b'{"resourceSpans": 7}', JSON),
        (b'{"resourceSpans": [7]}', JSON),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": ["x"]}]}]}', JSON),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "not hex"}]}]}]}', JSON),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "-1"}]}]}]}', JSON),
        (b'{"a":' * 100_000, JSON),
        (b"9" * 10_000, JSON),
        (b"\xff\xfe", JSON),
        (b"not gzip", PROTOBUF | {"content-encoding": "gzip"}),
        (b"not zstd", PROTOBUF | {"content-encoding": "zstd"}),
        (zstd.compress(a_payload(a_span()))[:-6], PROTOBUF | {"content-encoding": "zstd"}),
        (_with_a_huge_window(a_payload(a_span())), PROTOBUF | {"content-encoding": "zstd"}),
        (gzip.compress(a_payload(a_span()))[:-12], PROTOBUF | {"content-encoding": "gzip"}),
    ],
)
def test_malformed_bodies_are_refused_for_good(url: str, body: bytes, headers: dict[str, str]) -> None:
    answer = httpx.post(url, content=body, headers=headers)

    assert answer.status_code == 400
    assert "retry-after" not in answer.headers
    if headers is JSON:
        assert answer.json()["message"]
    else:
        assert Status.FromString(answer.content).message


@pytest.mark.parametrize(
    ("span", "field"),
    [
        (a_span(trace_id=b"short"), "trace_id"),
        (a_span(trace_id=b"\1" * 17), "trace_id"),
        (a_span(trace_id=bytes(16)), "trace_id"),
        (a_span(span_id=b""), "span_id"),
        (a_span(span_id=bytes(8)), "span_id"),
        (a_span(parent=b"abc"), "parent_span_id"),
    ],
)
def test_ids_of_the_wrong_length_are_refused_by_name(url: str, span: object, field: str) -> None:
    answer = httpx.post(url, content=a_payload(span), headers=PROTOBUF)  # type: ignore[arg-type]

    assert answer.status_code == 400
    assert Status.FromString(answer.content).message.startswith(field)


def test_a_request_with_some_bad_spans_is_a_partial_success(url: str, engine: Engine) -> None:
    service = a_service()
    body = a_payload(a_span(), a_span(trace_id=b"bad"), a_span(), service=service)

    answer = httpx.post(url, content=body, headers=PROTOBUF)

    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans) == (200, 1)
    assert "trace_id" in partial.error_message
    wait_until(lambda: stored(engine, service) == 2, "storing")


def test_a_request_sent_again_is_acknowledged_and_stored_once(url: str, engine: Engine) -> None:
    service = a_service()
    body = a_payload(a_span(), service=service)

    for _ in range(3):
        assert httpx.post(url, content=body, headers=PROTOBUF).status_code == 200
    assert httpx.post(url, content=a_payload(a_span(), service=service), headers=PROTOBUF).status_code == 200

    wait_until(lambda: stored(engine, service) == 2, "storing")
    wait_until(lambda: counted(engine, service) == 2, "counting")


def test_too_large_is_413_whether_announced_chunked_or_compressed(url: str) -> None:
    large = os.urandom(2**20 + 1)
    assert httpx.post(url, content=large, headers=PROTOBUF).status_code == 413
    assert httpx.post(url, content=iter([large]), headers=PROTOBUF).status_code == 413


def _gzip_bomb() -> bytes:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(squeeze.compress(bytes(2**20)) for _ in range(600)) + squeeze.flush()


def _zstd_bomb() -> bytes:
    squeeze = zstd.ZstdCompressor()
    return b"".join(squeeze.compress(bytes(2**20)) for _ in range(600)) + squeeze.flush()


@pytest.mark.parametrize(("encoding", "make"), [("gzip", _gzip_bomb), ("zstd", _zstd_bomb)], ids=["gzip", "zstd"])
def test_a_bomb_ends_at_the_limit(url: str, encoding: str, make: Callable[[], bytes]) -> None:
    bomb = make()
    before = _peak_memory_mb()

    answer = httpx.post(url, content=bomb, headers=PROTOBUF | {"content-encoding": encoding})

    assert len(bomb) < 2**20
    assert answer.status_code == 413
    assert _peak_memory_mb() - before < 50


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_a_body_of_countless_members_is_refused_at_once(
    url: str, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    answer = httpx.post(
        url, content=compress(b"") * 40_000, headers=PROTOBUF | {"content-encoding": encoding}, timeout=5
    )

    assert answer.status_code == 400


_MANY = 300_000


def _empty(*, resources: int = 1, scopes: int = 1, spans: int = 1) -> bytes:
    of_resource = ResourceSpans(scope_spans=[ScopeSpans(spans=[Span()] * spans)] * scopes)
    return ExportTraceServiceRequest(resource_spans=[of_resource] * resources).SerializeToString()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\x0a\x00" * _MANY, PROTOBUF),
        (_empty(scopes=_MANY, spans=0), PROTOBUF),
        (_empty(spans=_MANY), PROTOBUF),
        (a_payload(a_span()) + _empty(spans=_MANY), PROTOBUF),
        (b'{"resourceSpans": [' + b"{}," * _MANY + b"{}]}", JSON),
        (b'{"resourceSpans": [' + b"[]," * _MANY + b"[]]}", JSON),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [' + b"{}," * _MANY + b"{}]}]}]}", JSON),
    ],
)
def test_countless_empty_messages_are_refused_before_each_is_looked_at(
    url: str, body: bytes, headers: dict[str, str]
) -> None:
    answer = httpx.post(url, content=gzip.compress(body), headers=headers | {"content-encoding": "gzip"})

    assert answer.status_code == 400
    assert b"mostly empty" in answer.content


@pytest.mark.parametrize("name", ["{", "[", '["', "[\\"])
def test_brackets_in_texts_are_no_objects_and_no_lists(url: str, name: str) -> None:
    span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": name * 100_000}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    assert httpx.post(url, content=body, headers=JSON).status_code == 200


def test_bodies_that_stop_midway_count_as_what_they_hold() -> None:
    never: asyncio.Future[dict[str, object]]
    answers: list[int] = []

    async def stalled() -> dict[str, object]:
        if not never.done():
            return await asyncio.shield(never)
        return {"type": "http.disconnect"}

    async def run() -> None:
        nonlocal never
        never = asyncio.get_running_loop().create_future()
        app = OtlpHttpApp(doors_to(None, memory_bytes=150_000))
        scope = {"type": "http", "method": "POST", "path": "/v1/traces", "headers": [*_head(PROTOBUF)]}

        def half_sent() -> Receive:
            pieces = iter([{"type": "http.request", "body": bytes(100_000), "more_body": True}])
            return lambda: _first(next(pieces, None), stalled)

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answers.append(message["status"])

        first = asyncio.create_task(app(dict(scope), half_sent(), send))
        await asyncio.sleep(0.05)
        await app(dict(scope), half_sent(), send)
        assert answers == [429]
        never.set_result({"type": "http.disconnect"})
        await first
        await app(dict(scope), half_sent(), send)

    asyncio.run(run())
    assert answers == [429, 400, 400]  # what was held is let go


async def _first(message: dict[str, object] | None, otherwise: Receive) -> MutableMapping[str, Any]:
    return message if message is not None else await otherwise()


def _head(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/traces", {"content-type": "text/plain"}, 415),
        ("POST", "/v1/traces", {}, 415),
        ("POST", "/v1/traces", PROTOBUF | {"content-encoding": "br"}, 415),
        ("GET", "/v1/traces", {}, 405),
        ("POST", "/v1development/profiles", PROTOBUF, 404),
        ("GET", "/v1/logs", {}, 405),
        ("POST", "/v1/metrics", PROTOBUF | {"content-encoding": "br"}, 415),
        ("POST", "/", PROTOBUF, 404),
    ],
)
def test_requests_for_something_else_say_what_to_do(
    url: str, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = httpx.request(method, url.removesuffix("/v1/traces") + path, content=b"x", headers=headers)

    assert answer.status_code == status
    assert answer.content


def test_a_content_type_may_carry_parameters(url: str) -> None:
    assert (
        httpx.post(url, content=b"{}", headers={"content-type": "Application/JSON; charset=utf-8"}).status_code == 200
    )


@pytest.mark.parametrize(
    "noise",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        os.urandom(4096),
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    ],
)
def test_other_protocols_on_the_http_port_do_no_harm(intake: Intake, url: str, noise: bytes) -> None:
    with socket.create_connection(("127.0.0.1", intake.http_port), timeout=5) as connection:
        connection.sendall(noise)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(4096)

    assert httpx.post(url, content=a_request().SerializeToString(), headers=PROTOBUF).status_code == 200


def test_json_and_protobuf_of_one_request_are_the_same_request(url: str, engine: Engine) -> None:
    service = a_service()
    request = a_request(a_span(trace_id=b"\1" * 16, span_id=b"\2" * 8), service=service)
    from google.protobuf import json_format

    document = json.loads(json_format.MessageToJson(request))
    span = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["traceId"], span["spanId"] = "01" * 16, "02" * 8

    assert httpx.post(url, content=request.SerializeToString(), headers=PROTOBUF).status_code == 200
    assert httpx.post(url, json=document).status_code == 200
    wait_until(lambda: stored(engine, service) >= 1, "storing")
    wait_until(lambda: counted(engine, service) == 1, "counting")


def _peak_memory_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
