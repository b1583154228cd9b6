"""Whose telemetry it is: Sentry knows projects, releases and server names, OpenTelemetry services.

A project is a number, which is no name. A service is called as, whichever is there first:

1. the DSN's path says, before or instead of the number: `http://KEY@HOST:4318/checkout/1`;
2. a tag `service.name` or `service` says, which sessions do not have;
3. the release does: `checkout@2.3.1` is version 2.3.1 of checkout (develop.sentry.dev/sdk/data-model/event-payloads).

Else it is `sentry-project-1`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onejob.ingest.labels import Pairs
from onejob.ingest.sentry.values import fields, text

_RELEASE = re.compile(r"(?P<name>@?[^@]+)@(?P<version>.+)", re.DOTALL)
_SERVICE_TAGS = ("service.name", "service")
_MOST_CHARS = 250  # of a release, and of all that is as short


@dataclass(frozen=True, slots=True)
class Sender:
    """What a DSN says: the service that its path names, if it does, and the project."""

    service: str
    project: str

    def resource_of(self, said: Mapping[str, Any], tags: Mapping[str, str]) -> Pairs:
        """`said` has `release`, `environment`, `server_name`, `sdk` and `platform`, as events have them."""
        release = text(said.get("release"), _MOST_CHARS)
        found = _RELEASE.fullmatch(release)
        name, version = (found["name"], found["version"]) if found else ("", release)
        tagged = next((tags[tag] for tag in _SERVICE_TAGS if tag in tags), "")
        sdk = fields(said.get("sdk"))
        resource = {
            "service.name": self.service or tagged or name or f"sentry-project-{self.project}",
            "service.version": version,
            "service.instance.id": text(said.get("server_name"), _MOST_CHARS),
            "deployment.environment.name": text(said.get("environment"), _MOST_CHARS),
            "telemetry.sdk.name": text(sdk.get("name"), _MOST_CHARS),
            "telemetry.sdk.version": text(sdk.get("version"), _MOST_CHARS),
            "telemetry.sdk.language": text(said.get("platform"), _MOST_CHARS),
        }
        return tuple(sorted((key, value) for key, value in resource.items() if value))
