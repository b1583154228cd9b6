"""The parts of an Envoy configuration that a rollout needs, as plain data for `json.dumps`; Envoy reads JSON too."""

from pathlib import Path
from typing import Any

from onejob.act.drivers.runtime_directory import LINK, SUBDIRECTORY


def weighted_route(prefix: str, control: str, treatment: str, timeout_s: float = 15.0) -> dict[str, Any]:
    """The action of the route that is split; until a rollout says otherwise all traffic goes to control."""
    return {
        "weighted_clusters": {
            "runtime_key_prefix": prefix,
            "clusters": [
                {"name": control, "weight": 100},
                {"name": treatment, "weight": 0},
            ],
        },
        "timeout": f"{timeout_s:g}s",
    }


def weighted_clusters(config: object, prefix: str) -> list[set[str]]:
    """The clusters of every route, anywhere in a dump of Envoy's configuration, that is split by this prefix."""
    found: list[set[str]] = []
    waiting = [config]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if one.get("runtime_key_prefix") == prefix and isinstance(one.get("clusters"), list):
                found.append({str(cluster.get("name")) for cluster in one["clusters"] if isinstance(cluster, dict)})
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


def layered_runtime(runtime_dir: Path) -> dict[str, Any]:
    """Our directory, then the admin layer. The directory must exist when Envoy starts; what is in it need not."""
    return {
        "layers": [
            {
                "name": "onejob",
                "disk_layer": {"symlink_root": str(runtime_dir.resolve() / LINK), "subdirectory": SUBDIRECTORY},
            },
            {"name": "admin", "admin_layer": {}},
        ]
    }
