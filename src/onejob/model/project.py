"""Projects: teams on one server that see nothing of one another."""

import re
from dataclasses import dataclass
from datetime import datetime

DEFAULT_PROJECT = "default"  # the one that is always there, at the addresses without a project
PROJECT_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")

LIMITS = (
    "traces_retention_days",
    "rollup_retention_days",
    "logs_retention_days",
    "metrics_retention_days",
    "customer_retention_days",
    "spool_max_bytes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project other than `default`. Each of `LIMITS` is a setting of the server; None is what the server says.

    `removed_at`: since when it is being removed; its name can be taken again when nothing is left of it.
    """

    name: str
    created_at: datetime
    traces_retention_days: int | None = None
    rollup_retention_days: int | None = None
    logs_retention_days: int | None = None
    metrics_retention_days: int | None = None
    customer_retention_days: int | None = None
    spool_max_bytes: int | None = None
    removed_at: datetime | None = None

    def own_limits(self) -> dict[str, int]:
        """Those that are not the server's."""
        found = {name: getattr(self, name) for name in LIMITS}
        return {name: limit for name, limit in found.items() if limit is not None}
