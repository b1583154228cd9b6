"""A service with a page of metrics, for those that fetch it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass
class Exporter:
    """`status` and the others are what it answers next, with the number of the request for each `@` on the page.

    `asked` are the headers of each request.
    """

    page: bytes = b""
    media: str = TEXT
    status: int = 200
    encoding: str = ""
    pause_s: float = 0.0
    port: int = 0
    asked: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/metrics"

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def an_exporter(page: str = "", media: str = TEXT) -> Iterator[Exporter]:
    exporter = Exporter(page.encode(), media)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            exporter.asked.append({name.lower(): value for name, value in self.headers.items()})
            time.sleep(exporter.pause_s)
            self.send_response(exporter.status)
            self.send_header("content-type", exporter.media)
            if exporter.encoding:
                self.send_header("content-encoding", exporter.encoding)
            self.end_headers()
            self.wfile.write(exporter.page.replace(b"@", b"%d" % len(exporter.asked)))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    exporter.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield exporter
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
