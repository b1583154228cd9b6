"""An envelope taken apart (develop.sentry.dev/sdk/foundations/envelopes):

    headers of the envelope, JSON        {"event_id": "...", "trace": {...}}
    headers of an item, JSON             {"type": "event", "length": 3196}
    payload of the item

each on a line of its own, but for a payload whose length is told: that may be any bytes. The length may be missing;
then the payload ends with its line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onejob.ingest.errors import BadRequest
from onejob.ingest.validate import Bounded

_MOST_ITEMS = 1_000  # SDKs send a hundred at most


@dataclass(frozen=True, slots=True)
class Item:
    kind: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    headers: Mapping[str, Any]
    items: tuple[Item, ...]


def parse(body: bytes) -> Envelope:
    """Raises BadRequest."""
    line, at = _line(body, 0)
    headers = _headers(line, "the envelope")
    items: list[Item] = []
    while at < len(body):
        line, at = _line(body, at)
        if not line.strip():
            continue
        if len(items) == _MOST_ITEMS:
            raise BadRequest(f"The envelope has more than {_MOST_ITEMS} items; send several.")
        item, at = _item(body, _headers(line, f"item {len(items) + 1}"), at)
        items.append(item)
    return Envelope(headers, tuple(items))


def _item(body: bytes, headers: Mapping[str, Any], at: int) -> tuple[Item, int]:
    """The item whose payload starts there, and where the next one does."""
    kind, length = headers.get("type"), headers.get("length")
    if not isinstance(kind, str):
        raise BadRequest("An item of the envelope has no type.")
    if length is None:
        payload, end = _line(body, at)
        return Item(kind, payload), end
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise BadRequest(f"The length of an item is {str(length)[:50]}; it must be a number of bytes.")
    end = at + length
    if end > len(body):
        raise BadRequest(f"An item says that it has {length} bytes, and {len(body) - at} follow: is the body cut off?")
    after, start = _line(body, end)
    if after not in (b"", b"\r"):
        raise BadRequest(f"An item says that it has {length} bytes, and goes on after them.")
    return Item(kind, body[at:end]), start


def _line(body: bytes, at: int) -> tuple[bytes, int]:
    """That starts there, and where the next one does."""
    end = body.find(b"\n", at)
    return (body[at:], len(body)) if end < 0 else (body[at:end], end + 1)


def _headers(line: bytes, whose: str) -> Mapping[str, Any]:
    try:
        headers = json.loads(line, object_hook=Bounded(line))
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The headers of {whose} are not JSON on a line of their own: {str(error)[:200]}") from error
    if not isinstance(headers, dict):
        raise BadRequest(f"The headers of {whose} are no JSON object.")
    return headers
