"""Envoy's admin interface: runtime values and counters, with a timeout and one retry on every call."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from onejob.act.errors import DriverMisconfiguredError, DriverUnreachableError

# Admin answers in about a millisecond; the controller looks every second and must not be held up by one dead Envoy.
_TIMEOUT = httpx.Timeout(1.0, connect=0.5)
_TRIES = 2


class EnvoyAdmin:
    """One Envoy. All calls can be repeated without harm."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(base_url=self.url, timeout=_TIMEOUT, trust_env=False)

    def runtime(self, keys: Sequence[str]) -> dict[str, Sequence[str]]:
        """Per key that is set: what each layer says ('' for nothing), the one in force last."""
        entries: Mapping[str, Any] = self._get("/runtime").get("entries", {})
        return {key: (*entries[key]["layer_values"], entries[key]["final_value"]) for key in keys if key in entries}

    def modify_runtime(self, values: Mapping[str, str]) -> None:
        """Set keys in the admin layer, all at once; an empty value removes what that layer says of the key."""
        answer = self._call("POST", "/runtime_modify", values)
        if answer.status_code != httpx.codes.OK:
            raise DriverMisconfiguredError(
                f"Envoy at {self.url} refused new runtime values ({answer.text.strip()}): give its layered_runtime an "
                "admin_layer, and a disk_layer that reads the driver's runtime_dir."
            )

    def counters(self, pattern: str) -> dict[str, int]:
        """Counters and gauges whose name matches the regular expression."""
        stats = self._get("/stats", {"format": "json", "filter": pattern}).get("stats", [])
        return {stat["name"]: int(stat["value"]) for stat in stats if isinstance(stat.get("value"), int)}

    def config(self) -> str:
        """The configuration in force, as text."""
        return self._call("GET", "/config_dump", {}).text

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _get(self, path: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
        answer = self._call("GET", path, parameters or {})
        try:
            found = answer.raise_for_status().json()
        except (httpx.HTTPStatusError, ValueError) as error:
            raise DriverMisconfiguredError(f"{self.url}{path} is not Envoy's admin interface: {error}") from error
        if not isinstance(found, dict):
            raise DriverMisconfiguredError(f"{self.url}{path} is not Envoy's admin interface.")
        return found

    def _call(self, method: str, path: str, parameters: Mapping[str, str]) -> httpx.Response:
        for left in reversed(range(_TRIES)):
            try:
                return self._client.request(method, path, params=dict(parameters))
            except httpx.TransportError as error:
                if not left:
                    raise DriverUnreachableError(
                        f"Envoy's admin interface at {self.url} does not answer ({type(error).__name__}): start Envoy, "
                        "or correct the rollout's admin_url"
                    ) from error
        raise AssertionError("unreachable")
