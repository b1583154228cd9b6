"""Is this an OTLP request that the engine will be able to read? Asked before the acknowledgement.

The engine parses whole batches, and one bad message fails its batch; so each request is parsed once here (upb, native
code), and what OTLP forbids is looked for by the only loop over its items in the whole path (0.4 us a span). A request
with some bad items is accepted without them, as OTLP's partial success; one with nothing good in it is refused.

What is looked for is each kind's own: `validate_traces`, `validate_logs`, `validate_metrics`. To one kind's door all
may be sent, and much of one kind can be read as another, with nothing in it that was meant: see `_refuse_other`.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from onejob.ingest import validate_logs, validate_metrics, validate_traces
from onejob.ingest.errors import BadRequest
from onejob.ingest.hollow import HOLLOW, SOME, refuse_hollow_parts, refuse_more
from onejob.ingest.kind_of import kind_by_key, kind_by_time
from onejob.ingest.nested import refuse_nested
from onejob.ingest.rules import Found, Rules
from onejob.ingest.swollen import refuse_swollen
from onejob.model.telemetry import ONE_OF, Kind

_MAX_JSON_DEPTH = 100  # protobuf's own limit
_LEAST_OBJECT_BYTES = 12  # of JSON; an attribute is two objects and 38 bytes at least
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?')  # or one that does not end, lest each quote in it is begun at again
_LARGE_BYTES = 2**20
# A request may take forty times its size while it is read; Python reads one at a time anyway.
_LARGE = threading.Lock()


@dataclass(frozen=True, slots=True)
class Accepted:
    """`payload` is a serialized request that the engine can read; `rejected` items were left out of it, and why.

    `tables` has a bit for each table of its kind that it fills (`store.otlp_tables.TABLES_OF`). `beside` is what of
    other kinds came in the same body.
    """

    kind: Kind
    payload: bytes
    items: int
    rejected: int = 0
    message: str = ""
    tables: int = 1
    beside: tuple[Accepted, ...] = ()


Check = Callable[[bytes], Accepted]


def accept_protobuf(rules: Rules, body: bytes) -> Accepted:
    """Raises BadRequest."""
    with _LARGE if len(body) > _LARGE_BYTES else contextlib.nullcontext():
        return _accept_protobuf(rules, body)


def _accept_protobuf(rules: Rules, body: bytes) -> Accepted:
    try:
        request = rules.request.FromString(body)
    except DecodeError as error:
        _refuse_other(rules, kind_by_time(body))
        raise BadRequest(
            f"The body is not an {rules.name} in protobuf: is it truncated, or JSON sent with the wrong content type, "
            "or a text in it not UTF-8?"
        ) from error
    _refuse_hollow(rules, request, len(body))
    found = rules.look(request)
    refuse_swollen(request, found.items, len(body))
    refuse_nested(request, body)
    if not found.time_ns:
        _refuse_other(rules, kind_by_time(body))
    return _accepted(rules, request, body, found)


def accept_json(rules: Rules, body: bytes) -> Accepted:
    """OTLP/JSON: ids in hex, integers as strings or numbers, enums as integers. Raises BadRequest."""
    try:
        document = json.loads(body, object_hook=Bounded(body))
        rules.hex_to_base64(document)
        request = json_format.ParseDict(
            document, rules.request(), ignore_unknown_fields=True, max_recursion_depth=_MAX_JSON_DEPTH
        )
        payload = request.SerializeToString()
    except (ValueError, RecursionError, TypeError, AttributeError, json_format.Error) as error:
        raise BadRequest(f"The body is not an {rules.name} in OTLP/JSON: {str(error)[:300]}") from error
    _refuse_hollow(rules, request, len(payload))
    found = rules.look(request)
    refuse_swollen(request, found.items, len(payload))
    refuse_nested(request, payload)
    if not found.items:
        _refuse_other(rules, kind_by_key(document))
        if "streams" in document:
            raise BadRequest("This is what Loki is pushed, not OTLP: send it to /loki/api/v1/push.")
    return _accepted(rules, request, payload, found)


def understood(kind: Kind, payload: bytes) -> bytes:
    """What protobuf made of a request, in the form that everybody reads: without what no field is for, fields that were
    given several times once, and numbers in the size they have. What is no request stays as it is.
    """
    try:
        request = RULES[kind].request.FromString(payload)
    except DecodeError:
        return payload
    request.DiscardUnknownFields()
    return bytes(request.SerializeToString())


class Bounded:
    """Lets as many JSON objects pass as mean anything in a text of that size, and as many lists. Raises BadRequest."""

    def __init__(self, text: bytes) -> None:
        self._left = SOME + len(text) // _LEAST_OBJECT_BYTES
        # In a text they are no lists: looked at only where there are too many of them.
        if text.count(b"[") > self._left and _TEXT.sub(b"", text).count(b"[") > self._left:
            raise BadRequest(HOLLOW.format("lists"))

    def __call__(self, found: dict[str, Any]) -> dict[str, Any]:
        self._left -= 1
        if self._left < 0:
            raise BadRequest(HOLLOW.format("objects"))
        return found


def _refuse_other(rules: Rules, kind: Kind | None) -> None:
    """Raises BadRequest if it is of another kind. What it would be taken for here would be stored, and mean nothing."""
    if kind is not None and kind != rules.kind:
        raise BadRequest(
            f"These are {ONE_OF[kind]}s, and this is where {ONE_OF[rules.kind]}s are taken: let the exporter send its "
            f"{kind} to /v1/{kind} (over gRPC, to {RULES[kind].service})."
        )


def _refuse_hollow(rules: Rules, request: Any, size: int) -> None:
    """Raises BadRequest."""
    for messages in rules.sizes(request):
        refuse_more(messages, size, rules.least_item_bytes)
    refuse_hollow_parts(request, size)


def _accepted(rules: Rules, request: Any, payload: bytes, found: Found) -> Accepted:
    """Without what is bad. Raises BadRequest if all is."""
    if not found.bad:
        return Accepted(rules.kind, payload, found.items, tables=found.tables)
    if found.bad == found.items:
        raise BadRequest(found.first)
    rules.drop_bad(request)
    message = f"{found.bad} of {found.items} {ONE_OF[rules.kind]}s were refused. The first: {found.first}"
    return Accepted(rules.kind, request.SerializeToString(), found.items - found.bad, found.bad, message, found.tables)


RULES: Mapping[Kind, Rules] = {
    rules.kind: rules for rules in (validate_traces.RULES, validate_logs.RULES, validate_metrics.RULES)
}
PROTOBUF_CHECKS: Mapping[Kind, Check] = {kind: partial(accept_protobuf, rules) for kind, rules in RULES.items()}
JSON_CHECKS: Mapping[Kind, Check] = {kind: partial(accept_json, rules) for kind, rules in RULES.items()}
