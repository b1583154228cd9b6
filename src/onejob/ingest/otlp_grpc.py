"""OTLP over gRPC. The handler sees raw bytes, so that a request is parsed once, and answers when the spool has it on
disk.

gRPC's core bounds the message, before and after decompression: beyond `max_request_bytes` it answers
RESOURCE_EXHAUSTED without RetryInfo, which tells clients not to send it again.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc

from onejob.ingest.answers import failure, success
from onejob.ingest.door import Door
from onejob.ingest.errors import IntakeError, PortInUse, TryLater
from onejob.ingest.validate import accept_protobuf

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
# Each worker waits for the disk most of its time; more of them share one commit.
_WORKERS = 16
_STOP_GRACE_S = 3.0
_ALIVE_S = 20
_CONNECTION_AGE_S = 300
_COMMIT_TIMEOUT_S = 60.0


class GrpcServer:
    """`port` is the bound one."""

    def __init__(
        self,
        door: Door,
        host: str,
        port: int,
        *,
        connection_age_s: int = _CONNECTION_AGE_S,
        grace_s: int = _ALIVE_S,
    ) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(_WORKERS, thread_name_prefix="otlp-grpc"),
            handlers=(_Handler(door),),
            options=[
                ("grpc.max_receive_message_length", door.max_request_bytes),
                ("grpc.so_reuseport", 0),  # or a second server would silently share the port
                ("grpc.max_concurrent_streams", 100),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                # A request that is begun and never sent holds a worker. So clients that are gone are noticed, and the
                # others are asked to connect anew now and then, which they do unseen.
                ("grpc.keepalive_time_ms", _ALIVE_S * 1000),
                ("grpc.keepalive_timeout_ms", _ALIVE_S * 1000),
                ("grpc.max_connection_age_ms", connection_age_s * 1000),
                ("grpc.max_connection_age_grace_ms", grace_s * 1000),
            ],
        )
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self.port: int = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise PortInUse(
                f"Cannot listen for OTLP/gRPC on {address}: it is in use, or not an address of this machine. "
                "Set ONEJOB_OTLP_GRPC_PORT to a free port (0 picks one)."
            ) from error

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop(_STOP_GRACE_S).wait()


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, door: Door) -> None:
        self._door = door
        self._method = grpc.unary_unary_rpc_method_handler(self._export)

    def service(self, handler_call_details: Any) -> Any:
        return self._method if handler_call_details.method == EXPORT else None

    def _export(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            accepted, waiting = self._door.check_and_spool(body, accept_protobuf)
            if waiting is not None:
                _wait(waiting)
        except IntakeError as error:
            return _refuse(context, error)
        return bytes(success(accepted).SerializeToString()) if accepted.rejected else b""


def _wait(waiting: Future[bool]) -> None:
    try:
        waiting.result(_COMMIT_TIMEOUT_S)
    except TimeoutError as error:  # it may still be written; sent again, it is recognised
        raise TryLater("The disk is too slow to keep this now.", retry_after_s=30, is_overload=False) from error


def _refuse(context: grpc.ServicerContext, error: IntakeError) -> bytes:
    status = failure(error)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    context.set_code(code)
    context.set_details(str(error))
    return b""
