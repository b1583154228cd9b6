"""Loki's push API over HTTP: POST /loki/api/v1/push, answered with 204.

Protobuf is in snappy's block format, whether the content encoding says so or not. Unlike Loki, which takes what has no
content type for protobuf, there must be one: without, a page of another site could send this from somebody's browser.
As in Loki, entries that can be kept are, when others cannot, and 400 tells.
"""

from __future__ import annotations

from onejob.ingest.bodies import DECOMPRESS
from onejob.ingest.dialect import (
    PLAIN,
    Head,
    Headers,
    Refusal,
    Reply,
    Way,
    refuse_unless_post,
    said_plainly,
    unsupported_encoding,
)
from onejob.ingest.loki.read import accept_json, accept_protobuf
from onejob.ingest.snappy import unsnappy
from onejob.ingest.validate import Accepted

DOOR = "loki"
PATH = "/loki/api/v1/push"
_PROTOBUF, _JSON = "application/x-protobuf", "application/json"


def way(head: Head, _limit: int) -> Way:
    refuse_unless_post(head, "what Loki is pushed")
    if head.media == _PROTOBUF:
        if head.encoding not in ("", "snappy"):
            raise unsupported_encoding(head, "snappy")
        return Way(accept_protobuf, unsnappy)
    if head.media != _JSON:
        raise Refusal(415, f"The content type is {head.media[:100]!r}; Loki's push is {_PROTOBUF} or {_JSON}.")
    if head.encoding not in ("", "identity", *DECOMPRESS):
        raise unsupported_encoding(head, f"{', '.join(DECOMPRESS)} or none")
    return Way(accept_json, DECOMPRESS.get(head.encoding), is_slow=True)


def answer(_head: Head, accepted: Accepted) -> Reply:
    if accepted.rejected:
        return Reply(400, PLAIN, f"{accepted.message}\n".encode())
    return Reply(204, PLAIN, b"")


def refuse(_head: Head, status: int, error: Exception, headers: Headers) -> Reply:
    return said_plainly(status, error, headers)
