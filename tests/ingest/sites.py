"""A small site of its own origin, whose pages include the script, and what was asked of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

CORS = {"access-control-allow-origin": "*", "access-control-allow-headers": "traceparent"}
BODY = """<h1>Your order, which is the largest thing that is painted</h1>
<button id="buy" onclick="const end = performance.now() + 120; while (performance.now() < end);">Buy</button>
<p class="note">Thank you.</p><input id="count" type="number">"""


class Site:
    """`pages` are what it answers by path, `asked` the headers of each request by path; any other path answers `{}`."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.pages: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.asked: dict[str, list[dict[str, str]]] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                site.asked.setdefault(path, []).append({name.lower(): value for name, value in self.headers.items()})
                page = site.pages.get(path)
                body = (page or "{}").encode()
                self.send_response(200)
                for name, value in ({"content-type": "text/html"} | site.headers if page else CORS).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_OPTIONS(self) -> None:
                self.send_response(204)
                for name, value in CORS.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Not into the tests' output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.origin = f"http://{host}:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator["Site"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join(5)

    def page(self, script: str, body: str = BODY, path: str = "/orders/17", **tag: str) -> None:
        """A page with the script from there; attributes of the tag are written with `_` for the hyphen."""
        said = " ".join(f'{name.replace("_", "-")}="{value}"' for name, value in tag.items())
        self.pages[path] = f'<!doctype html><title>Shop</title><script src="{script}" {said}></script>{body}'
