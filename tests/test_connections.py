"""Connections that say nothing: they end, and do not keep others out."""

import socket
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import uvicorn

from onejob.connections import bounded_http

_HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: "


async def _hello(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@contextmanager
def _served(head_within_s: float, most: int) -> Iterator[int]:
    http = bounded_http(head_within_s, most)
    server = uvicorn.Server(uvicorn.Config(_hello, port=0, http=http, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


def _open(stack: ExitStack, port: int, said: bytes) -> socket.socket:
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
    connection.sendall(said)
    return connection


def _has_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1000) == b""
    except ConnectionResetError:
        return True


def test_a_connection_without_a_whole_head_is_closed() -> None:
    whole = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with _served(head_within_s=0.2, most=100) as port, ExitStack() as stack:
        kept = _open(stack, port, whole)
        assert b"hello" in kept.recv(1000)
        half, silent = _open(stack, port, _HALF_A_HEAD), _open(stack, port, b"")
        assert _has_ended(half)
        assert _has_ended(silent)
        kept.sendall(whole)  # an idle one has the time of keep-alive
        assert b"hello" in kept.recv(1000)
        kept.sendall(_HALF_A_HEAD)
        assert _has_ended(kept)


def test_silent_connections_beyond_the_most_make_way_for_one_that_asks() -> None:
    with _served(head_within_s=600, most=5) as port, ExitStack() as stack:
        silent = [_open(stack, port, _HALF_A_HEAD) for _ in range(12)]
        assert httpx.get(f"http://127.0.0.1:{port}/", timeout=30).text == "hello"
        assert all(_has_ended(connection) for connection in silent[:7])
