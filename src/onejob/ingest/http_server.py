"""Runs an ASGI application on a port of its own, in a thread of its own."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import uvicorn

from onejob.connections import server_config
from onejob.ingest.errors import IntakeError, PortInUse

_START_TIMEOUT_S = 10.0
_STOP_GRACE_S = 3


class HttpServer:
    """`port` is the bound one. Installs no signal handlers: it is not the main thread."""

    def __init__(self, app: Any, host: str, port: int) -> None:
        self._socket = _bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = server_config(app, grace_s=_STOP_GRACE_S, server_header=False, timeout_keep_alive=75)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="otlp-http", daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise IntakeError("The OTLP/HTTP server did not start; see the log above.")
            time.sleep(0.01)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.should_exit = True
            self._thread.join()
        self._socket.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"Cannot listen for OTLP/HTTP on {host}:{port}: {error.strerror}. "
            "Set ONEJOB_OTLP_HTTP_PORT to a free port (0 picks one)."
        ) from error
    return listener
