"""Something that takes OTLP over HTTP and keeps it, decoded by OpenTelemetry's own classes."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass
class Receiver:
    """`answers` are (status, bytes) for the next requests, which are not kept; after them all is taken."""

    url: str = ""
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    tries: int = 0

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        self.tries += 1
        self.headers.append(headers)
        if path != "/v1/traces":
            return 404, b"not here"
        if self.answers:
            return self.answers.pop(0)
        self.bodies.append(gzip.decompress(body))
        return 200, b""

    def spans(self) -> list[dict[str, Any]]:
        """In the order of their ends."""
        found = []
        for body in self.bodies:
            request = ExportTraceServiceRequest.FromString(body)
            for of_resource in request.resource_spans:
                resource = _values(of_resource.resource.attributes)
                for span in (span for scope in of_resource.scope_spans for span in scope.spans):
                    found.append(
                        {
                            **resource,
                            **_values(span.attributes),
                            "name": span.name,
                            "kind": span.kind,
                            "error": span.status.code == 2,
                            "ended_ns": span.end_time_unix_nano,
                            "duration_ns": span.end_time_unix_nano - span.start_time_unix_nano,
                            "ids": (span.trace_id, span.span_id),
                        }
                    )
        return sorted(found, key=lambda span: span["ended_ns"])


@contextmanager
def a_receiver() -> Iterator[Receiver]:
    """On a port of its own."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, answer = receiver.take(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    yield receiver
    server.shutdown()
    server.server_close()


def a_refusal(message: str) -> bytes:
    """A google.rpc.Status, as onejob refuses with."""
    return bytes(Status(code=3, message=message).SerializeToString())


def a_partial_success(rejected: int) -> bytes:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = "too old"
    return bytes(response.SerializeToString())


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
