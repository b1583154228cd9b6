"""Real HTTP servers that behave, or misbehave, as a version of a service may."""

import http.server
import os
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def _answer(handler: http.server.BaseHTTPRequestHandler, code: int) -> None:
    handler.wfile.write(f"HTTP/1.1 {code} As Told\r\nContent-Length: 2\r\n\r\nok".encode())


def _reset(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.connection.detach())
    handler.close_connection = True


def _close(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def _break_off(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    handler.wfile.flush()
    _close(handler)


def _never_end(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(200):
        handler.wfile.write(b"10\r\n" + b" " * 16 + b"\r\n")
        time.sleep(0.05)


def _answer_with(handler: http.server.BaseHTTPRequestHandler, body: bytes, header: str = "") -> None:
    handler.wfile.write(f"HTTP/1.1 200 OK\r\n{header}Content-Length: {len(body)}\r\n\r\n".encode() + body)


BEHAVIOURS: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = {
    "answers": lambda handler: _answer(handler, 200),
    "fails": lambda handler: _answer(handler, 500),
    "resets": _reset,
    "closes": _close,
    "breaks off": _break_off,
    "hangs": lambda handler: time.sleep(5),
    "never ends": _never_end,
    "breaks its gzip": lambda handler: _answer_with(handler, b"no gzip", "Content-Encoding: gzip\r\n"),
    "answers a list": lambda handler: _answer_with(handler, b"[1]"),
    "answers other things": lambda handler: _answer_with(handler, b'{"entries": 5, "stats": [[7]]}'),
}


BEHAVIOURS["answers impossible numbers"] = lambda handler: _answer_with(
    handler,
    '{"entries": {"split.checkout.control": {"layer_values": [], "final_value": "²"},'
    ' "split.checkout.treatment": {"layer_values": [], "final_value": "²"}},'
    ' "stats": [{"name": "cluster.control.upstream_rq_total", "value": 99999999999999999999999}]}'.encode(),
)


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection we broke on purpose is no news."""


@contextmanager
def an_origin(behaviour: str, port: int) -> Iterator[None]:
    """A server on that port; `behaviour` is a key of BEHAVIOURS, or `is away`: nobody listens."""
    if behaviour == "is away":
        yield
        return

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            BEHAVIOURS[behaviour](self)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    server = _Server(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
