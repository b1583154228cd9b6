"""OTLP/gRPC at its boundary: a real server, a real channel."""

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from onejob.ingest import otlp_grpc
from onejob.ingest.otlp_grpc import GrpcServer
from onejob.ingest.service import Intake
from onejob.ingest.spool import Spool, SpoolLimits
from onejob.store.engine import Engine
from otlp_builders import a_payload, a_service, a_span

from .conftest import EXPORT, Export
from .spools import doors_to
from .waiting import counted, stored, wait_until


def status_of(error: grpc.RpcError) -> Status:
    """google.rpc.Status, as OTLP clients read it."""
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    return Status.FromString(details)


def test_spans_are_stored_and_an_empty_response_is_full_success(export: Export, engine: Engine) -> None:
    service = a_service()

    assert export(a_payload(a_span(), a_span(), service=service)) == b""
    wait_until(lambda: stored(engine, service) == 2, "storing")


def test_gzip_is_understood(intake: Intake, engine: Engine) -> None:
    service = a_service()
    with grpc.insecure_channel(f"127.0.0.1:{intake.grpc_port}", compression=grpc.Compression.Gzip) as channel:
        answer = channel.unary_unary(EXPORT)(a_payload(*[a_span() for _ in range(50)], service=service))
    assert answer == b"", "full success"
    wait_until(lambda: stored(engine, service) == 50, "storing")


def test_an_empty_request_is_a_success(export: Export) -> None:
    assert export(b"") == b""


@pytest.mark.parametrize("body", [b"\xff\xff\xff", a_payload(a_span())[:-2], b"{}"])
def test_malformed_bytes_are_invalid_and_not_retried(export: Export, body: bytes) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        export(body)

    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert status_of(refusal.value).details == []


def test_an_id_of_the_wrong_length_is_refused_by_name(export: Export) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        export(a_payload(a_span("the culprit", span_id=b"1234")))

    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "span_id of span 'the culprit' has 4 bytes; it must have exactly 8" in refusal.value.details()


def test_some_bad_spans_are_a_partial_success(export: Export, engine: Engine) -> None:
    service = a_service()

    answer = export(a_payload(a_span(), a_span(span_id=b"1"), service=service))

    assert ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans == 1
    wait_until(lambda: stored(engine, service) == 1, "storing")
    wait_until(lambda: counted(engine, service) == 1, "counting")


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_too_large_a_message_is_refused_and_not_retried(intake: Intake, compression: grpc.Compression) -> None:
    options = [("grpc.max_send_message_length", -1)]
    address = f"127.0.0.1:{intake.grpc_port}"
    with grpc.insecure_channel(address, options=options, compression=compression) as channel:
        with pytest.raises(grpc.RpcError) as refusal:
            channel.unary_unary(EXPORT)(bytes(64 * 2**20))
        assert channel.unary_unary(EXPORT)(b"") == b""

    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "grpc-status-details-bin" not in dict(refusal.value.trailing_metadata())


def test_profiles_are_unimplemented_and_told_so(intake: Intake) -> None:
    profiles = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
    with grpc.insecure_channel(f"127.0.0.1:{intake.grpc_port}") as channel, pytest.raises(grpc.RpcError) as refusal:
        channel.unary_unary(profiles)(b"\x0a\x00")

    assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "onejob keeps no profiles" in refusal.value.details()


@pytest.mark.parametrize(
    "noise", [b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", os.urandom(4096)]
)
def test_other_protocols_on_the_grpc_port_do_no_harm(intake: Intake, export: Export, noise: bytes) -> None:
    with socket.create_connection(("127.0.0.1", intake.grpc_port), timeout=5) as connection:
        connection.sendall(noise)
        connection.recv(4096)

    assert export(b"") == b""


@contextmanager
def a_server(tmp_path: Path, **limits: Any) -> Iterator[str]:
    """Its address."""
    with closing(Spool(tmp_path / "spool.db", SpoolLimits(2**30, 0, 900))) as spool:
        server = GrpcServer(doors_to(spool), "127.0.0.1", 0, **limits)
        server.start()
        yield f"127.0.0.1:{server.port}"
        server.stop()


@contextmanager
def begun_and_never_sent(address: str, calls: int) -> Iterator[list[grpc.Future]]:
    done = threading.Event()

    def nothing() -> Iterator[bytes]:
        done.wait(60)
        yield from ()

    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield [channel.stream_unary(EXPORT).future(nothing()) for _ in range(calls)]
        done.set()


def test_calls_that_are_begun_and_never_sent_do_not_keep_the_others_out(tmp_path: Path) -> None:
    with a_server(tmp_path) as address, ExitStack() as holders:
        for _ in range(2):
            holders.enter_context(begun_and_never_sent(address, 90))
        with grpc.insecure_channel(address) as channel:
            assert channel.unary_unary(EXPORT)(a_payload(a_span()), timeout=20) == b""


def test_the_call_that_waited_longest_for_its_request_gives_way(tmp_path: Path) -> None:
    with a_server(tmp_path, most_unsent=2) as address, begun_and_never_sent(address, 3) as calls:
        wait_until(lambda: any(call.done() for call in calls), "giving way")
        assert [call.code() for call in calls if call.done()] == [grpc.StatusCode.UNAVAILABLE]


def test_a_call_whose_request_never_comes_is_ended_and_may_be_tried_again(tmp_path: Path) -> None:
    with a_server(tmp_path, message_timeout_s=0.1) as address, begun_and_never_sent(address, 1) as (call,):
        assert call.code() is grpc.StatusCode.UNAVAILABLE
        assert status_of(call).details


def test_more_connections_than_there_may_be_are_refused_until_one_is_closed(tmp_path: Path) -> None:
    apart = [("grpc.use_local_subchannel_pool", 1)]

    def is_taken(channel: grpc.Channel) -> bool:
        return bool(channel.unary_unary(EXPORT).future(a_payload(a_span()), timeout=5).exception() is None)

    with a_server(tmp_path, connections=2) as address, grpc.insecure_channel(address, options=apart) as first:
        with grpc.insecure_channel(address, options=apart) as second:
            assert is_taken(first)
            assert is_taken(second)
            with grpc.insecure_channel(address, options=apart) as third:
                assert not is_taken(third)
                assert is_taken(first)
        with grpc.insecure_channel(address, options=apart) as another:
            wait_until(lambda: is_taken(another), "a free connection")


def test_a_call_that_ends_without_a_request_is_invalid(tmp_path: Path) -> None:
    with a_server(tmp_path) as address, grpc.insecure_channel(address) as channel:
        call = channel.stream_unary(EXPORT).future(iter(()))
        assert call.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_disk_that_takes_too_long_is_unavailable_and_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_grpc, "_COMMIT_TIMEOUT_S", 0.01)

    class SlowSpool:
        def append(self, _payload: bytes, _items: int, **_options: object) -> "Future[bool]":
            return Future()

    server = GrpcServer(doors_to(SlowSpool()), "127.0.0.1", 0)
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel, pytest.raises(grpc.RpcError) as refusal:
        channel.unary_unary(EXPORT)(a_payload(a_span()), timeout=10)
    server.stop()

    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


def test_retry_info_says_when_to_come_back() -> None:
    from onejob.ingest.answers import failure
    from onejob.ingest.errors import TryLater

    status = failure(TryLater("full", retry_after_s=7, is_overload=True))

    retry = RetryInfo()
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.seconds == 7
