"""OTLP in words of HTTP: what a body of each kind must be like, and how it is answered.

As the client sent it, as OTLP asks for; in JSON where that is neither protobuf nor JSON.
"""

from __future__ import annotations

from google.protobuf import json_format
from google.protobuf.message import Message

from onejob.ingest.answers import NO_PROFILES, failure, success
from onejob.ingest.bodies import DECOMPRESS
from onejob.ingest.dialect import Head, Headers, Refusal, Reply, Way, refuse_unless_post, unsupported_encoding
from onejob.ingest.errors import BadRequest, IntakeError
from onejob.ingest.validate import JSON_CHECKS, PROTOBUF_CHECKS, Accepted
from onejob.model.telemetry import Kind

DOOR = "otlp_http"
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
PATHS: dict[str, Kind] = {"/v1/traces": "traces", "/v1/logs": "logs", "/v1/metrics": "metrics"}
PROFILES = "/v1development/profiles"
_ELSEWHERE = "; remote write goes to /api/v1/write, and what Loki is pushed to /loki/api/v1/push"


def way(head: Head, _limit: int) -> Way:
    """Raises Refusal."""
    if head.path == PROFILES:
        raise Refusal(404, NO_PROFILES)
    kind = PATHS[head.path]
    refuse_unless_post(head, kind)
    if head.media not in (PROTOBUF, JSON):
        raise Refusal(415, f"The content type is {head.media[:100]!r}; OTLP/HTTP is {PROTOBUF} or {JSON}.")
    if head.encoding not in ("", "identity", *DECOMPRESS):
        elsewhere = _ELSEWHERE if head.encoding == "snappy" else ""
        raise unsupported_encoding(head, f"{', '.join(DECOMPRESS)} or none{elsewhere}")
    checks = JSON_CHECKS if head.media == JSON else PROTOBUF_CHECKS
    return Way(checks[kind], DECOMPRESS.get(head.encoding), is_slow=head.media == JSON)


def answer(head: Head, accepted: Accepted) -> Reply:
    return _reply(head, 200, success(accepted))


def refuse(head: Head, status: int, error: Exception, headers: Headers) -> Reply:
    return _reply(head, status, failure(error if isinstance(error, IntakeError) else BadRequest(str(error))), headers)


def _reply(head: Head, status: int, message: Message, headers: Headers = ()) -> Reply:
    if head.media == PROTOBUF:
        return Reply(status, PROTOBUF, message.SerializeToString(), headers)
    return Reply(status, JSON, json_format.MessageToJson(message, indent=None).encode(), headers)
