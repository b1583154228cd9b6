"""OTLP over gRPC. The handler sees raw bytes, so that a request is parsed once, and answers when the spool has it on
disk.

gRPC's core bounds the message, before and after decompression: beyond `max_request_bytes` it answers
RESOURCE_EXHAUSTED without RetryInfo, which tells clients not to send it again.

A call can be begun and its request never sent, or sent slowly. Such a call holds no thread here, only a coroutine, and
that for a while only; when there are too many, the one that has waited longest gives way. gRPC reads a request into
memory as far as it has come, so only so many are read at once; who cannot begin for a second has the longest give way.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

import grpc

from onejob.connections import most_connections
from onejob.ingest.answers import NO_PROFILES, failure, success
from onejob.ingest.door import INLINE_BYTES, Door
from onejob.ingest.doors import Doors
from onejob.ingest.errors import BadRequest, IntakeError, PortInUse, TryLater
from onejob.ingest.turns import SharedThreads
from onejob.ingest.validate import PROTOBUF_CHECKS, Accepted, Check
from onejob.model.telemetry import Kind

_COLLECTOR = "/opentelemetry.proto.collector"
EXPORTS: dict[str, Kind] = {
    f"{_COLLECTOR}.trace.v1.TraceService/Export": "traces",
    f"{_COLLECTOR}.logs.v1.LogsService/Export": "logs",
    f"{_COLLECTOR}.metrics.v1.MetricsService/Export": "metrics",
}
_DOOR = "otlp_grpc"
_PROFILES = f"{_COLLECTOR}.profiles.v1development.ProfilesService/Export"
_STOP_GRACE_S = 3.0
_ALIVE_S = 20
_IDLE_S = 300
_MESSAGE_TIMEOUT_S = 30.0
_MOST_UNSENT = 128  # calls whose request has not arrived
_MOST_READ_BYTES = 256 * 2**20  # of requests that are arriving
_LEAST_READ = 4  # of them at once, however large they may be
_PATIENCE_S = 1.0
_UNREAD_BYTES = 256 * 1024
_COMMIT_TIMEOUT_S = 60.0

Result = TypeVar("Result")


class GrpcServer:
    """`port` is the bound one. Has a thread with an event loop of its own."""

    def __init__(
        self,
        doors: Doors,
        host: str,
        port: int,
        *,
        message_timeout_s: float = _MESSAGE_TIMEOUT_S,
        most_unsent: int = _MOST_UNSENT,
        connections: int | None = None,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="otlp-grpc", daemon=True)
        self._thread.start()
        self._exports = _Exports(doors, message_timeout_s, most_unsent)
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            most = most_connections() if connections is None else connections
            self._server, self.port = self._run(_bind(self._exports, address, doors.max_request_bytes, most))
        except RuntimeError as error:
            self._end()
            raise PortInUse(
                f"Cannot listen for OTLP/gRPC on {address}: it is in use, or not an address of this machine. "
                "Set ONEJOB_OTLP_GRPC_PORT to a free port (0 picks one)."
            ) from error

    def start(self) -> None:
        self._run(self._server.start())

    def stop(self) -> None:
        if self._thread.is_alive():
            self._run(self._server.stop(_STOP_GRACE_S))
            self._end()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._exports.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _bind(
    exports: _Exports, address: str, max_request_bytes: int, connections: int
) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server(
        handlers=(exports,),
        options=[
            ("grpc.max_receive_message_length", max_request_bytes),
            ("grpc.so_reuseport", 0),  # or a second server would silently share the port
            ("grpc.max_concurrent_streams", 100),
            # Or they would use up the open files that the spools and the other ports need. Clients connect again.
            ("grpc.max_allowed_incoming_connections", connections),
            ("grpc.max_connection_idle_ms", _IDLE_S * 1000),
            # What has come of a request that is not being read yet stays small; or it would grow to whatever is sent.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", _UNREAD_BYTES),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            # Clients that are gone without a word are noticed, and so are those that never say what they want.
            ("grpc.keepalive_time_ms", _ALIVE_S * 1000),
            ("grpc.keepalive_timeout_ms", _ALIVE_S * 1000),
            ("grpc.server_handshake_timeout_ms", _ALIVE_S * 1000),
        ],
    )
    return server, server.add_insecure_port(address)


class _Exports(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A stream of requests to gRPC, of which there is one: so the wait for it is ours to bound."""

    def __init__(self, doors: Doors, message_timeout_s: float, most_unsent: int) -> None:
        self._doors = doors
        self._message_timeout_s = message_timeout_s
        self._most_unsent = most_unsent
        self._unsent: dict[asyncio.Timeout, Door] = {}  # the longest waiting first
        self._reading = asyncio.Semaphore(max(_LEAST_READ, _MOST_READ_BYTES // doors.max_request_bytes))
        self._threads = SharedThreads(2, "otlp-grpc")
        self._methods = {
            method: grpc.stream_unary_rpc_method_handler(self._exporting(PROTOBUF_CHECKS[kind]))
            for method, kind in EXPORTS.items()
        }
        self._methods[_PROFILES] = grpc.stream_unary_rpc_method_handler(_no_profiles)

    def service(self, handler_call_details: Any) -> Any:
        return self._methods.get(handler_call_details.method)

    def close(self) -> None:
        self._threads.close()

    def _exporting(self, check: Check) -> Callable[..., Coroutine[Any, Any, bytes]]:
        async def export(_requests: object, context: grpc.aio.ServicerContext) -> bytes:
            try:
                door = self._doors.admit(_authorization(context))
                accepted = await self._accept(door, await self._receive(door, context), check)
            except IntakeError as error:
                await _refuse(context, error)
            return bytes(success(accepted).SerializeToString()) if accepted.rejected else b""

        return export

    async def _receive(self, door: Door, context: grpc.aio.ServicerContext) -> bytes:
        if len(self._unsent) >= self._most_unsent:
            self._end_longest()
        try:
            async with asyncio.timeout(self._message_timeout_s) as deadline:
                self._unsent[deadline] = door
                try:
                    await self._turn()
                    try:
                        body = await context.read()
                    finally:
                        self._reading.release()
                finally:
                    self._unsent.pop(deadline, None)
        except TimeoutError:
            raise TryLater("The request did not arrive.", retry_after_s=5, is_overload=False) from None
        if body is grpc.aio.EOF:
            raise BadRequest("The call ended without a request.")
        return bytes(body)

    async def _turn(self) -> None:
        """To read; others have had theirs for long enough if it takes longer than a second."""
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_S if self._reading.locked() else None):
                    await self._reading.acquire()
            except TimeoutError:
                self._end_longest()
            else:
                return

    def _end_longest(self) -> None:
        """Of those of the project that has most."""
        ((most, _),) = Counter(self._unsent.values()).most_common(1)
        longest = next(deadline for deadline, door in self._unsent.items() if door is most)
        del self._unsent[longest]
        if not longest.expired():
            longest.reschedule(0)  # which is past

    async def _accept(self, door: Door, body: bytes, check: Check) -> Accepted:
        """Returns once it is on disk. Large requests in a thread, so that one client cannot hold up the others."""
        came_at = time.monotonic()
        door.hold(len(body))
        try:
            if len(body) <= INLINE_BYTES:
                accepted, waiting = door.check_and_spool(body, check, through=_DOOR)
            else:
                work = self._threads.run(door, lambda: door.check_and_spool(body, check, through=_DOOR))
                accepted, waiting = await asyncio.wrap_future(work)
            if waiting is not None:
                await _on_disk(waiting)
                door.counters.acknowledgements.add(_DOOR, time.monotonic() - came_at)
        finally:
            door.release(len(body))
        return accepted


def _authorization(context: grpc.aio.ServicerContext) -> str:
    sent = context.invocation_metadata() or ()
    return next((value for name, value in sent if name == "authorization" and isinstance(value, str)), "")


async def _on_disk(waiting: Future[bool]) -> None:
    try:
        async with asyncio.timeout(_COMMIT_TIMEOUT_S):
            await asyncio.wrap_future(waiting)
    except TimeoutError as error:  # it may still be written; sent again, it is recognised
        raise TryLater("The disk is too slow to keep this now.", retry_after_s=30, is_overload=False) from error


async def _no_profiles(_requests: object, context: grpc.aio.ServicerContext) -> bytes:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, NO_PROFILES)
    return b""


async def _refuse(context: grpc.aio.ServicerContext, error: IntakeError) -> None:
    """Raises what ends the call."""
    status = failure(error)
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    details = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(code, str(error), details)
