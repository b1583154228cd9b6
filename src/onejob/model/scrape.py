"""Where metrics are fetched from."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from onejob.model.project import DEFAULT_PROJECT, PROJECT_NAME

_LEAST_INTERVAL_S = 1.0
_TAKEN = ("job", "instance", "__name__")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeTarget:
    """One page of metrics; raises ValueError when it contradicts itself.

    `job` is the service (or its namespace and the service, with a slash between); `instance` is the host and port of
    `url` unless said otherwise. `labels` become attributes of the resource: `service_version` says the version.
    `project` is the one that its metrics are kept in.
    """

    url: str
    job: str
    instance: str = ""
    interval_s: float = 15.0
    timeout_s: float = 10.0
    labels: dict[str, str] = field(default_factory=dict)
    project: str = DEFAULT_PROJECT

    def __post_init__(self) -> None:
        for wrong in _contradictions(self):
            raise ValueError(f"target {self.place!r}: {wrong}")

    @property
    def place(self) -> str:
        """Its host and port, without a user and password."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def name(self) -> str:
        """What it is called where it is spoken of."""
        return f"{self.job} {self.instance or self.place}"


def _contradictions(target: ScrapeTarget) -> list[str]:
    address = urlsplit(target.url)
    checks = (
        (address.scheme not in ("http", "https") or not address.hostname, "`url` must be http://host:port/path"),
        (not target.job, "`job` must name the service"),
        (target.interval_s < _LEAST_INTERVAL_S, f"`interval_s` must be {_LEAST_INTERVAL_S:g} or more"),
        (not 0 < target.timeout_s <= target.interval_s, "`timeout_s` must be above 0, and no longer than `interval_s`"),
        (not PROJECT_NAME.fullmatch(target.project), "`project` must be the name of a project"),
        (any(name in target.labels for name in _TAKEN), f"`labels` cannot have {', '.join(_TAKEN)}"),
    )
    return [why for is_wrong, why in checks if is_wrong]
