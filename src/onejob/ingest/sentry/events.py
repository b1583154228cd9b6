"""Events, which are errors and messages, and logs: each as an OTLP log record.

An exception has `exception.type`, `exception.message` and `exception.stacktrace`, and is an event called `exception`
(OpenTelemetry semantic conventions, "Exceptions on logs"): so it is listed with all other errors, and judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from onejob.ingest.labels import Pairs, put
from onejob.ingest.sentry.sender import Sender
from onejob.ingest.sentry.stack import exceptions_of, said_of, stack_of
from onejob.ingest.sentry.values import Unfit, fields, identity, listed, number, text, texts, time_ns

_SEVERITIES = {"trace": 1, "debug": 5, "info": 9, "log": 9, "warn": 13, "warning": 13, "error": 17, "fatal": 21}


def add_event(records: Any, event: Mapping[str, Any], now_ns: int) -> None:
    """To a list of log records."""
    exceptions = exceptions_of(event)
    trace = fields(fields(event.get("contexts")).get("trace"))
    level = text(event.get("level"), 20) or ("error" if exceptions else "info")
    record = records.add(
        time_unix_nano=time_ns(event.get("timestamp")) or now_ns,
        severity_text=level,
        severity_number=_SEVERITIES.get(level.lower(), 0),
        trace_id=identity(trace.get("trace_id"), 16),
        span_id=identity(trace.get("span_id"), 8),
        body=AnyValue(string_value=_message(event) or (said_of(exceptions[-1]) if exceptions else "")),
        event_name="exception" if exceptions else "",
    )
    attributes = texts(event.get("tags")) | whose(event) | requested(event)
    attributes["log.record.uid"] = text(event.get("event_id"), 64)
    attributes["sentry.transaction"] = text(event.get("transaction"), 300)
    attributes["sentry.logger"] = text(event.get("logger"), 300)
    attributes["sentry.fingerprint"] = " ".join(text(one, 300) for one in listed(event.get("fingerprint"))[:20])
    if exceptions:
        attributes |= _exception(exceptions, text(event.get("platform"), 50))
    put(record.attributes, sorted(filled(attributes).items()))


def _exception(exceptions: list[Mapping[str, Any]], platform: str) -> dict[str, str]:
    last = exceptions[-1]
    return {
        "exception.type": text(last.get("type"), 300) or "Error",
        "exception.message": text(last.get("value")),
        "exception.stacktrace": stack_of(exceptions, platform),
        "sentry.handled": text(fields(last.get("mechanism")).get("handled"), 10),
    }


def _message(event: Mapping[str, Any]) -> str:
    """As it was formatted; else with the places for its parameters."""
    for found in (event.get("logentry"), event.get("message")):
        said = text(fields(found).get("formatted")) or text(fields(found).get("message")) or text(found)
        if said:
            return said
    return ""


def whose(event: Mapping[str, Any]) -> dict[str, str]:
    """The user's id, and nothing else of the user."""
    return {"enduser.id": text(fields(event.get("user")).get("id"), 300)}


def requested(event: Mapping[str, Any]) -> dict[str, str]:
    """Method and path; of an address, query and fragment may hold anything."""
    request = fields(event.get("request"))
    try:
        path = urlsplit(text(request.get("url"))).path
    except ValueError:
        path = ""
    return {"http.request.method": text(request.get("method"), 30).upper(), "url.path": path}


def filled(attributes: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if value}


def resource_of_log(sender: Sender, log: Mapping[str, Any]) -> Pairs:
    """Logs say by attributes what events have fields for."""
    said = _said(log)
    event = {
        "release": said.get("sentry.release"),
        "environment": said.get("sentry.environment"),
        "server_name": said.get("server.address"),
        "sdk": {"name": said.get("sentry.sdk.name"), "version": said.get("sentry.sdk.version")},
    }
    return sender.resource_of(event, said)


def add_log(records: Any, log: Mapping[str, Any]) -> None:
    """To a list of log records. Raises Unfit."""
    at = time_ns(log.get("timestamp"))
    if not at:
        raise Unfit("a log has no time")
    said = _said(log)
    level = text(log.get("level"), 20)
    told = number(log.get("severity_number")) or number(said.get("sentry.severity_number")) or 0
    record = records.add(
        time_unix_nano=at,
        severity_text=level,
        severity_number=int(told) if 1 <= told <= 24 else _SEVERITIES.get(level.lower(), 0),
        trace_id=identity(log.get("trace_id"), 16),
        span_id=identity(log.get("span_id") or said.get("sentry.trace.parent_span_id"), 8),
        body=AnyValue(string_value=text(log.get("body"))),
    )
    own = {name: value for name, value in said.items() if name not in _TOLD_ELSEWHERE}
    put(record.attributes, sorted(filled(own | {"enduser.id": said.get("user.id", "")}).items()))


_TOLD_ELSEWHERE = {
    "sentry.release", "sentry.environment", "sentry.sdk.name", "sentry.sdk.version", "server.address",
    "sentry.severity_number", "sentry.severity_text", "sentry.trace.parent_span_id",
    "user.id", "user.email", "user.name",
}  # fmt: skip


def _said(log: Mapping[str, Any]) -> dict[str, str]:
    """`{"order": {"value": "o-1", "type": "string"}}`, plainly."""
    attributes = fields(log.get("attributes"))
    return texts({name: fields(value).get("value") for name, value in attributes.items()})
