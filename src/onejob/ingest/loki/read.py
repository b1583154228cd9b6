"""A push request in both its forms (grafana.com/docs/loki, "Ingest logs"): protobuf, and JSON such as

{"streams": [{"stream": {"app": "shop"}, "values": [["1571000000000000000", "a line", {"trace_id": "..."}]]}]}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from onejob.ingest.described import messages
from onejob.ingest.errors import BadRequest
from onejob.ingest.hollow import refuse_more
from onejob.ingest.loki.selector import labels_of
from onejob.ingest.loki.translate import Entry, Records
from onejob.ingest.validate import Accepted, Bounded

MESSAGES = messages("onejob.ingest.loki", "push.proto", "onejob.loki")
_PUSH = MESSAGES["PushRequest"]
_NS_PER_S = 1_000_000_000
_LEAST_ENTRY_BYTES = 10  # with a time
_LEAST_PAIR_BYTES = 8
_LEAST_VALUE_BYTES = 12  # of JSON, with quotes and brackets


def accept_protobuf(body: bytes) -> Accepted:
    """Raises BadRequest."""
    try:
        request = _PUSH.FromString(body)
    except DecodeError as error:
        raise BadRequest("The body is not a push request of Loki in protobuf, or a text in it not UTF-8.") from error
    if body and not request.streams:
        raise BadRequest("The body has no streams: is it a push request of Loki? OTLP goes to /v1/logs.")
    refuse_more(len(request.streams), len(body), _LEAST_ENTRY_BYTES)
    records = Records()
    for stream in request.streams:
        refuse_more(len(stream.entries), len(body), _LEAST_ENTRY_BYTES)
        refuse_more(sum(len(entry.structuredMetadata) for entry in stream.entries), len(body), _LEAST_PAIR_BYTES)
        try:
            labels = labels_of(stream.labels)
        except ValueError as error:
            records.refuse(len(stream.entries), f"A stream has {error}.")
        else:
            records.add(labels, map(_entry, stream.entries))
    return records.finished()


def _entry(entry: Any) -> Entry:
    time = entry.timestamp.seconds * _NS_PER_S + entry.timestamp.nanos
    pairs = entry.structuredMetadata
    return time, entry.line, {pair.name: pair.value for pair in pairs} if pairs else {}


def accept_json(body: bytes) -> Accepted:
    """Raises BadRequest."""
    try:
        document = json.loads(body, object_hook=Bounded(body))
        if not isinstance(document, dict) or not isinstance(document.get("streams"), list):
            raise ValueError("there is no list of `streams` (OTLP goes to /v1/logs)")
        records = Records()
        for stream in document["streams"]:
            records.add(_labels(stream), _entries(stream, len(body)))
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not a push request of Loki in JSON: {str(error)[:300]}") from error
    return records.finished()


def _labels(stream: Any) -> dict[str, str]:
    if not isinstance(stream, dict):
        raise ValueError(f"a stream is {stream!r}")
    return _texts(stream.get("stream", {}), "`stream`")


def _entries(stream: Any, size: int) -> Iterator[Entry]:
    values = stream.get("values", [])
    if not isinstance(values, list):
        raise ValueError("`values` is no list")
    refuse_more(len(values), size, _LEAST_VALUE_BYTES)
    for value in values:
        if not isinstance(value, list) or not 2 <= len(value) <= 3 or not all(isinstance(v, str) for v in value[:2]):
            raise ValueError(f"an entry is {str(value)[:100]}; it must be [time in nanoseconds as text, line]")
        time, line = value[:2]
        if not (time.isascii() and time.isdigit() and len(time) < 30):
            raise ValueError(f"the time of an entry is {time[:100]!r}; it must be nanoseconds since 1970, as text")
        yield int(time), line, _texts(value[2], "structured metadata") if len(value) > 2 else {}


def _texts(found: Any, what: str) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError(f"{what} is {str(found)[:100]}; it must be an object of texts")
    return found
