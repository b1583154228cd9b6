"""Envoy's admin interface: runtime values and counters, with a bound on the time and the size of every answer.

The address comes from whoever starts a rollout, so whatever answers there may be something else altogether: every way
in which it is not Envoy ends in the same sentence.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from onejob.act.errors import DriverMisconfiguredError, DriverUnreachableError

# Admin answers in about a millisecond; the controller looks every second and must not be held up by one dead Envoy.
_TIMEOUT = httpx.Timeout(1.0, connect=0.5)
_TRIES = 2
_LONGEST_ANSWER_S = 3.0
_MOST_COUNTED = 2**63 - 1  # as much as a column holds
_LARGEST_ANSWER = 64 * 2**20  # the configuration of thousands of clusters


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    text: str


class EnvoyAdmin:
    """One Envoy. All calls can be repeated without harm."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(base_url=self.url, timeout=_TIMEOUT, trust_env=False)

    def runtime(self, keys: Sequence[str]) -> dict[str, Sequence[str]]:
        """Per key that is set: what each layer says ('' for nothing), the one in force last."""
        entries = self._get("/runtime").get("entries", {})
        try:
            return {
                key: (*map(str, entries[key]["layer_values"]), str(entries[key]["final_value"]))
                for key in keys
                if key in entries
            }
        except (KeyError, TypeError) as error:
            raise self._no_envoy("/runtime", error) from error

    def modify_runtime(self, values: Mapping[str, str]) -> None:
        """Set keys in the admin layer, all at once; an empty value removes what that layer says of the key."""
        answer = self._call("POST", "/runtime_modify", values)
        if answer.status != httpx.codes.OK:
            raise DriverMisconfiguredError(
                f"Envoy at {self.url} refused new runtime values ({answer.text.strip()[:200]}): give its "
                "layered_runtime an admin_layer, and a disk_layer that reads the driver's runtime_dir."
            )

    def counters(self, pattern: str) -> dict[str, int]:
        """Counters and gauges whose name matches the regular expression."""
        stats = self._get("/stats", {"format": "json", "filter": pattern}).get("stats", [])
        try:
            found = {stat["name"]: int(stat["value"]) for stat in stats if isinstance(stat.get("value"), int)}
        except (AttributeError, KeyError, TypeError) as error:
            raise self._no_envoy("/stats", error) from error
        if any(not 0 <= value <= _MOST_COUNTED for value in found.values()):
            raise self._no_envoy("/stats", "a count that cannot be")
        return found

    def config(self) -> dict[str, Any]:
        """The configuration in force."""
        return self._get("/config_dump")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _get(self, path: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
        answer = self._call("GET", path, parameters or {})
        if answer.status != httpx.codes.OK:
            raise self._no_envoy(path, f"status {answer.status}")
        try:
            found = json.loads(answer.text)
        except (ValueError, RecursionError) as error:
            raise self._no_envoy(path, "no JSON") from error
        if not isinstance(found, dict):
            raise self._no_envoy(path, "another kind of JSON")
        return found

    def _call(self, method: str, path: str, parameters: Mapping[str, str]) -> _Answer:
        for left in reversed(range(_TRIES)):
            try:
                return self._request(method, path, parameters)
            except httpx.TransportError as error:
                if not left:
                    raise DriverUnreachableError(
                        f"Envoy's admin interface at {self.url} does not answer ({type(error).__name__}): start Envoy, "
                        "or correct the rollout's admin_url"
                    ) from error
            except httpx.HTTPError as error:
                raise self._no_envoy(path, error) from error
        raise AssertionError("unreachable")

    def _request(self, method: str, path: str, parameters: Mapping[str, str]) -> _Answer:
        """httpx bounds the wait for each piece of an answer; an answer that never ends is bounded here."""
        deadline = time.monotonic() + _LONGEST_ANSWER_S
        body = bytearray()
        with self._client.stream(method, path, params=dict(parameters)) as response:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > _LARGEST_ANSWER or time.monotonic() > deadline:
                    raise self._no_envoy(path, "an answer without an end")
        return _Answer(response.status_code, body.decode("utf-8", "replace"))

    def _no_envoy(self, path: str, why: object) -> DriverMisconfiguredError:
        return DriverMisconfiguredError(
            f"{self.url}{path} is not Envoy's admin interface ({why}): correct the rollout's admin_url."
        )
