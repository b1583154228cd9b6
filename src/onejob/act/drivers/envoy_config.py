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
