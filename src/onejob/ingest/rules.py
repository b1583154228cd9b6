"""What one kind of OTLP request must be like, and the little that the kinds have in common in saying so."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from onejob.ingest.errors import BadRequest
from onejob.model.telemetry import Kind

_IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")


@dataclass(slots=True)
class Found:
    """How many items a request has, which tables they fill (a bit each), how many are bad, and why the first is.

    `time_ns` is that of one of them, 0 if it has none: then the request may be of another kind.
    """

    items: int = 0
    time_ns: int = 0
    tables: int = 1
    bad: int = 0
    first: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """`sizes` are how many messages a request has on each level, from the outside in; an item that means anything has
    at least so many bytes. `look` looks at each item; `drop_bad` takes the bad ones out.

    `hex_to_base64` is for a JSON document, in place: OTLP/JSON departs from protobuf's JSON in one point, ids are hex.
    """

    kind: Kind
    request: Any
    least_item_bytes: int
    sizes: Callable[[Any], Iterator[int]]
    look: Callable[[Any], Found]
    drop_bad: Callable[[Any], None]
    hex_to_base64: Callable[[Any], None]

    @property
    def name(self) -> str:
        return str(self.request.DESCRIPTOR.name)

    @property
    def service(self) -> str:
        """Of gRPC: `LogsService`."""
        return self.name.removeprefix("Export").removesuffix("Request")


def keep(items: Any, good: list[Any]) -> None:
    """Of a repeated field, those only."""
    if len(good) < len(items):
        del items[:]
        items.extend(good)


def listed(parent: Any, *names: str) -> list[Any]:
    """What is under the first of these names in a JSON document."""
    if not isinstance(parent, dict):
        raise BadRequest(f"The OTLP/JSON has a {type(parent).__name__} where an object with {names[0]!r} should be.")
    value: Any = next((parent[name] for name in names if parent.get(name) is not None), [])
    if not isinstance(value, list):
        raise BadRequest(f"The OTLP/JSON has a {type(value).__name__} as {names[0]!r}; it must be a list.")
    return value


def ids_to_base64(holder: Any, what: str) -> None:
    """Of one span, link, log record or exemplar."""
    if not isinstance(holder, dict):
        raise BadRequest(f"The OTLP/JSON has a {type(holder).__name__} where a {what} should be.")
    for name in _IDS:
        value = holder.get(name)
        if value is None:
            continue
        try:
            holder[name] = base64.b64encode(binascii.unhexlify(value)).decode()
        except (binascii.Error, TypeError, ValueError) as error:
            raise BadRequest(
                f"{name} of a {what} is {str(value)[:64]!r}; OTLP/JSON wants it in hexadecimal."
            ) from error
